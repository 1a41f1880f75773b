"""``fabgate join`` and ``rename``: which gate this computer is.

``join`` makes it a gate of a collector, with the code that the collector's page shows. ``rename`` gives the gate the name that its
gate.yaml has.
"""

from __future__ import annotations

import argparse
import getpass
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fabgate import installed
from fabgate.cli.arguments.shared import GATE_YAML
from fabgate.errors import UsageError

if TYPE_CHECKING:
    from fabgate.join.code import Code

_UNIT: Final = "fabgate-gate"
_TIME_UNIT: Final = "systemd-timesyncd"
#: How long the gate may take to start, in seconds; an old Pi needs twenty.
_START_S: Final = 60.0
#: It exists where systemd runs: sd_booted(3).
_SYSTEMD: Final = Path("/run/systemd/system")


def join(arguments: argparse.Namespace) -> int:
    """Join a collector, and start the gate; exit code 1 if it does not start."""
    try:
        from fabgate.gate.joining import requests, steps
        from fabgate.gate.joining.files import ACCOUNT, APT_SOURCE, TIME_SERVERS, Files
    except ModuleNotFoundError as error:
        if error.name not in ("spake2", "cryptography"):
            raise
        raise UsageError(f"found no {error.name}, wanted it: {installed.library('spake2', 'fabgate[join]')}") from error

    is_installed = arguments.config == GATE_YAML
    if is_installed and os.geteuid() != 0:
        raise UsageError(f"found the account {getpass.getuser()}, wanted root: sudo fabgate join {arguments.host}")
    address = requests.address_of(arguments.host)
    is_packaged = is_installed and installed.package() == installed.GATE
    files = Files(
        arguments.config,
        account=ACCOUNT if is_installed else "",
        source=APT_SOURCE if is_packaged else None,
        time=TIME_SERVERS if is_packaged else None,
    )
    identity = steps.join(
        address,
        requests.to(address),
        files,
        ask_code=_ask,
        replaces=arguments.replace,
        serial=steps.serial_number(),
    )
    print(f"This computer is now the gate {identity.site}/{identity.gate}, for {identity.machine}.")
    if files.before.exists():
        print(f"{files.before} is the gate.yaml from before.")
    if identity.broker_step:
        print(f"Still to do: {identity.broker_step}.")
    if not is_installed:
        print(f"Start the gate: fabgate run --config {arguments.config}")
        return 0
    return _start()


def rename(arguments: argparse.Namespace) -> int:
    """Rename the gate to the name in its configuration."""
    from fabgate.gate.config import gate_yaml
    from fabgate.gate.terminal import rename as renaming

    print(renaming.rename(gate_yaml.load(arguments.config)))
    return 0


def _ask() -> Code:
    """Ask for the code: in an argument it would stay in the shell's history."""
    from fabgate.join import code

    if sys.stdin.isatty():
        print("The code is on the collector's page: Gates, Add a gate.")
    print("Code: ", end="", flush=True)
    return code.parse(sys.stdin.readline())


def _start() -> int:
    if not _SYSTEMD.is_dir():
        print(f"systemd does not run here. Start the gate: fabgate run --config {GATE_YAML}")
        return 0
    sys.stdout.flush()  # before what systemctl prints
    # Where it runs, it reads the time servers that a join writes. A computer with another time server does not have it.
    _systemctl("try-restart", _TIME_UNIT, stderr=subprocess.DEVNULL)
    if not (_systemctl("enable", _UNIT) and _systemctl("restart", _UNIT)):
        print(f"error: the gate does not start; journalctl -u {_UNIT} -n 30 says why", file=sys.stderr)
        return 1
    print("It has started. Next: sudo fabgate doctor")
    return 0


def _systemctl(order: str, unit: str, *, stderr: int | None = None) -> bool:
    words = ["systemctl", order, unit]
    try:
        return subprocess.run(words, stderr=stderr, timeout=_START_S, check=False).returncode == 0  # noqa: S603 - as a person would type it
    except subprocess.TimeoutExpired:  # a gate that cannot open its journal goes on trying
        return False
