"""Finds the files of systemd/ and hardware/ that this version of fabgate ships, and compares units with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

import fabgate
from fabgate import installed
from fabgate.doctor.finding import Finding, fail, not_checked, ok, warn
from fabgate.doctor.system import System

#: Where the folders of the repository are installed, below the prefix (setup.cfg, data_files).
_INSTALLED: Final = "share/fabgate"
_UNIT_FOLDERS: Final = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
)
#: Settings that systemd collects into a list; every other one has the value that is read last (systemd.exec(5)).
_LISTS: Final = frozenset(
    {
        *("Environment", "EnvironmentFile", "ExecStartPre", "ExecStartPost", "ExecStopPost", "DeviceAllow"),
        *("SystemCallFilter", "SupplementaryGroups", "LoadCredential", "IPAddressAllow", "IPAddressDeny"),
        *("RestrictAddressFamilies", "ReadWritePaths", "BindPaths", "Documentation", "After", "Wants", "WantedBy"),
    }
)
#: Without one of these a machine can stay on, or stay out of use, when its gate dies.
_SAFETY: Final = frozenset(
    {
        *("ExecStart", "ExecStartPre", "ExecStopPost", "WatchdogSec", "WatchdogSignal", "Restart", "RestartSec"),
        *("StartLimitIntervalSec", "KillMode", "TimeoutStopSec", "Type"),
    }
)
#: Settings that no unit of ours has, and that keep one from starting, or from starting again (systemd.service(5), systemd.unit(5)).
_HINDER: Final = re.compile(
    r"RestartPreventExitStatus|RemainAfterExit|RestartSteps|RestartMaxDelaySec|ExecCondition|Condition\w+|Assert\w+"
)
Setting = tuple[str, str]
Settings = dict[Setting, list[str]]


def shipped(name: str) -> str | None:
    """Return the text of ``systemd/…`` or ``hardware/…`` as shipped; None where this installation has no such files."""
    beside = Path(fabgate.__file__).parents[1] / name
    if beside.is_file():  # run from its source tree
        return beside.read_text("utf-8")
    try:
        files = metadata.files("fabgate") or ()
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.as_posix().endswith(f"{_INSTALLED}/{name}"):
            return Path(str(file.locate())).read_text("utf-8")
    return None


def settings(texts: Iterable[str]) -> Settings:
    """Return the settings of a unit and then of its drop-ins, as systemd reads them (systemd.syntax(7))."""
    found: Settings = {}
    for text in texts:
        for section, key, value in _assignments(text):
            values = found.setdefault((section, key), [])
            if not value or key not in _LISTS:
                values.clear()  # an empty assignment empties a list; any other replaces a single value
            if value or key not in _LISTS:
                values.append(value)
    return found


def differences(wanted: Settings, found: Settings) -> list[Setting]:
    """Return each setting that is not as wanted.

    Further values of a list are a workshop's own, and so are further settings, unless they keep the unit from starting.
    """
    others = [
        setting
        for setting, values in wanted.items()
        if not _contains(found.get(setting, []), values, exactly=setting[1] not in _LISTS)
    ]
    return others + [
        setting for setting, values in found.items() if setting not in wanted and _hinders(setting) and any(values)
    ]


def counts_for_safety(setting: Setting) -> bool:
    """Say whether a machine can stay on, or stay out of use, if a person changes this setting."""
    return setting[1] in _SAFETY or _hinders(setting)


def is_list(key: str) -> bool:
    """Say whether systemd collects the values of this setting."""
    return key in _LISTS


def _hinders(setting: Setting) -> bool:
    return _HINDER.fullmatch(setting[1]) is not None


def unit_texts(system: System, name: str) -> tuple[Path | None, list[Path]]:
    """Return the file of a unit that systemd uses, and its drop-ins in their order."""
    unit = next((path for folder in _UNIT_FOLDERS if (path := system.path(f"{folder}/{name}")).is_file()), None)
    drop_ins: dict[str, Path] = {}
    for folder in reversed(_UNIT_FOLDERS):  # a file in /etc hides one of the same name in /usr
        drop_ins |= {path.name: path for path in system.found(f"{folder}/{name}.d/*.conf")}
    return unit, [drop_ins[key] for key in sorted(drop_ins)]


def is_masked(system: System, name: str) -> bool:
    """Return whether a link to /dev/null keeps systemd from starting a unit (systemctl mask)."""
    paths = [system.path(f"{folder}/{name}") for folder in _UNIT_FOLDERS]
    first = next((path for path in paths if path.is_symlink() or path.is_file()), None)
    return first is not None and first.is_symlink() and str(first.readlink()) == "/dev/null"


def effective(system: System, name: str) -> Settings | None:
    """Return the settings of an installed unit with its drop-ins; None where it is not installed."""
    unit, drop_ins = unit_texts(system, name)
    return None if unit is None else settings(path.read_text("utf-8") for path in (unit, *drop_ins))


def judge_unit(check: str, name: str, system: System) -> Finding:
    """Compare the installed unit `name` and its drop-ins with the shipped one."""
    text, found = shipped(f"systemd/{name}"), effective(system, name)
    if text is None:
        return not_checked(check, "this installation has no copy of the units that fabgate ships")
    if found is None:
        return fail(check, f"{name} is not installed: nothing starts it, and nothing watches it", installed.unit(name))
    if is_masked(system, name):
        return fail(check, f"{name} is masked: systemd does not start it", f"systemctl unmask {name}")
    wanted = settings([text])
    file, paths = unit_texts(system, name)
    drop_ins = [f"{path.parent.name}/{path.name}" for path in paths]
    others = differences(wanted, found)
    if not others:
        more = f", with {', '.join(drop_ins)}" if drop_ins else ""
        return ok(check, f"{name} is as shipped{more}")
    shown = "; ".join(
        f"{key}: found {' '.join(found.get((section, key), [])) or 'nothing'} in place of {' '.join(wanted.get((section, key), [])) or 'nothing'}"
        for section, key in others[:3]
    )
    more = f"; and {len(others) - 3} more" if len(others) > 3 else ""
    # A package has its units in /usr/lib; a copy in another folder is of `systemctl edit --full`, or was installed by hand.
    hidden_by = "" if file is None else f"/{file.relative_to(system.root)}"
    hint = installed.unit(name, "" if hidden_by.startswith("/usr/lib/") else hidden_by)
    if drop_ins:
        hint = f"compare {', '.join(drop_ins)}, or {hint}"
    judged = fail if any(key in _SAFETY or _hinders((section, key)) for section, key in others) else warn
    return judged(check, f"{name} is not as shipped: {shown}{more}", hint)


def _assignments(text: str) -> Iterator[tuple[str, str, str]]:
    section = ""
    for line in text.replace("\\\n", " ").splitlines():
        plain = line.strip()
        if plain.startswith("[") and plain.endswith("]"):
            section = plain[1:-1]
        elif plain and plain[0] not in "#;" and "=" in plain:
            key, _, value = plain.partition("=")
            yield section, key.strip(), value.strip()


def _contains(found: list[str], wanted: list[str], *, exactly: bool) -> bool:
    if exactly:
        return found == wanted
    left = iter(found)
    return all(value in left for value in wanted)  # in the same order
