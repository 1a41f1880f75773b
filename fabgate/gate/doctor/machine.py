"""Checks the gate itself and its Pi: configuration, unit, pins, reader, watchdog. The output is never opened."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from typing import Any, Final

import msgspec
import yaml

from fabgate import installed
from fabgate.doctor import shipped
from fabgate.doctor.finding import Finding, Outcome, fail, not_checked, ok, warn
from fabgate.errors import HardwareError, UsageError
from fabgate.gate.config import gate_yaml
from fabgate.gate.config.hardware import SIMULATED_OUTPUT
from fabgate.gate.doctor import pi, service
from fabgate.gate.doctor.facts import UNIT, Facts
from fabgate.gate.doctor.pcsc import pcsc
from fabgate.gate.terminal.check import NO_SUPPLY_LOSS, check, output_problems, output_warnings

#: The account of the unit.
ACCOUNT: Final = "fabgate"
#: The drivers that use pins through gpiozero; mfrc522 resets its board by one.
_ON_PINS: Final = frozenset({"gpio", "s0", "lights", "buzzer", "mfrc522"})
_WORST_FIRST: Final = (Outcome.FAIL, Outcome.WARN, Outcome.OK, Outcome.NOT_CHECKED)


def configuration(facts: Facts) -> Finding:
    """Check gate.yaml and its roster file, as `fabgate check` does."""
    try:
        found = check(facts.path, ask_output=False)
    except PermissionError:
        raise  # another account may: that is no mistake
    except (UsageError, OSError) as error:
        first, *more = str(error).splitlines()
        others = f" (and {len(more)} more)" if more else ""
        return fail("configuration", f"{first}{others}", f"fabgate check {facts.path} names every mistake")
    if NO_SUPPLY_LOSS in found.warnings:
        return warn(
            "configuration",
            "a session may go on while the contactor's 24 V are missing; when the 24 V return, the machine has power"
            " again",
            "wire inputs.estop_pin, or close its loop with a wire link (hardware/wiring.md)",
        )
    return ok("configuration", f"{facts.path} describes the gate {found.config.topics.account}")


def gate(facts: Facts) -> Finding:
    """Check whether the gate runs, and what it reports."""
    return service.process(facts.status, runs=facts.runs)


def unit(facts: Facts) -> Finding:
    """Compare the installed unit and its drop-ins with the shipped one."""
    if facts.unit is None and not facts.is_pi:
        return not_checked("unit", f"this computer is not a Raspberry Pi, and {UNIT} is not installed")
    found = shipped.judge_unit("unit", UNIT, facts.system)
    if any(SIMULATED_OUTPUT in value for value in (facts.unit or {}).get(("Service", "Environment"), [])):
        return fail(
            "unit",
            f"the unit sets {SIMULATED_OUTPUT}: a simulated reader may power a real machine",
            f"take {SIMULATED_OUTPUT} out of the unit and its drop-ins: systemctl cat {UNIT} shows them",
        )
    users = (facts.unit or {}).get(("Service", "User"), [])
    accounts = {line.partition(":")[0] for line in (facts.system.read("/etc/passwd") or "").splitlines()}
    if found.outcome is Outcome.OK and users and not {*users} <= accounts:
        return fail(
            "unit",
            f"the account {users[0]} does not exist: systemd cannot start the gate",
            installed.account(users[0]),
        )
    wanted_by = facts.system.path(f"/etc/systemd/system/multi-user.target.wants/{UNIT}")
    if found.outcome is Outcome.OK and not wanted_by.is_symlink():
        return warn("unit", f"{UNIT} is not enabled: the gate does not start with the Pi", f"systemctl enable {UNIT}")
    return found


def line_off(facts: Facts) -> Finding:
    """Compare the helper that switches off with the shipped one."""
    path = installed.line_off()
    text, wanted = facts.system.read(path), shipped.shipped("systemd/line-off")
    if text is None and not facts.is_pi:
        return not_checked("line-off", "this computer is not a Raspberry Pi")
    if wanted is None:
        return not_checked("line-off", "this installation has no copy of line-off")
    todo = installed.line_off_again()
    if text is None:
        return fail(
            "line-off",
            f"there is no {path}: nothing switches the machine off when the gate dies",
            todo,
        )
    if text != wanted.strip():
        return fail("line-off", f"{path} is not the one of this version", todo)
    if not facts.system.path(path).stat().st_mode & stat.S_IXUSR:
        return fail("line-off", f"{path} cannot be executed", f"chmod 755 {path}")
    return ok("line-off", "as shipped; systemd runs it before each start of the gate, and after each end")


def pin_library(facts: Facts) -> Finding:
    """Check which library for pins the unit sets, and which ones are missing."""
    if facts.is_emulated:
        return not_checked("pin-library", "the hardware is emulated (demo: true)")
    wanted = _pin_libraries(facts.config)
    if not wanted:
        return not_checked("pin-library", "no part of this gate is on pins or SPI")
    if not facts.is_pi:
        unseen = "this computer is not a Raspberry Pi"
    else:
        unseen = "" if facts.system.is_live else "the files are of another computer (--root)"
    return pi.pin_library(facts.unit, {} if unseen else {name: _version(name) for name in wanted}, unseen)


def _pin_libraries(config: gate_yaml.Config) -> list[str]:
    """Return the libraries for pins and SPI that the drivers of this gate import when they open."""
    drivers = {section.driver for section in (config.output, *config.reader, *config.panel, *config.meter)}
    has_inputs = any(pin is not None for pin in msgspec.structs.astuple(config.inputs))
    wanted = ["gpiozero", "lgpio"] if has_inputs or drivers & _ON_PINS else []
    wanted += ["spidev"] if drivers & {"mfrc522", "neopixel"} else []
    return wanted + (["mfrc522"] if "mfrc522" in drivers else [])


def _version(library: str) -> str | None:
    """Return the version of a library of this Python, "" where it does not say it, and None where there is none."""
    if find_spec(library) is None:
        return None
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""  # a package of Debian may have no metadata


def pins(facts: Facts) -> Finding:
    """Compare the pins of gate.yaml with the wiring table."""
    text = shipped.shipped("hardware/pins.yaml")
    # The table has the wires of one reader, an RC522.
    drivers = [reader.driver for reader in facts.config.reader]
    known = facts.reader_key(drivers.index("mfrc522")) if "mfrc522" in drivers else "reader of none"
    used = {key.replace(f"{known}.", "reader.", 1): value for key, value in facts.used.items() if _is_wired(key, known)}
    return pi.pins(used, None if text is None else yaml.safe_load(text))


def _is_wired(key: str, reader: str) -> bool:
    return not key.startswith("reader") or key.startswith(f"{reader}.")


def spi(facts: Facts) -> Finding:
    """Check the SPI devices of readers and of pixels."""
    readers = [facts.reader_key(place) for place in range(len(facts.config.reader))]
    places = [(facts.used.get(f"{key}.bus"), facts.used.get(f"{key}.device")) for key in readers]
    places += [(one.options.spi_bus, one.options.spi_device) for one in facts.config.panel if _is_on_spi(one)]
    names = [f"/dev/spidev{bus}.{device}" for bus, device in places if bus is not None and device is not None]
    if not names:
        drivers = " and ".join(reader.driver for reader in facts.config.reader)
        return not_checked("spi", f"the reader {drivers} does not use SPI")
    rows = [line.split(":") for line in (facts.system.read("/etc/group") or "").splitlines()]
    groups = {row[0]: row[3].split(",") for row in rows if len(row) == 4}
    devices = {name: facts.system.path(name).exists() for name in names}
    return pi.spi(devices, groups=groups, account=ACCOUNT, is_pi=facts.is_pi)


def _is_on_spi(panel: gate_yaml.Driver) -> bool:
    return hasattr(panel.options, "spi_bus")


def reader_device(facts: Facts) -> Finding:
    """Check the devices of readers on a serial line or a USB input, and what pcscd needs for its readers."""
    return _each_reader(facts, partial(_reader_device, facts))


def _reader_device(facts: Facts, section: gate_yaml.Driver) -> Finding:
    if section.driver == "pcsc":
        return (
            pcsc(facts.system) if facts.is_pi else not_checked("reader-device", "this computer is not a Raspberry Pi")
        )
    path = getattr(section.options, "port", None) or getattr(section.options, "event_path", None)
    if not isinstance(path, str):
        return not_checked("reader-device", f"the reader {section.driver} is not on a serial line or USB")
    exists = facts.system.path(path).exists()
    if not facts.is_pi and not exists:
        return not_checked("reader-device", "this computer is not a Raspberry Pi")
    return pi.reader_device(path, exists=exists, unit=facts.unit, kernel_line=facts.system.read("/proc/cmdline") or "")


def i2c(facts: Facts) -> Finding:
    """Check the I2C buses of displays and meters."""
    if facts.is_emulated:
        return not_checked("i2c", "the hardware is emulated (demo: true)")
    sections = (*facts.config.panel, *facts.config.meter)
    buses = [section.options.i2c_bus for section in sections if hasattr(section.options, "i2c_bus")]
    exists = {bus: facts.system.path(f"/dev/i2c-{bus}").exists() for bus in buses}
    if not facts.is_pi and not all(exists.values()):
        return not_checked("i2c", "this computer is not a Raspberry Pi")
    return pi.i2c(exists, facts.unit)


def reader(facts: Facts) -> Finding:
    """Ask the running gate about its readers, or open those of a stopped one."""
    return _each_reader(facts, partial(_reader, facts))


def _each_reader(facts: Facts, judge: Callable[[gate_yaml.Driver], Finding]) -> Finding:
    """Return the finding about the reader; about several the worst outcome, and what is true of each."""
    config = facts.config
    found = [judge(section) for section in config.reader]
    if len(found) == 1:
        return found[0]
    told = [f"{config.reader_name(place)}: {finding.text}" for place, finding in enumerate(found)]
    steps = dict.fromkeys(finding.next_step for finding in found if finding.next_step)
    worst = min(found, key=lambda finding: _WORST_FIRST.index(finding.outcome))
    return Finding(worst.id, worst.outcome, " | ".join(told), " | ".join(steps))


def _reader(facts: Facts, section: gate_yaml.Driver) -> Finding:
    if facts.runs:
        place = facts.config.reader.index(section)
        name = facts.config.reader_name(place) if len(facts.config.reader) > 1 else ""
        found = service.running_reader(
            facts.status, supervised=_is_supervised(section.driver), todo=_wires(section.driver), name=name
        )
        pauses_ms = (facts.status or {}).get("longest_pauses_ms", [0] * (place + 1))
        return service.repetitions(found, pauses_ms[place], getattr(section.options, "gone_after_ms", 0))
    if facts.is_emulated and section.driver == "simulated":
        return not_checked("reader", "the reader is simulated (demo: true)")
    if not facts.is_pi and not facts.is_emulated:
        return not_checked("reader", "this computer is not a Raspberry Pi")
    if not facts.system.is_live and not facts.is_emulated:
        return not_checked("reader", "the files are of another computer (--root)")
    with tempfile.TemporaryDirectory() as folder:
        if not facts.is_emulated:
            # As in the unit: without them gpiozero takes another library, and lgpio writes where it may not.
            os.environ.setdefault("GPIOZERO_PIN_FACTORY", "lgpio")
            os.environ["LG_WD"] = folder
        return _opened(gate_yaml.make_driver("reader", section), section.driver)


def _opened(device: Any, driver: str) -> Finding:
    """Open a reader, ask for its identity, and close it."""
    try:
        device.open()
        identity = getattr(device, "identity", "") or f"the reader {driver} answers"
        return ok("reader", identity if _is_supervised(driver) else f"{identity} is open; {service.UNSUPERVISED}")
    except HardwareError as error:
        return fail("reader", str(error), _wires(driver))
    finally:
        device.close()


def _is_supervised(driver: str) -> bool:
    """Return whether an unplugged reader of this driver can be noticed."""
    return bool(getattr(gate_yaml.driver_class("reader", driver), "supervised", True))


def _wires(driver: str) -> str:
    """Return the next step for a broken reader."""
    if driver == "mfrc522":
        return "check the ribbon, its 3.3 V supply, and SPI (hardware/wiring.md)"
    return "check the reader's plug, wires and supply (docs/readers/README.md)"


def output(facts: Facts) -> Finding:
    """Ask an output on a network whether something else than the gate could switch the machine on."""
    driver = facts.config.output.driver
    if not getattr(gate_yaml.driver_class("output", driver), "blocks", False):
        return not_checked("output", f"the output {driver} is not on a network")
    try:
        problems = output_problems(facts.config)
        warnings = [] if problems else output_warnings(facts.config)
    except HardwareError as error:
        return fail(
            "output", str(error), "check the plug's socket, the Wi-Fi and the plug's address (docs/outputs/README.md)"
        )
    if problems:
        return fail(
            "output", "; ".join(problems), "open the plug's page and change this setting (docs/outputs/README.md)"
        )
    if warnings:
        return warn(
            "output", "; ".join(warnings), "open the plug's page and enter this setting (docs/outputs/README.md)"
        )
    return ok("output", f"the output {driver} answers, and only the gate can switch it on from the network")


def watchdog(facts: Facts) -> Finding:
    """Check the hardware watchdog."""
    read = facts.system.read
    folder = "/sys/class/watchdog/watchdog0"
    return pi.watchdog(read(f"{folder}/state"), read(f"{folder}/timeout"), is_pi=facts.is_pi)
