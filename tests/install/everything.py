"""All files of a root, to see what a package leaves behind."""

from __future__ import annotations

from typing import Final

from tests.install.computer import CONFIG_TXT, GATE, SOURCE
from tests.install.roots import Root

#: What every package changes, and the system by itself: logs, caches, the lists of dpkg and apt, and what ends at shutdown.
_PASSING: Final = (
    *("/proc", "/sys", "/dev", "/run", "/tmp", "/srv/apt", SOURCE),
    *("/var/log", "/var/cache", "/var/tmp", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/systemd", "/root/.cache"),
)
#: The lists of accounts: each account is compared as a file of its own, because the system writes a list anew for each.
_LISTS: Final = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow")


def install_dependencies(root: Root, *packages: str) -> None:
    """Install what apt would bring with our packages, so that only ours make a difference afterwards."""
    listed = root.run(f"apt-get install -s -q {' '.join(packages)}").text.splitlines()
    names = {line.split()[1] for line in listed if line.startswith("Inst ")}
    root.run(f"apt-get install -y -q {' '.join(sorted(name for name in names if not name.startswith('fabgate')))}")


def files(root: Root) -> dict[str, str]:
    """Return all files of the root with type, rights, owner and content."""
    pruned = " -o ".join(f"-path {path}" for path in _PASSING)
    found = root.run(rf"find / -xdev \( {pruned} \) -prune -o -printf '%p\t%y %m %u:%g %l\n'").text
    all_files = dict(line.split("\t", 1) for line in found.splitlines() if "\t" in line)
    sums = root.run(rf"find / -xdev \( {pruned} \) -prune -o -type f -print0 | xargs -0 sha256sum -z").text
    for line in sums.split("\0")[:-1]:  # with -z it writes a name with a backslash as it is
        digest, _, path = line.partition("  ")
        all_files[path] += f" {digest}"
    # Where everything changes, at least nothing may keep our name.
    for path in root.run("find /var /run /tmp /root -xdev -name '*fabgate*'").text.splitlines():
        all_files.setdefault(path, "has our name")
    for path in _LISTS:
        del all_files[path]
        all_files.pop(f"{path}-", None)  # the list before the last change
        for line in root.says(f"cat {path}").splitlines():
            name, _, more = line.partition(":")
            all_files[f"{path} {name}"] = more
    return all_files


def left_by_purge(*packages: str) -> set[str]:
    """Return what a purge that deletes everything leaves in place, of these packages.

    The lines of config.txt, and the groups of the pins: by then other programs and people may rely on both.
    """
    groups = {f"{path} {name}" for path in ("/etc/group", "/etc/gshadow") for name in ("gpio", "i2c", "spi")}
    return {CONFIG_TXT, *groups} if GATE in packages else set()


def differences(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Return the files that are new, gone or changed. The time of a folder is not compared."""
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
