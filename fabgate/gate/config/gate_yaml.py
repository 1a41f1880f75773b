"""Reads gate.yaml, and reports all its mistakes at once, each with what was found and what was wanted.

A machine is never run on a guess: with one mistake nothing starts. The annotated example is config/gate.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from msgspec import Meta, Struct

from fabgate import installed as how_installed
from fabgate import wire
from fabgate.errors import FabgateError, UsageError
from fabgate.gate.config.hardware import (
    check_hardware,
    check_reader_keys,
    installed,
    kind_of,
)
from fabgate.gate.config.meters import check_meters, is_threshold, meters_of, senses_work
from fabgate.gate.config.network import check_mqtt, check_url
from fabgate.gate.config.readers import check_readers, readers_of
from fabgate.seal import Keys
from fabgate.yaml_reading.yaml_file import Reading, join, near, shown

KINDS: Final = {
    "reader": "fabgate.readers",
    "output": "fabgate.outputs",
    "panel": "fabgate.panels",
    "meter": "fabgate.meters",
}
DAY_S: Final = 86_400
_NO_RUN_SENSE: Final = (
    "found {} without inputs.running_pin, wanted both; the gate cannot tell that the machine is idle. Wire run-sense"
    " (hardware/wiring.md) and name its pin, give a meter its thresholds (docs/sensing.md), or"
)
#: The error text for an idle time without run-sense; {} is the time in seconds.
NO_RUN_SENSE: Final = f"{_NO_RUN_SENSE} leave out idle_off_s"
#: The same where the rule is the collector's.
NO_RUN_SENSE_FOR_COLLECTOR: Final = (
    f"{_NO_RUN_SENSE} remove the rule at the collector, on the machine's page or with `fabgate-collector machine-set MACHINE"
    " idle_off_s=`"
)
#: The longest key of BLAKE2b.
MAX_BADGE_KEY_BYTES: Final = 64

#: Power always has a deadline, at most a month.
Deadline = Annotated[int, Meta(ge=1, le=31 * DAY_S)]
Seconds = Annotated[int, Meta(ge=0, le=31 * DAY_S)]
Pin = Annotated[int, Meta(ge=2, le=27, description="a GPIO from 2 to 27 (BCM numbers)")]
#: The languages of displays, as fabgate/translations.py has them.
Lang = Literal["en", "fr"]
Word = Annotated[str, Meta(min_length=1, description="text that is not empty")]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the sections of gate.yaml."""


class MachineSection(Section, frozen=True, kw_only=True):
    """``machine``: its name, and the rules that apply while there is no roster."""

    name: str = ""
    mode: Literal["tap", "hold", "timed", "audit"] = "tap"
    limit_s: Deadline = 43_200
    max_s: Deadline | None = None
    idle_off_s: Deadline | None = None
    warn_s: Seconds = 120
    grace_s: Seconds = 10
    run_on_s: Seconds = 0
    warm_up_s: Seconds = 0
    finish: Literal["wait", "cut"] = "wait"
    finish_max_s: Seconds = 14_400
    handover: bool = False
    supervisor: Literal["never", "minors", "always"] = "minors"
    sponsor: bool = False
    on_stale: Literal["allow", "deny"] = "allow"

    def rules(self) -> wire.MachineRules:
        """Return the fallback rules."""
        values = {name: getattr(self, name) for name in self.__struct_fields__ if name != "name"}
        if self.max_s is None:
            values["max_s"] = max(self.limit_s, wire.MachineRules().max_s)
        return wire.MachineRules(**values)


class Driver(Section, frozen=True, kw_only=True):
    """``output``, or one of ``reader``, ``panel`` or ``meter``: the name of a driver, and the options of that driver.

    `holds` says that this one of several readers holds the card in hold mode.
    """

    driver: str
    options: Any = None
    holds: bool = False


class Held(Section, frozen=True, kw_only=True):
    """What a section of ``reader`` says beside the options of its driver."""

    holds: bool = False


#: Each reader costs a thread and about 1 % of a core.
Readers = Annotated[list[Driver], Meta(min_length=1, max_length=3, description="keys and values")]


class Inputs(Section, frozen=True, kw_only=True):
    """``inputs``: BCM pins, normally closed to ground; an open wire reads as pressed."""

    running_pin: Pin | None = None
    stop_pin: Pin | None = None
    estop_pin: Pin | None = None
    flag_pin: Pin | None = None


class RosterSource(Section, frozen=True, kw_only=True):
    """``roster``: a file, or a collector's URL with the gate's token."""

    file: Path | None = None
    url: Annotated[str, Meta(pattern="^https?://[^/]", description="a URL that starts with https://")] | None = None
    token_file: Path | None = None
    ca: Path | None = None
    fetch_every_s: Annotated[int, Meta(ge=1, le=DAY_S)] = 60


class Tls(Section, frozen=True, kw_only=True):
    """``mqtt.tls``: the authority of the broker's certificate, and the gate's own certificate if the broker needs one."""

    ca: Path
    cert: Path | None = None
    key: Path | None = None


class Mqtt(Section, frozen=True, kw_only=True):
    """``mqtt``: the broker."""

    host: Word
    port: Annotated[int, Meta(ge=1, le=65_535)] = 1883
    tls: Tls | None = None
    username: Word | None = None
    password_file: Path | None = None


class EmergencyBadge(Section, frozen=True, kw_only=True):
    """One of ``emergency_badges``: the digest that ``fabgate badge --digest`` prints, and a label for the record."""

    digest: Annotated[
        str, Meta(pattern="^[0-9a-f]{64}$", description="the 64 hex digits that 'fabgate badge --digest' prints")
    ]
    label: Annotated[str, Meta(min_length=1, max_length=60, description="a label of 1 to 60 characters")]


class JournalOptions(Section, frozen=True, kw_only=True):
    """``journal``: how often a running session is saved, and how many entries are kept."""

    checkpoint_s: Annotated[int, Meta(ge=1, le=900)] = 30
    keep_days: Annotated[int, Meta(ge=1, le=3_650)] = 90
    max_entries: Annotated[int, Meta(ge=1_000, le=10_000_000)] = 100_000


class UplinkOptions(Section, frozen=True, kw_only=True):
    """``uplink``: when entries that are not acknowledged are published again."""

    resend_s: Annotated[float, Meta(ge=0.1, le=DAY_S)] = 10
    resend_max_s: Annotated[float, Meta(ge=0.1, le=DAY_S)] = 300


class ClockOptions(Section, frozen=True, kw_only=True):
    """``clock``: what decides whether the wall clock is synchronised."""

    source: Literal["kernel", "timesyncd", "assume-synced", "emulated"] = "kernel"


class Config(Section, frozen=True, kw_only=True):
    """All of gate.yaml."""

    site: str
    gate: str
    state_dir: Path
    demo: bool = False
    lang: Lang = "en"
    machine: MachineSection = MachineSection()
    reader: Readers
    output: Driver
    inputs: Inputs = Inputs()
    panel: list[Driver] = []
    meter: list[Driver] = []
    roster: RosterSource
    mqtt: Mqtt | None = None
    gate_key_file: Path | None = None
    badge_key_file: Path | None = None
    collector_id: Word | None = None
    emergency_badges: list[EmergencyBadge] = []
    journal: JournalOptions = JournalOptions()
    uplink: UplinkOptions = UplinkOptions()
    clock: ClockOptions = ClockOptions()

    @property
    def topics(self) -> wire.GateTopics:
        """Return the gate's topics."""
        return wire.GateTopics(self.site, self.gate)

    @property
    def senses_work(self) -> bool:
        """Return whether an input or a meter says that the machine works."""
        return self.inputs.running_pin is not None or any(_has_thresholds(section.options) for section in self.meter)

    def reader_name(self, reader: int) -> str:
        """Return what people call a reader, by its place in ``reader``."""
        return "the reader" if len(self.reader) == 1 else f"reader {reader + 1} ({self.reader[reader].driver})"

    def holder(self, readers: Sequence[Any]) -> int:
        """Return which of `readers` (drivers or their classes) holds cards in hold mode: the named one, or the first that can."""
        named = [place for place, section in enumerate(self.reader) if section.holds]
        able = [place for place, reader in enumerate(readers) if getattr(reader, "continuous", None) is not False]
        return (*named, *able, 0)[0]


def _has_thresholds(options: Any) -> bool:
    """Return whether a meter's options say above which level the machine works."""
    return any(getattr(options, name) is not None for name in options.__struct_fields__ if is_threshold(name))


def load(path: Path, *, switches: bool = True) -> Config:
    """Read and check gate.yaml. Raises UsageError with a line for every mistake.

    `switches` False is for verbs that only read what a gate has stored, or tap on its reader: they may do so for the demo's
    gate on a simulated plug.
    """
    config, reading = load_with_mistakes(path, switches=switches)
    if config is None:
        raise UsageError("\n".join(reading.mistakes))
    return config


def load_with_mistakes(path: Path, *, switches: bool = True) -> tuple[Config | None, Reading]:
    """Read and check gate.yaml. Return the configuration, None if it has a mistake, and the reading with all mistakes.

    Raises UsageError for a file without keys.
    """
    reading = Reading(path, {Driver: _read_driver}, "site: lyon")
    config = reading.struct(reading.root(), Config, "")
    checks = (
        _check_names,
        _check_machine,
        _check_readers,
        _check_meters,
        _check_roster,
        check_url,
        check_mqtt,
        _check_rest,
    )
    for check in checks:
        check(reading)
    _check_files(reading)
    check_hardware(reading, switches=switches)
    check_reader_keys(reading, driver_class)
    return (None if reading.mistakes else config), reading


def driver_class(kind: str, name: str) -> Any:
    """Return a driver's class by its kind (reader, output, panel, meter) and name. Raises UsageError for an unknown one."""
    points = {point.name: point for point in entry_points(group=KINDS[kind])}
    if name not in points:
        raise UsageError(f"found the {kind} driver {name!r}, wanted {near(name, sorted(points))}")
    try:
        driver = points[name].load()
    except (Exception, SystemExit) as error:
        # A driver of another package, or a library below it, may raise anything: RPi.GPIO raises RuntimeError on a PC.
        raise UsageError(
            f"the {kind} driver {name!r} cannot be loaded ({type(error).__name__}: {error}); a package is missing or"
            f" broken; {how_installed.driver('pi')}"
        ) from error
    if not (isinstance(getattr(driver, "Options", None), type) and issubclass(driver.Options, Struct)):
        raise UsageError(f"found the {kind} driver {name!r} without Options, wanted a msgspec Struct; tell its author")
    return driver


def make_driver(kind: str, section: Driver) -> Any:
    """Return a driver, not yet open. Raises UsageError, also where its constructor fails."""
    try:
        return driver_class(kind, section.driver)(section.options)
    except FabgateError:
        raise
    except (Exception, SystemExit) as error:
        # A driver of another package may raise anything, and its error names neither the driver nor the file.
        raise UsageError(
            f"the {kind} driver {section.driver!r} failed in its constructor ({type(error).__name__}: {error}), which must"
            " do nothing: report it to its author"
        ) from error


def _read_driver(reading: Reading, nodes: dict[str, Any], where: str) -> Driver | None:
    """Read ``driver``, and from the other keys the options of that driver."""
    name, kind = nodes.pop("driver", None), kind_of(where)
    held = Held()
    if kind == "reader":
        held = reading.fields({key: nodes.pop(key) for key in ("holds",) if key in nodes}, Held, where)
    if not isinstance(name, yaml.ScalarNode):
        reading.wrong(join(where, "driver"), f"found {shown(name)}, wanted the name of a {kind} driver", node=name)
        return None
    try:
        driver = driver_class(kind, name.value)
        installed(kind, name.value, driver)
        options_type = driver.Options
    except UsageError as error:
        reading.wrong(join(where, "driver"), str(error), node=name)
        return None
    reading.values[join(where, "driver")] = name.value
    options = reading.fields(nodes, options_type, where)
    return None if options is None or held is None else Driver(driver=name.value, options=options, holds=held.holds)


# --- checks of several values together, and of this computer ----------------------------------------------------------


def _check_names(reading: Reading) -> None:
    for what in ("site", "gate"):
        if what in reading.values:
            try:
                wire.check_name(reading.values[what], what=what)
            except UsageError as error:
                reading.wrong(what, f"{error}; the name is part of every topic")


def _check_machine(reading: Reading) -> None:
    values = reading.values
    limit_s, max_s = values.get("machine.limit_s"), values.get("machine.max_s")
    if limit_s is not None and max_s is not None and max_s < limit_s:
        reading.wrong(
            "machine.max_s", f"found {max_s}, wanted {limit_s} (limit_s) or more; a session may be extended up to it"
        )
    if reading.has("machine.warn_s"):
        times = {name: values.get(f"machine.{name}") for name in ("limit_s", "idle_off_s", "warn_s")}
        known = wire.MachineRules(**{name: seconds for name, seconds in times.items() if seconds is not None})
        for text in wire.warning_mistakes(known).values():
            reading.wrong("machine.warn_s", text.removeprefix("warn_s: "))
    idle_off_s = values.get("machine.idle_off_s")
    if idle_off_s is not None and not senses_work(values):
        reading.wrong("machine.idle_off_s", NO_RUN_SENSE.format(idle_off_s))


def _check_readers(reading: Reading) -> None:
    check_readers(reading, {key: driver_class("reader", name) for key, name in readers_of(reading).items()})


def _check_meters(reading: Reading) -> None:
    output = reading.values.get("output.driver")
    drivers = {key: driver_class("meter", name) for key, name in meters_of(reading.values).items()}
    check_meters(reading, drivers, None if output is None else driver_class("output", output))


def _check_roster(reading: Reading) -> None:
    values = reading.values
    if "roster.file" not in values or "roster.url" not in values:
        return
    file, url = values["roster.file"], values["roster.url"]
    if (file is None) == (url is None):
        found = "neither file nor url" if file is None else "both file and url"
        reading.wrong("roster", f"found {found}, wanted one of them; a gate has one list of members")
    _check_ca(reading, url)
    if url is None:
        return
    if values.get("roster.token_file", ...) is None:
        reading.wrong(
            "roster.token_file", "found nothing, wanted a path; the collector gives a roster only to gates with a token"
        )
    if values.get("gate_key_file", ...) is None:
        reading.wrong(
            "gate_key_file",
            "found nothing, wanted a path; without it the gate cannot tell a real roster from a forged one",
        )
    if values.get("badge_key_file", ...) is None:
        reading.wrong(
            "badge_key_file",
            "found nothing, wanted a path; a collector's roster has badges digested under the site's key",
        )


def _check_ca(reading: Reading, url: str | None) -> None:
    ca = reading.values.get("roster.ca")
    if ca is None:
        return
    if url is None or not url.startswith("https://"):
        reading.wrong(
            "roster.ca", "found it without an https:// url, wanted both or neither; it is used for https only"
        )
    if ca.is_file():
        import ssl  # noqa: PLC0415 - most gates start without it

        try:
            ssl.create_default_context(cafile=ca)
        except OSError as error:
            reading.wrong(
                "roster.ca",
                f"found {ca} without a certificate that can be read ({error.strerror or error}), wanted PEM: the lines"
                " from BEGIN CERTIFICATE to END CERTIFICATE of the authority that signed the collector's certificate",
            )


def _check_rest(reading: Reading) -> None:
    values = reading.values
    first, most = values.get("uplink.resend_s"), values.get("uplink.resend_max_s")
    if first is not None and most is not None and most < first:
        reading.wrong("uplink.resend_max_s", f"found {most:g}, wanted {first:g} (resend_s) or more")
    seen: dict[str, str] = {}
    for key, value in list(values.items()):
        if key.startswith("emergency_badges[") and key.endswith(".digest"):
            if value in seen:
                reading.wrong(key, f"found the badge of {seen[value]} again, wanted another one")
            seen.setdefault(value, key.removesuffix(".digest"))


def _check_files(reading: Reading) -> None:
    values = reading.values
    for name in ("file", "token_file", "ca"):
        _check_file(reading, f"roster.{name}")
    for key in ("gate_key_file", "badge_key_file", "mqtt.password_file", "output.password_file"):
        _check_file(reading, key)
    for name in ("ca", "cert", "key"):
        _check_file(reading, f"mqtt.tls.{name}")
    for key in ("gate_key_file", "badge_key_file"):
        if values.get(key) is not None and values[key].is_file():
            try:
                keys = Keys.load(values[key])
            except UsageError as error:
                reading.wrong(key, str(error))
                continue
            longest = max(map(len, keys.by_id.values()))
            if key == "badge_key_file" and longest > MAX_BADGE_KEY_BYTES:
                reading.wrong(key, f"found a key of {longest} bytes, wanted 16 to {MAX_BADGE_KEY_BYTES}")
    state_dir = values.get("state_dir")
    if state_dir is not None and state_dir.exists() and not state_dir.is_dir():
        reading.wrong("state_dir", f"found a file {state_dir}, wanted a directory; the gate makes a missing one")


def _check_file(reading: Reading, key: str) -> None:
    file = reading.values.get(key)
    if file is not None and not file.is_file():
        reading.wrong(key, f"found no file {file}, wanted one; relative paths start at the folder of this file")
