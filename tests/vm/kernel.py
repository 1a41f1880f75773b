"""The pins of the guest: gpio-sim of the Linux kernel, which Debian does not build, with two things more.

It is built beside Debian's kernel, from Debian's source of that kernel. What is added:

- `persist`, a parameter of the module: a line keeps its level after the program that held it has gone, as on Raspberry Pi OS
  without `strict_gpiod`. Without it a line falls back to its pull-down, as in Linux elsewhere.
- each change of a line is written to an I/O port, where QEMU hands it to this computer: the line, its level, and the name of the
  program in which it changed, such as ``17 0 gpioset``. Interrupts are off meanwhile, so that a line of text is whole.
"""

from __future__ import annotations

import re
from typing import Final

#: Where the guest writes what is to be seen outside; also in agent.py.
PORT: Final = 0xE9
#: How many lines the chip has: the 40-pin header of a Pi has GPIO 0 to 27.
LINES: Final = 28
CHIP: Final = "drivers/gpio/gpio-sim.c"
INTERRUPTS: Final = "kernel/irq/irq_sim.c"

_DRIVE: Final = f"""
static bool persist;
module_param(persist, bool, 0644);
MODULE_PARM_DESC(persist, "a line keeps its level when it is released");

static void gpio_sim_drive(struct gpio_sim_chip *chip, unsigned int offset, bool value)
{{
	char text[32], *c;
	unsigned long flags;

	if (value == test_bit(offset, chip->value_map))
		return;
	local_irq_save(flags);
	__assign_bit(offset, chip->value_map, value);
	snprintf(text, sizeof(text), "%u %d %s\\n", offset, value, current->comm);
	for (c = text; *c; c++)
		outb(*c, {PORT:#x});
	local_irq_restore(flags);
}}

static struct gpio_sim_attribute *
to_gpio_sim_attr("""
_SEVERAL: Final = """{
		unsigned int line;

		for_each_set_bit(line, mask, gc->ngpio)
			gpio_sim_drive(chip, line, test_bit(line, bits));
	}"""
#: Each place of gpio-sim.c that is changed: a pattern, how often it must be there, and the text for it.
_CHANGES: Final = (
    (r"#include <linux/interrupt.h>\n", 1, "#include <linux/interrupt.h>\n#include <linux/io.h>\n#include <linux/sched.h>\n"),
    (r"__assign_bit\(offset, chip->value_map,", 4, "gpio_sim_drive(chip, offset,"),
    (r"bitmap_replace\(chip->value_map, chip->value_map, bits, mask,\s*gc->ngpio\);", 1, _SEVERAL),
    (r"gpio_sim_drive\(chip, offset,\s*!!test_bit\(offset, chip->pull_map\)\);", 1,
     "if (!persist)\n\t\t\tgpio_sim_drive(chip, offset, !!test_bit(offset, chip->pull_map));"),
    (r"\nstatic struct gpio_sim_attribute \*\nto_gpio_sim_attr\(", 1, _DRIVE),
)  # fmt: skip


def chip(source: str) -> str:
    """Return gpio-sim.c with what is added. Raises ValueError if a newer kernel has it written otherwise."""
    for pattern, times, text in _CHANGES:
        source, found = re.subn(pattern, lambda _, text=text: text, source)
        if found != times:
            raise ValueError(f"{CHIP}: found {found} times {pattern!r}, wanted {times}; adapt tests/vm/kernel.py")
    return source


def interrupts(source: str) -> str:
    """Return irq_sim.c without the function that only the kernel itself may call."""
    return source.replace("handle_simple_irq(irq_to_desc(irqnum))", "generic_handle_irq_safe(irqnum)")
