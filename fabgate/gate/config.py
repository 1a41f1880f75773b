"""What does gate.yaml say, and what is wrong with it? All mistakes at once, each with what was found and wanted.

A machine is never run on a guess: one mistake and nothing starts. The annotated example is config/gate.yaml.
"""

from __future__ import annotations

import difflib
from importlib.metadata import entry_points
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec
import yaml
from msgspec import Struct

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.clock import SOURCES
from fabgate.gate.people import machine_rules

KINDS: Final = {"reader": "fabgate.readers", "output": "fabgate.outputs", "panel": "fabgate.panels"}
#: GPIO 0 to 8 are pulled up at reset, 14 and 15 are the serial port: a contactor on them closes while the Pi boots.
SAFE_OUTPUT_PINS: Final = frozenset(range(9, 28)) - {14, 15}


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the sections of gate.yaml."""


class Machine(Section, frozen=True, kw_only=True):
    """``machine``: its name, and fallbacks for the rules that a roster brings."""

    name: str = ""
    mode: str = "tap"
    limit_s: int = 43_200
    max_s: int | None = None
    idle_off_s: int | None = None
    warn_s: int = 120
    grace_s: int = 10
    run_on_s: int = 0
    warm_up_s: int = 0
    finish: str = "wait"
    finish_max_s: int = 14_400
    handover: bool = False
    supervisor: str = "minors"
    sponsor: bool = False
    on_stale: str = "allow"

    def rules(self) -> wire.MachineRules:
        """Return the fallback rules."""
        values = {name: getattr(self, name) for name in self.__struct_fields__ if name != "name"}
        if self.max_s is None:
            values["max_s"] = max(self.limit_s, wire.MachineRules().max_s)
        return wire.MachineRules(**values)


class Driver(Section, frozen=True, kw_only=True):
    """``reader``, ``output`` or ``panel``: a driver by its name, and the options of that driver."""

    driver: str
    options: Any = None


class Inputs(Section, frozen=True, kw_only=True):
    """``inputs``: BCM pins, normally closed to ground: an open wire reads as pressed."""

    running_pin: int | None = None
    stop_pin: int | None = None
    estop_pin: int | None = None
    flag_pin: int | None = None


class RosterSource(Section, frozen=True, kw_only=True):
    """``roster``: a file, or a collector's URL with the gate's token."""

    file: Path | None = None
    url: str | None = None
    token_file: Path | None = None
    fetch_every_s: int = 60


class Tls(Section, frozen=True, kw_only=True):
    """``mqtt.tls``: the authority that signed the broker's certificate, and the gate's own where the broker wants one."""

    ca: Path
    cert: Path | None = None
    key: Path | None = None


class Mqtt(Section, frozen=True, kw_only=True):
    """``mqtt``: the broker."""

    host: str
    port: int = 1883
    tls: Tls | None = None
    username: str | None = None
    password_file: Path | None = None


class EmergencyBadge(Section, frozen=True, kw_only=True):
    """One of ``emergency_badges``: the digest that ``fabgate badge --digest`` prints, and a label for the record."""

    digest: str
    label: str


class JournalOptions(Section, frozen=True, kw_only=True):
    """``journal``: how often a running session is made durable, and what is kept."""

    checkpoint_s: int = 30
    keep_days: int = 90
    max_entries: int = 100_000


class UplinkOptions(Section, frozen=True, kw_only=True):
    """``uplink``: when entries nobody acknowledged are published again."""

    resend_s: float = 10
    resend_max_s: float = 300


class ClockOptions(Section, frozen=True, kw_only=True):
    """``clock``: who says that the wall clock is right."""

    source: str = "kernel"


class Config(Section, frozen=True, kw_only=True):
    """All of gate.yaml."""

    site: str
    gate: str
    state_dir: Path
    demo: bool = False
    machine: Machine = Machine()
    reader: Driver
    output: Driver
    inputs: Inputs = Inputs()
    panel: Driver | None = None
    roster: RosterSource
    mqtt: Mqtt | None = None
    gate_key_file: Path | None = None
    badge_key_file: Path | None = None
    collector_id: str | None = None
    emergency_badges: list[EmergencyBadge] = []
    journal: JournalOptions = JournalOptions()
    uplink: UplinkOptions = UplinkOptions()
    clock: ClockOptions = ClockOptions()

    @property
    def topics(self) -> wire.GateTopics:
        """Return the gate's topics."""
        return wire.GateTopics(self.site, self.gate)


def load(path: Path) -> Config:
    """Read and check gate.yaml. Raises UsageError with a line for every mistake."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the configuration cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: {str(error).replace(chr(10), ' ')}") from error
    reading = _Reading(path)
    if not isinstance(root, yaml.MappingNode):
        raise UsageError(f"{path}: found no keys, wanted at least site, gate, state_dir, reader, output and roster")
    config = reading.struct(root, Config, "")
    if config is not None:
        reading.check(config)
    if reading.mistakes or config is None:
        raise UsageError("\n".join(reading.mistakes))
    found: Config = config
    return found


def driver_class(kind: str, name: str) -> Any:
    """Return a driver's class by its kind (reader, output, panel) and name. Raises UsageError for one nobody has."""
    points = {point.name: point for point in entry_points(group=KINDS[kind])}
    if name not in points:
        raise UsageError(f"found the {kind} driver {name!r}, wanted one of {', '.join(sorted(points))}")
    try:
        return points[name].load()
    except ImportError as error:
        raise UsageError(f"the {kind} driver {name!r} cannot be loaded ({error}); install fabgate[pi]") from error


def make_driver(kind: str, section: Driver) -> Any:
    """Return a driver, constructed and not yet open."""
    return driver_class(kind, section.driver)(section.options)


class _Reading:
    """One pass over the file that collects mistakes instead of stopping at the first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.mistakes: list[str] = []

    def wrong(self, node: Any, key: str, text: str) -> None:
        line = f":{node.start_mark.line + 1}" if node is not None else ""
        self.mistakes.append(f"{self._path}{line}: {key}: {text}")

    def struct(self, node: Any, kind: Any, where: str) -> Any:
        """Return the section, or None when something in it is wrong."""
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, where, f"found {_shown(node)}, wanted keys and values")
            return None
        nodes = self._keys(node, where)
        hints = get_type_hints(kind, include_extras=True)
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        if kind is Driver:
            return self._driver(node, nodes, where)
        before = len(self.mistakes)
        for key, (key_node, _) in nodes.items():
            if key not in fields:
                near = difflib.get_close_matches(key, fields, 1)
                hint = f"; did you mean {near[0]}?" if near else f"; wanted one of {', '.join(fields)}"
                self.wrong(key_node, _join(where, key), f"no such key{hint}")
        values = {}
        for name, field in fields.items():
            if name in nodes:
                values[name] = self._value(nodes[name][1], hints[field.name], _join(where, name))
            elif field.required:
                self.wrong(node, _join(where, name), "missing, and nothing can run without it")
        if len(self.mistakes) > before:
            return None
        try:
            return kind(**values)
        except ValueError as error:
            self.wrong(node, where, str(error))
            return None

    def _keys(self, node: Any, where: str) -> dict[str, tuple[Any, Any]]:
        found: dict[str, tuple[Any, Any]] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in found:
                self.wrong(key_node, _join(where, key), "there twice; keep one")
            found[key] = (key_node, value_node)
        return found

    def _driver(self, node: Any, nodes: dict[str, tuple[Any, Any]], where: str) -> Driver | None:
        if "driver" not in nodes:
            self.wrong(node, _join(where, "driver"), "missing: which driver?")
            return None
        name_node = nodes.pop("driver")[1]
        try:
            options_type = driver_class(where, str(name_node.value)).Options
        except UsageError as error:
            self.wrong(name_node, _join(where, "driver"), str(error))
            return None
        rest = yaml.MappingNode(node.tag, list(nodes.values()), node.start_mark, node.end_mark)
        options = self.struct(rest, options_type, where)
        return None if options is None else Driver(driver=str(name_node.value), options=options)

    def _value(self, node: Any, kind: Any, where: str) -> Any:
        union = get_args(kind) if get_origin(kind) in (Union, UnionType) else ()
        plain = [arg for arg in union if arg is not type(None)]
        optional = len(plain) < len(union)
        if optional and isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
            return None
        inner = plain[0] if optional and len(plain) == 1 else kind
        if isinstance(inner, type) and issubclass(inner, Struct):
            return self.struct(node, inner, where)
        if get_origin(inner) is list and isinstance(node, yaml.SequenceNode):
            element = get_args(inner)[0]
            return [self._value(item, element, f"{where}[{n}]") for n, item in enumerate(node.value)]
        loader = yaml.SafeLoader("")
        try:
            raw = loader.construct_object(node, deep=True)
            return msgspec.convert(raw, inner, dec_hook=self._as_path)
        except (msgspec.ValidationError, yaml.YAMLError, ValueError) as error:
            text = str(error).split(" - at")[0]
            self.wrong(node, where, f"found {_shown(node)}; {text[:1].lower()}{text[1:]}")
            return None
        finally:
            loader.dispose()

    def _as_path(self, kind: type, value: object) -> object:
        if kind is Path and isinstance(value, str):
            return self._path.parent / value  # relative to the configuration, wherever it is read from
        raise NotImplementedError(kind)

    # --- what only makes sense together -------------------------------------------------------------------------------

    def check(self, config: Config) -> None:
        """Look for what each key alone does not show."""
        for what in ("site", "gate"):
            try:
                wire.check_name(getattr(config, what), what=what)
            except UsageError as error:
                self.wrong(None, what, str(error))
        try:
            machine_rules(config.machine.rules())
        except UsageError as error:
            self.wrong(None, "machine", str(error))
        if (config.roster.file is None) == (config.roster.url is None):
            self.wrong(None, "roster", "wanted either file or url")
        if config.roster.url is not None and config.roster.token_file is None:
            self.wrong(None, "roster.token_file", "missing: a collector serves a roster only to a gate that it knows")
        if config.roster.url is not None and config.gate_key_file is None:
            self.wrong(None, "gate_key_file", "missing: without it nobody can tell a true roster from a forged one")
        if config.clock.source not in SOURCES:
            self.wrong(None, "clock.source", f"found {config.clock.source!r}, wanted {', '.join(SOURCES)}")
        if config.journal.checkpoint_s < 1:
            self.wrong(None, "journal.checkpoint_s", f"found {config.journal.checkpoint_s}, wanted 1 or more")
        self._check_files(config)
        self._check_hardware(config)

    def _check_files(self, config: Config) -> None:
        files = {
            "roster.token_file": config.roster.token_file,
            "gate_key_file": config.gate_key_file,
            "badge_key_file": config.badge_key_file,
            "mqtt.password_file": config.mqtt.password_file if config.mqtt else None,
            "mqtt.tls.ca": config.mqtt.tls.ca if config.mqtt and config.mqtt.tls else None,
        }
        for key, file in files.items():
            if file is not None and not file.is_file():
                self.wrong(None, key, f"found no file {file}")

    def _check_hardware(self, config: Config) -> None:
        emulated = [
            key
            for key, section in (("reader", config.reader), ("output", config.output))
            if section.driver == "simulated" or "emulated" in _words(section.options)
        ]
        if not config.demo:
            for key in emulated:
                self.wrong(None, key, "emulated hardware lets anybody tap any badge; it needs 'demo: true'")
        pins: dict[int, str] = {}
        for key, pin in _pins(config):
            if pin in pins:
                self.wrong(None, key, f"GPIO {pin} is {pins[pin]} already")
            pins.setdefault(pin, key)
            if key == "output.pin" and pin not in SAFE_OUTPUT_PINS:
                self.wrong(
                    None,
                    key,
                    f"found GPIO {pin}, wanted 9 to 27 but 14 and 15: the others are high while the Pi starts",
                )


def _pins(config: Config) -> list[tuple[str, int]]:
    sections = (("output", config.output.options), ("inputs", config.inputs), ("panel", config.panel))
    found = [
        (f"{where}.{name}", getattr(section, name))
        for where, section in sections
        for name in getattr(section, "__struct_fields__", ())
        if name.split("_")[-1] == "pin"
    ]
    return [(key, pin) for key, pin in found if pin is not None]


def _words(options: Any) -> list[object]:
    return [getattr(options, name) for name in getattr(options, "__struct_fields__", ())]


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _shown(node: Any) -> str:
    if isinstance(node, yaml.ScalarNode):
        return repr(node.value[:60])
    return "a list" if isinstance(node, yaml.SequenceNode) else "keys and values"
