"""Judges what a PC/SC reader needs on a Pi: pcscd, its rule for the account of the unit, and no driver of the kernel."""

from __future__ import annotations

from typing import Final

from fabgate import installed
from fabgate.doctor.finding import Finding, fail, ok, warn
from fabgate.doctor.shipped import shipped
from fabgate.doctor.system import System

RULE: Final = "20-fabgate-pcsc.rules"
_NAME: Final = "reader-device"


def pcsc(system: System) -> Finding:
    """Judge the computer whose files `system` reads."""
    blacklist = f"install -D -m 644 {installed.file('fabgate-nfc.conf')} -t /etc/modprobe.d/"
    if any(line.startswith("pn533") for line in (system.read("/proc/modules") or "").splitlines()):
        return fail(
            _NAME, "the kernel's own NFC driver (pn533) has taken the reader from pcscd", f"{blacklist}; reboot"
        )
    if not system.path("/run/pcscd/pcscd.comm").exists():
        return fail(
            _NAME,
            "pcscd does not run: there is no /run/pcscd/pcscd.comm",
            "apt install pcscd python3-pyscard; systemctl enable --now pcscd.socket",
        )
    wanted = shipped(f"systemd/{RULE}")
    if wanted is not None and system.read(f"/etc/polkit-1/rules.d/{RULE}") != wanted.strip():
        return fail(
            _NAME,
            f"/etc/polkit-1/rules.d/{RULE} is not the one of this version: pcscd refuses the unit",
            f"install -D -m 644 {installed.file(RULE)} -t /etc/polkit-1/rules.d/; systemctl restart polkit pcscd fabgate-gate",
        )
    if not system.path("/etc/modprobe.d/fabgate-nfc.conf").exists():
        return warn(_NAME, "the kernel's own NFC driver may take the reader from pcscd", blacklist)
    return ok(_NAME, "pcscd is there, and the unit has access to it")
