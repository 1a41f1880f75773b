"""Lays out the files of each package below a folder, as they lie on a computer."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fabgate import installed
from tools.packages import wheels
from tools.packages.paths import COLLECTOR, GATE, adapted
from tools.packages.targets import ROOT, Suite

_UNITS: Final = "usr/lib/systemd/system"
#: What keeps the files of two versions apart (docs/decisions/0154).
_OWN: Final = Path(__file__).parent / "own"
#: Drop-ins and rules for a reader, a display or a meter that not every gate has: docs/readers says which one to copy.
_OPTIONAL: Final = ("20-fabgate-serial.conf", "20-fabgate-keyboard.conf", "20-fabgate-i2c.conf")
#: The fonts of the collector's documents, which the gate's commissioning sheet has too (fabgate/doctor/commissioning.py).
_FONTS: Final = "fabgate/collector/money/paper/fonts"
_PCSC: Final = ("20-fabgate-pcsc.rules", "fabgate-nfc.conf")
_COLLECTOR_UNITS: Final = (
    *("fabgate-collector@.service", "fabgate-collector.target"),
    *("fabgate-collector-backup.service", "fabgate-collector-backup.timer"),
    *("fabgate-collector-certificates.service", "fabgate-collector-certificates.timer"),
    *("fabgate-collector-https.socket", "fabgate-collector-http.socket", "fabgate-firewall.service"),
    "fabgate-broker.service",
)


def of_gate(root: Path, wheel: Path, keys: str) -> None:
    """Lay out fabgate-gate: the program without the collector, on the system's own libraries.

    With `keys` apt checks later versions, which it gets from the workshop's collector.
    """
    wheels.unpack([wheel], root, prefix=f"/{GATE}", modules="")
    shutil.rmtree(root / GATE / "bin")  # its Python would be an environment's; debian/fabgate starts the system's
    _remove_module(root / GATE, "fabgate/collector", keep=_FONTS)
    for name in ("fabgate-gate.service", *_OPTIONAL, *_PCSC, "line-off"):
        _adapt(root / GATE / "share/fabgate/systemd" / name, "fabgate-gate")
    shipped = root / GATE / "share/fabgate/systemd"
    _copy(shipped / "fabgate-gate.service", root / _UNITS)
    # Three of the builds in hardware/README.md have a display.
    _copy(shipped / "20-fabgate-i2c.conf", root / _UNITS / "fabgate-gate.service.d")
    _copy(shipped / "10-fabgate-watchdog.conf", root / "usr/lib/systemd/system.conf.d")
    _copy(shipped / "line-off", root / GATE, mode=0o755)
    _keep_whole(root, "fabgate-gate", ("fabgate-gate.service",))
    keyring = root / installed.RELEASE_KEYS.lstrip("/")
    keyring.parent.mkdir(parents=True)
    keyring.write_text(keys)
    _examples(root, "fabgate-gate", [ROOT / "config/gate.yaml", *(shipped / name for name in (*_OPTIONAL, *_PCSC))])


def of_mfrc522(root: Path, wheel: Path, source: Path) -> None:
    """Lay out fabgate-mfrc522: the reader's library, with the source that its licence asks for."""
    wheels.unpack([wheel], root, prefix=f"/{GATE}", modules="")
    _copy(source, root / "usr/share/doc/fabgate-mfrc522")


def of_collector(root: Path, suite: Suite, house: list[Path], for_gates: Path) -> None:
    """Lay out fabgate-collector: an environment of Python with the wheels of `house`, finished.

    `for_gates` is the repository that it serves to gates.
    """
    modules = f"lib/python{suite.python}/site-packages"
    wheels.unpack(house, root, prefix=f"/{COLLECTOR}", modules=modules)
    binaries = root / COLLECTOR / "bin"
    for script in binaries.iterdir():
        if script.name != "fabgate":
            script.unlink()  # such as django-admin, which no unit and no page of ours uses
    (binaries / "python").symlink_to(f"/usr/bin/python{suite.python}")
    # These three lines make a folder an environment (docs.python.org, venv): there is nothing to run at installation.
    version = f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {suite.python}\n"
    (root / COLLECTOR / "pyvenv.cfg").write_text(version)
    # A workshop's own sinks: pip install --target. An update of the package leaves that folder alone.
    (root / COLLECTOR / modules / "local.pth").write_text("/usr/local/lib/fabgate-collector\n")
    shipped = root / COLLECTOR / "share/fabgate/systemd"
    for name in (*_COLLECTOR_UNITS, "collector-verb", "broker-accounts"):
        _adapt(shipped / name, "fabgate-collector")
    for name in _COLLECTOR_UNITS:
        _copy(shipped / name, root / _UNITS)
    _copy(shipped / "collector-verb", root / "usr/sbin", mode=0o755, name="fabgate-collector")
    # Those of broker and certificates call collector-verb, which checks too.
    program = f"ExecStart=/{COLLECTOR}/bin/fabgate"
    _keep_whole(
        root, "fabgate-collector", [name for name in _COLLECTOR_UNITS if program in (shipped / name).read_text()]
    )
    shutil.copytree(for_gates, root / installed.FOR_GATES.lstrip("/"))
    examples = [path for path in (ROOT / "config").iterdir() if path.name not in ("gate.yaml", "broker.conf")]
    _examples(root, "fabgate-collector", examples)


def _keep_whole(root: Path, package: str, services: Iterable[str]) -> None:
    """Lay out what refuses to start a half-unpacked program, and what finishes its installation."""
    targets = {
        f"usr/lib/{package}/own-package": "own-package",
        f"etc/apt/apt.conf.d/50{package}": "apt.conf",
        f"{_UNITS}/{package}-finish.service": "finish.service",
        **{f"{_UNITS}/{service}.d/10-whole.conf": "unit.conf" for service in services},
    }
    for target, name in targets.items():
        path = root / target
        _copy(_OWN / name, path.parent, mode=0o755 if name == "own-package" else 0o644, name=path.name)
        path.write_text(path.read_text("utf-8").replace("@package@", package), "utf-8")
    # systemd starts what this folder links to; a person enables nothing.
    started = root / _UNITS / "multi-user.target.wants"
    started.mkdir(parents=True)
    (started / f"{package}-finish.service").symlink_to(f"../{package}-finish.service")


def _remove_module(folder: Path, name: str, *, keep: str) -> None:
    """Remove a package of ours from an unpacked wheel, and from the list of its files, but for the folder `keep` in it."""
    shutil.copytree(folder / keep, folder / "kept")
    shutil.rmtree(folder / name)
    shutil.move(folder / "kept", folder / keep)
    (record,) = folder.glob("fabgate-*.dist-info/RECORD")
    rows = [
        row
        for row in csv.reader(io.StringIO(record.read_text()))
        if row[0].startswith(f"{keep}/") or not row[0].startswith((f"{name}/", "bin/"))
    ]
    with record.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _adapt(path: Path, package: str) -> None:
    path.write_text(adapted(path.read_text("utf-8"), package), "utf-8")


def _copy(path: Path, folder: Path, *, mode: int = 0o644, name: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / (name or path.name)
    shutil.copyfile(path, target)
    target.chmod(mode)


def _examples(root: Path, package: str, files: list[Path]) -> None:
    for path in files:
        _copy(path, root / "usr/share/doc" / package / "examples")
