// SPDX-License-Identifier: GPL-2.0-or-later
/* Says that this computer is a Raspberry Pi 4, where gpiozero and fabgate look for that. */
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

static struct proc_dir_entry *tree;

static int revision(struct seq_file *file, void *unused)
{
	seq_write(file, "\x00\xc0\x31\x12", 4); /* 4B, 4 GB, revision 1.2 */
	return 0;
}

static int __init pi_init(void)
{
	struct proc_dir_entry *system;

	tree = proc_mkdir("device-tree", NULL);
	system = tree ? proc_mkdir("system", tree) : NULL;
	if (system && proc_create_single("linux,revision", 0444, system, revision))
		return 0;
	proc_remove(tree);
	return -ENOMEM;
}

static void __exit pi_exit(void)
{
	proc_remove(tree);
}

module_init(pi_init);
module_exit(pi_exit);
MODULE_DESCRIPTION("What a Raspberry Pi says of itself");
MODULE_LICENSE("GPL");
