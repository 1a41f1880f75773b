"""Judges what is true of any computer: disk, clock, certificates, accounts and open ports. Pure: facts in, a finding out."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Final

from fabgate.doctor import reach
from fabgate.doctor.finding import Finding, fail, not_checked, ok, warn
from fabgate.doctor.system import Mount, System
from fabgate.mqtt import certificates

MB: Final = 1_000_000
#: A member waits for one write of the journal before the machine starts. An SD card takes 5 to 50 ms, sometimes 200
#: (measured); beyond that people notice, and beyond a second they tap again.
SLOW_MS: Final = 50.0
STALLS_MS: Final = 250.0
HANGS_MS: Final = 1_000.0
#: File systems in memory.
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs", "zram"})
_LOOPBACK: Final = ("127.", "::1")


def disk_space(free: int, files: int | None, *, where: str, warn_below: int, fail_below: int) -> Finding:
    """Judge free bytes, and how many more files fit; `files` is None where the file system has no such limit."""
    name, text = "disk-space", f"{free // MB} MB are free for {where}"
    todo = (
        "make room with journalctl --vacuum-size=100M, or with apt clean; du -xh / | sort -h | tail shows what is large"
    )
    if files is not None and files < 1_000:
        return fail(name, f"only {files} more files fit on the disk of {where}", todo)
    if free < fail_below:
        return fail(name, f"only {text}", todo)
    return warn(name, f"only {text}", todo) if free < warn_below else ok(name, text)


def disk_speed(times_ms: Sequence[float], *, where: str) -> Finding:
    """Judge how long a write takes until it is on the disk."""
    name, usual, worst = "disk-speed", median(times_ms), max(times_ms)
    text = f"a write to {where} takes {usual:.1f} ms to be on the disk, at worst {worst:.0f} ms"
    todo = "use a better card (class A1 or A2, of a known maker) or a USB SSD; iotop -oa shows which programs write"
    if worst >= HANGS_MS:
        return fail(name, text, todo)
    return warn(name, text, todo) if usual > SLOW_MS or worst > STALLS_MS else ok(name, text)


def disk_kind(mount: Mount | None, upper: Mount | None, *, where: str) -> Finding:
    """Judge whether a folder survives a power cut; `upper` is the mount of an overlay's changes, None without one."""
    name = "disk-kind"
    if mount is None:
        return not_checked(name, "/proc/mounts does not show on which disk the data is")
    holds = upper if mount.kind == "overlay" and upper is not None else mount
    if holds.kind in _IN_MEMORY:
        how = f"{holds.kind} (an overlay in memory)" if holds is upper else holds.kind
        return fail(
            name,
            f"{where} is in memory, {how}: everything is lost when the power goes off",
            "put the data on a disk: switch the overlay off (raspi-config, Performance, Overlay File System), or"
            " mount a disk there",
        )
    if holds.kind == "overlay":
        return fail(
            name,
            f"{where} is on an overlay, and /proc/mounts does not show where the changes are kept: usually in memory,"
            " and then they are lost when the power goes off",
            "switch the overlay off (raspi-config, Performance, Overlay File System), or mount a disk there",
        )
    if "ro" in mount.options:
        return fail(
            name,
            f"the disk of {where} is mounted read-only",
            "the kernel mounts a disk read-only after errors: look for them with dmesg | grep -i -e mmc -e ext4, then"
            " replace the card",
        )
    return ok(name, f"{where} is on {mount.source} ({mount.kind})")


def clock(*, synced: bool | None, by: str) -> Finding:
    """Judge the wall clock; `by` says who knows."""
    if synced is None:
        return not_checked("clock", f"{by} does not say whether the clock is synchronised")
    if synced:
        return ok("clock", f"synchronised ({by})")
    return fail(
        "clock",
        f"not synchronised ({by}): times on record would be wrong",
        "timedatectl shows the details; without internet access, name a time server of your network: with chrony, write"
        " server ADDRESS iburst to /etc/chrony/sources.d/workshop.sources, then run chronyc reload sources; otherwise set"
        " NTP= in /etc/systemd/timesyncd.conf, then run systemctl restart systemd-timesyncd",
    )


def certificate(name: str, ends: datetime | None, now: datetime, whose: str) -> Finding:
    """Judge the end of a certificate; `whose` is the owner in certificates.ending, such as ``broker's``."""
    if ends is None:
        return not_checked(name, f"the expiry date of the {whose} certificate is unknown")
    if not (due := certificates.ending(ends, now, whose)):
        return ok(name, f"the {whose} certificate is valid until {ends:%Y-%m-%d}")
    found, _, todo = due.partition(": ")
    return (fail if ends <= now else warn)(name, found, todo)


def default_user(*, exists: bool, has_default_password: bool | None, is_open: bool = False) -> Finding:
    """Judge the account `pi`, which Raspberry Pi OS had until 2022, with the password that everybody knows.

    `is_open` means that it needs no password at all.
    """
    name = "default-user"
    if not exists:
        return ok(name, "there is no account pi")
    if is_open:
        return fail(name, "the account pi needs no password", "set a password now: passwd pi")
    if has_default_password:
        return fail(name, "the account pi has the password raspberry", "change the password now: passwd pi")
    if has_default_password is None:
        return warn(
            name,
            "there is an account pi; doctor has no right to check whether its password is still raspberry",
            "run sudo fabgate doctor to find out; passwd pi sets another password",
        )
    return ok(name, "the account pi does not have the password raspberry")


def ports(listening: Sequence[tuple[str, int]] | None, expected: Mapping[int, str], *, todo: str) -> Finding:
    """Judge which TCP ports other computers can reach; `expected` names those that belong here."""
    name = "open-ports"
    if listening is None:
        return not_checked(name, "there is no /proc/net/tcp")
    reachable = sorted({port for address, port in listening if not address.startswith(_LOOPBACK)})
    others = [port for port in reachable if port not in expected]
    if others:
        return warn(name, f"other computers can reach port {', '.join(map(str, others))} too", todo)
    shown = ", ".join(f"{port} ({expected[port]})" for port in reachable)
    return ok(name, f"other computers can reach {f'port {shown} only' if shown else 'no port'}")


def secret_files(others: Mapping[str, int | None]) -> Finding:
    """Judge what others may do with files that have secrets (``system.others_may``)."""
    name = "secret-files"
    open_ones = [path for path, may in others.items() if may]
    if open_ones:
        return fail(
            name,
            f"every account of this computer can use {', '.join(open_ones)}",
            f"chmod o-rwx {' '.join(open_ones)}",
        )
    hidden = [path for path, may in others.items() if may is None]
    if hidden:
        return not_checked(name, f"this account has no right to see {', '.join(hidden)}")
    if not others:
        return not_checked(name, "no file with a secret is there yet")
    return ok(name, f"the files with secrets can be read by their owners only (files: {len(others)})")


# --- readings that both doctors share, judged -------------------------------------------------------------------------


def reached(name: str, host: str, port: int, tls: ssl.SSLContext | None, whose: str, now: datetime) -> Finding:
    """Connect to a server, and judge the end of its certificate; `tls` is None where it has none."""
    try:
        ends = reach.reach(host, port, tls)
    except OSError as error:
        return fail(name, *reach.why(error, host=host, port=port))
    if tls is None and reach.speaks_tls(host, port):
        return fail(
            name,
            f"{host}:{port} speaks TLS, but this side is set up without TLS",
            "use TLS here too: mqtt.tls and https:// in gate.yaml, FABGATE_MQTT_CA at the collector (docs/install-by-hand.md)",
        )
    if tls is None:
        return ok(name, f"{host}:{port} can be reached, without TLS")
    found = certificate(name, ends, now, whose)
    return found if found.next_step else ok(name, f"{host}:{port} can be reached; {found.text}")


def own_certificate(cert: Path, key: Path | None, now: datetime, whose: str) -> Finding:
    """Read and judge a certificate of this side, and whether its key belongs to it. Raises OSError."""
    try:
        ssl.create_default_context().load_cert_chain(cert, key, password=lambda: "")  # asks nobody
    except ssl.SSLError as error:
        return fail(
            "certificate",
            f"{cert} and {key} do not belong together, or one is damaged ({error.reason or error})",
            "copy certificate and key again from where they were made, and restart the programs that use them",
        )
    return certificate("certificate", certificates.ends(cert), now, whose)


def default_user_of(system: System) -> Finding:
    """Read and judge the account `pi` of a computer."""
    if system.read("/etc/passwd") is None:
        return not_checked("default-user", "there is no /etc/passwd")
    exists = system.login_shell("pi") is not None
    return default_user(
        exists=exists,
        has_default_password=system.has_password("pi", "raspberry") if exists else None,
        is_open=exists and bool(system.has_password("pi", "")),
    )
