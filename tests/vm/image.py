"""The disk of the guest: Debian 13 with its own kernel and the pins, and the package of the gate, set up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.install import builds, computer
from tests.install.images import Image
from tests.install.roots import Root
from tests.vm import system
from tests.vm.keep import kept, run

_SIZE_BYTES: Final = 3 * 1024**3  # a file with holes: it takes what is in it
GATE_YAML: Final = """\
site: lyon
gate: laser-2
state_dir: /var/lib/fabgate
machine: {name: Laser 2, limit_s: 7200}
reader: {driver: serial, format: rdm6300, port: /dev/ttyS1}
output: {driver: gpio, pin: 17}
roster: {file: /etc/fabgate/members.yaml}
"""
_MEMBERS: Final = 'members:\n  - {id: m-1, name: Ada, badges: ["em-hex:0A001B2C3D"]}\n'
PIN: Final = 17
#: What a gate does not need, and an emulated processor starts slowly.
_UNUSED: Final = (
    "networking e2scrub_reap systemd-binfmt systemd-logind modprobe@fuse modprobe@efi_pstore getty@tty1 serial-getty@ttyS0"
    " apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer"
)


@dataclass(frozen=True, slots=True)
class Disk:
    """What QEMU boots."""

    kernel: Path
    initrd: Path
    disk: Path


def disk(repositories: Path, digest: str) -> Disk:
    """Return the disk with the gate of `repositories`, whose packages `digest` names.

    Raises RuntimeError, or CommandError of a root, if it cannot be made.
    """
    base = system.system()
    guest = [path.read_bytes() for path in sorted(system.GUEST.iterdir()) if path.is_file()]
    made_of = [digest.encode(), str(base).encode(), Path(__file__).read_bytes(), *guest]
    folder = kept("disk", made_of, lambda folder: _make(folder, base, repositories))
    return Disk(base / "boot/vmlinuz", base / "boot/initrd", folder / "disk")


def _make(folder: Path, base: Path, repositories: Path) -> None:
    """Install the gate in a copy of the system, enable it, and make a disk of what is there then."""
    root = Root(Image((base / "system",)), "vm-disk", repositories=repositories)
    try:
        root.start()
        computer.use(root, builds.THIS, "trixie")
        # What it recommends was installed before, as far as it is needed here.
        root.run(f"{computer.install_command(root, computer.GATE)} --no-install-recommends")
        for name, mode in (("agent.py", 0o644), ("pins.sh", 0o755)):
            root.write(f"/usr/local/lib/vm/{name}", (system.GUEST / name).read_text("utf-8"), mode=mode)
        for unit in ("vm-pins.service", "vm-agent.service"):
            root.write(f"/etc/systemd/system/{unit}", (system.GUEST / unit).read_text("utf-8"))
        root.write(computer.SETTINGS[computer.GATE], GATE_YAML, mode=0o640, owner="root:fabgate")
        root.write("/etc/fabgate/members.yaml", _MEMBERS, mode=0o640, owner="root:fabgate")
        share = "/usr/lib/fabgate-gate/share/fabgate/systemd"
        root.run(f"install -D -m 644 -t /etc/systemd/system/fabgate-gate.service.d {share}/20-fabgate-serial.conf")
        root.run("runuser -u fabgate -- fabgate check /etc/fabgate/gate.yaml")
        root.run("systemctl enable fabgate-gate vm-pins vm-agent")
        root.run(f"systemctl mask {_UNUSED}")
        root.stop()
        made = folder / "disk"
        with made.open("wb") as file:
            file.truncate(_SIZE_BYTES)
        run("mkfs.ext4", "-q", "-L", "system", "-d", str(root.path), str(made))
    finally:
        root.remove()
