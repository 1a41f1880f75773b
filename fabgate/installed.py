"""How was this program installed, and what does a person type here to put something right? Only this file knows.

A Debian package (docs/decisions/0141) has a folder of its own below /usr/lib. Everything else counts as installed by hand: the
environment of docs/install-by-hand.md, and a source tree.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import fabgate

GATE: Final = "fabgate-gate"
COLLECTOR: Final = "fabgate-collector"
#: Debian's package of each library that a gate may need.
_DEBIAN: Final = {
    "cryptography": "python3-cryptography",
    "fpdf": "python3-fpdf",
    "gpiod": "python3-libgpiod",
    "gpiozero": "python3-gpiozero",
    "lgpio": "python3-lgpio",
    "luma.oled": "python3-luma.oled",
    "mfrc522": "fabgate-mfrc522",
    "smartcard": "python3-pyscard",
    "smbus2": "python3-smbus2",
    "spake2": "python3-spake2",
    "spidev": "python3-spidev",
}
#: The keys that check the packages of later versions.
RELEASE_KEYS: Final = "/usr/share/keyrings/fabgate-release.asc"
#: The repository with the packages of gates that the collector's package brings.
FOR_GATES: Final = "/usr/share/fabgate-collector/apt"
#: What Debian 13 does not have, or has in too old a version; as in setup.cfg.
_FROM_PIP: Final = {"RPLCD": "RPLCD >= 1.3, < 2"}


def package(program: Path = Path(fabgate.__file__)) -> str:
    """Return the name of the Debian package that a file of fabgate belongs to; "" if it was installed by hand."""
    return next((name for name in (GATE, COLLECTOR) if program.is_relative_to(f"/usr/lib/{name}")), "")


def again() -> str:
    """Return how to install the files of this version again."""
    return (
        f"apt install --reinstall {name}" if (name := package()) else 'see docs/install-by-hand.md, "Update, and back"'
    )


def cleanly() -> str:
    """Return how to get the files of one version only. apt alone leaves those that it does not know."""
    if name := package():
        return f"apt remove {name}; rm -rf /usr/lib/{name}; apt install {name}"
    return again()


def file(name: str) -> str:
    """Return where a file of systemd/ is, for a person who copies it."""
    return f"/usr/lib/{where}/share/fabgate/systemd/{name}" if (where := package()) else f"systemd/{name}"


def example(name: str) -> str:
    """Return where a file of config/ is, for a person who copies it."""
    return f"/usr/share/doc/{where}/examples/{name}" if (where := package()) else f"config/{name}"


def unit(name: str, hidden_by: str = "") -> str:
    """Return how to install a unit again. `hidden_by` is the file that systemd reads in place of the package's, or ""."""
    if not package():
        return f"install it again: install -m 644 systemd/{name} -t /etc/systemd/system/; systemctl daemon-reload"
    if hidden_by:
        return (
            f"remove {hidden_by}, which hides the unit of the package, and run systemctl daemon-reload; settings of your own"
            f" belong into a drop-in: systemctl edit {name}"
        )
    return f"install it again: {again()}"


def new_tables(restart: str) -> str:
    """Return how the tables of the collector are brought to this version; `restart` is the order that restarts it."""
    if package():
        return f"fabgate-collector migrate, which makes a copy first; then {restart}"
    return f"make a copy, then {restart}"


def account(user: str) -> str:
    """Return how to make the account of the gate."""
    made = f"useradd --system --home-dir /var/lib/fabgate --shell /usr/sbin/nologin --groups gpio,spi {user}"
    return again() if package() else made


def line_off() -> str:
    """Return the path of the helper that switches the machine off."""
    return f"/usr/lib/{GATE}/line-off" if package() == GATE else "/usr/lib/fabgate/line-off"


def line_off_again() -> str:
    """Return how to install that helper again."""
    return again() if package() else "install -D -m 755 systemd/line-off -t /usr/lib/fabgate/"


def watchdog() -> str:
    """Return how to arm the hardware watchdog."""
    if package():
        return "reboot; if it stays so, systemd-analyze cat-config systemd/system.conf shows which file sets RuntimeWatchdogSec"
    return "install systemd/10-fabgate-watchdog.conf into /etc/systemd/system.conf.d (docs/install-by-hand.md); reboot"


def library(module: str, by_hand: str) -> str:
    """Return how to install a library of Python; `by_hand` is the order, or the package for pip, that its driver names."""
    where = package()
    if where == GATE and module in _DEBIAN:
        return f"apt install {_DEBIAN[module]}"
    if where == GATE and module in _FROM_PIP:
        return _pip(where, _FROM_PIP[module])
    if where == COLLECTOR and "fabgate[" in by_hand:
        return f"run the gate from its own package: apt install {GATE}"
    if " " in by_hand:
        return by_hand
    return _pip(where, by_hand) if where else f"pip install '{by_hand}'"


def pin_libraries() -> str:
    """Return how to install the libraries for pins and for the reader RC522."""
    if package():
        return "apt install python3-gpiozero python3-lgpio python3-spidev fabgate-mfrc522"
    return (
        "apt install python3-gpiozero python3-lgpio python3-spidev, make the environment with --system-site-packages,"
        " and pip install --no-deps mfrc522==0.0.7 (docs/install-by-hand.md)"
    )


def driver(extra: str) -> str:
    """Return what to do about a driver that cannot be loaded. `extra` is the one of setup.cfg that has its libraries."""
    if where := package():
        return f"for a driver of fabgate: {again()}; for another one: {_pip(where, 'PACKAGE')}"
    return f"for a driver of fabgate: pip install 'fabgate[{extra}]'"


def database_library() -> str:
    """Return how to install the library for PostgreSQL."""
    return again() if package() else "pip install 'fabgate[collector,postgresql]'"


def collector(error: ImportError) -> str:
    """Return what to say to a person who calls the collector where it is not."""
    if package() == GATE:
        return (
            "the package fabgate-gate has no collector: apt install fabgate-collector (or the file"
            " ./fabgate-collector_….deb); its commands are sudo fabgate-collector VERB"
        )
    how = again() if package() else "pip install 'fabgate[collector]'"
    return f"the collector is not installed ({error}): {how}"


def demo(error: ImportError) -> str:
    """Return what to say to a person who calls the demo where it is not."""
    if package():
        return "the Debian packages have no demo: run 'make demo' in the source of fabgate"
    return f"the demo is not installed ({error}): pip install 'fabgate[demo]', or run 'make demo'"


def plug_in(where: str, source: str) -> str:
    """Return how to install a driver or a sink of others for the package `where`, from an environment by hand that has it."""
    return f"/opt/fabgate/bin/pip install --no-deps --target /usr/local/lib/{where} '{source}'"


def _pip(where: str, requirement: str) -> str:
    """Return the order that installs a library where updates of a package leave it alone."""
    return f"apt install python3-pip; python3 -m pip install --target /usr/local/lib/{where} '{requirement}'"
