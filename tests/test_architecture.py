"""Do imports point one way, is power switched on in one place, and do both ends use the same words?

What is checked is the table of docs/architecture.md: a room may use what stands below it and nothing else.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import fabgate
from fabgate import wire
from fabgate.gate.config import gate_yaml
from fabgate.rules import vocabulary
from tests.support.patience import HANGS_S

ROOT = Path(fabgate.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

#: Which of our own rooms each room may import beside itself. `fabgate` is the version.
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "__main__": {"cli"},
    "errors": set(),
    "installed": {"fabgate"},
    "badge": {"errors"},
    "po": set(),
    "verb_groups": set(),
    "days": set(),
    "display": set(),
    "translations": {"po"},
    "phrases": {"po"},
    "seal": {"errors"},
    "join": {"errors"},
    "pricing": set(),
    "wire": {"errors"},
    "yaml_reading": {"errors"},
    "mqtt": {"errors", "wire"},
    "doctor": {"errors", "fabgate", "installed", "mqtt", "phrases"},
    "computer": {"doctor", "errors", "installed"},
    "by_hand": {"computer", "doctor", "errors", "fabgate", "installed"},
    "rules": set(),
    "drivers": {"badge", "display", "errors", "installed"},
    "testing": {"badge", "collector", "drivers", "errors"},
    "gate": {
        "doctor",
        "fabgate",
        "join",
        "pricing",
        "rules",
        "drivers",
        "mqtt",
        "wire",
        "seal",
        "badge",
        "days",
        "display",
        "phrases",
        "translations",
        "yaml_reading",
        "installed",
        "errors",
    },
    "collector": {
        "computer",
        "by_hand",
        "doctor",
        "fabgate",
        "join",
        "verb_groups",
        "pricing",
        "mqtt",
        "wire",
        "seal",
        "badge",
        "days",
        "po",
        "display",
        "translations",
        "yaml_reading",
        "installed",
        "errors",
    },
    "demo": {"fabgate", "collector", "gate", "rules", "drivers", "wire", "seal", "badge", "errors"},
    "cli": {
        "by_hand",
        "computer",
        "fabgate",
        "demo",
        "doctor",
        "collector",
        "gate",
        "join",
        "drivers",
        "phrases",
        "verb_groups",
        "installed",
        "wire",
        "badge",
        "errors",
        "testing",
    },
}
#: The same inside the collector, which has wings with rooms of their own, the gate, the rules and the demo. A room is a
#: folder, or a file next to them. What every room may import is the package itself: its docstring, its constants.
INSIDE: dict[str, dict[str, set[str]]] = {
    "collector": {
        "ground": set(),
        "models": {"ground"},
        "settings": {"ground"},
        "recording": {"ground"},
        "money": {"ground", "recording"},
        "members": {"ground", "money", "recording"},
        "apps": {"ground", "members"},
        "faces": {"ground", "members", "money", "recording"},
        "processes": {"faces", "ground", "members", "money", "recording"},
        "setup": {"ground"},
        "cli": {"ground", "members", "money", "processes", "recording", "setup"},
        "__main__": {"cli"},
    },
    "collector.ground": {
        "base": set(),
        "catalogues": set(),
        "formats": set(),
        "tables": set(),
        "mails": {"base"},
        "authorities": {"base"},
        "models": {"base"},
        "db": {"models"},
        "migrations": {"base", "db", "models"},
    },
    "collector.recording": {
        "broker": set(),
        "entries": {"broker"},
        "sessions": {"entries"},
        "intake": {"broker", "entries", "sessions"},
    },
    "collector.setup": {
        "authority": set(),
        "paths": set(),
        "systemd": set(),
        "settings_file": set(),
        "debian_mosquitto": {"systemd"},
        "site": {"authority", "paths"},
        "examine": {"paths", "site", "systemd"},
        "steps": {"authority", "debian_mosquitto", "paths", "settings_file", "site", "systemd"},
        "run": {"authority", "examine", "paths", "settings_file", "site", "steps"},
        "turn": {"authority", "paths", "run", "site", "steps"},
    },
    "collector.money": {
        "billing": set(),
        "paper": {"billing"},
    },
    "collector.members": {
        "access": set(),
        "accounts": set(),
        "machines": {"access"},
        "people": {"access", "accounts"},
    },
    "collector.faces": {
        "api": set(),
        "pages": {"api"},
        "template_tags": {"pages"},
        "port_80": {"pages"},
        "urls": {"api", "pages"},
    },
    "collector.processes": {
        "backup": {"ends"},
        "doctor": set(),
        "ends": set(),
        "ingest": set(),
        "lanes": set(),
        "listening": set(),
        "run": set(),
        "verify": set(),
        "asgi": {"lanes"},
        "nightly": {"run", "verify"},
        "restored_database": {"verify"},
        "rollback": {"backup", "ends", "restored_database"},
        "start": {"restored_database", "verify"},
        "web": {"asgi", "listening"},
        "worker": {"nightly", "restored_database", "verify"},
    },
    "gate": {
        "clock": set(),
        "logs": set(),
        "systemd": set(),
        "workers": set(),
        "config": {"clock"},
        "journal": {"clock"},
        "hardware": {"clock", "config"},
        "panel": {"clock", "config", "roster"},
        "roster": {"clock", "config"},
        "uplink": {"clock", "config", "journal"},
        "parts": {"clock", "config", "hardware", "journal", "roster", "uplink"},
        "command_executor": {"journal", "parts", "roster"},
        "reports": {
            "command_executor",
            "config",
            "hardware",
            "journal",
            "panel",
            "parts",
            "roster",
            "uplink",
            "workers",
        },
        "checks": {"hardware", "parts", "reports"},
        "terminal": {"clock", "config", "journal", "roster", "uplink"},
        "status": {"clock", "config", "journal", "parts", "reports", "roster", "terminal", "uplink"},
        "doctor": {"clock", "config", "roster", "terminal", "uplink"},
        "joining": {"clock", "journal", "roster"},
        "selftest": {"config", "journal", "panel", "roster", "terminal"},
        "run_start": {"clock", "config", "journal", "roster", "terminal"},
        "wiring": {"clock", "config", "hardware", "journal", "roster", "uplink"},
        "daemon": {
            "checks",
            "clock",
            "config",
            "hardware",
            "journal",
            "panel",
            "parts",
            "reports",
            "roster",
            "run_start",
            "status",
            "systemd",
            "uplink",
            "wiring",
            "workers",
        },
    },
    # What decides (reactions) cannot reach what acts (power).
    "rules": {
        "vocabulary": set(),
        "access": {"vocabulary"},
        "meter": set(),
        "sensing": set(),
        "presence": {"vocabulary"},
        "readers": {"vocabulary"},
        "term": {"vocabulary"},
        "intents": {"vocabulary"},
        "machine": {"access", "meter", "readers", "term", "vocabulary"},
        "bookkeeping": {"intents", "machine"},
        "panel": {"machine", "term", "vocabulary"},
        "reactions": {"access", "intents", "machine", "vocabulary"},
        "power": {"bookkeeping", "intents", "machine", "meter", "reactions", "readers", "term", "vocabulary"},
        "gate": {"access", "intents", "machine", "panel", "power", "reactions", "readers", "vocabulary"},
    },
    "demo": {
        "observer": set(),
        "waiting": set(),
        "books": {"observer"},
        "furnishing": {"waiting"},
        "taps": {"waiting"},
        "processes": {"books", "furnishing", "observer", "waiting"},
        "start": {"furnishing", "processes"},
        "live": {"books", "furnishing", "processes", "start", "taps", "waiting"},
        "script": {"books", "furnishing", "live", "processes", "start", "taps", "waiting"},
    },
}
#: A folder with more files than these wants rooms.
MOST_FILES = 12
#: What a module of PyPI is called in setup.cfg.
DISTRIBUTION = {"yaml": "pyyaml", "paho": "paho-mqtt"}


@cache
def imported(path: Path) -> tuple[str, ...]:
    """Return every module that a file names in an import, also inside functions and for types only."""
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by full name"
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("import_module", "importlib.import_module"):
            # The fixed start of its name says into which room it reaches.
            first = node.args[0].values[0] if isinstance(node.args[0], ast.JoinedStr) else node.args[0]
            if isinstance(first, ast.Constant):
                yield str(first.value)


def room(path: Path) -> str:
    """Return the room that a file belongs to: the name behind ``fabgate/``."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def room_of(module: str) -> str:
    """Return the room that an import reaches into."""
    part = [*module.split("."), ""][1]
    return part if part in MAY_IMPORT else "fabgate"


def ours(path: Path) -> set[str]:
    return {room_of(name) for name in imported(path) if name.split(".")[0] == "fabgate"} - {room(path)}


def others(path: Path) -> set[str]:
    """Return the packages of others that a file imports."""
    found = {name.split(".")[0] for name in imported(path)}
    return found - set(sys.stdlib_module_names) - {"fabgate", "__future__"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- imports ----------------------------------------------------------------------------------------------------------


def test_every_file_stands_in_a_room_that_the_table_knows():
    assert {room(path) for path in FILES} == MAY_IMPORT.keys()


def test_imports_point_down():
    upwards = {named(path): ours(path) - MAY_IMPORT[room(path)] for path in FILES}
    assert not {path: found for path, found in upwards.items() if found}


def inner_room(module: str, outer: str) -> str:
    """Return the room inside `outer` that a module belongs to; nothing for the package itself."""
    return module.removeprefix(f"fabgate.{outer}").lstrip(".").split(".")[0]


def own_name(path: Path) -> str:
    """Return the name by which a file of ours is imported."""
    return ".".join(("fabgate", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


@pytest.mark.parametrize("outer", INSIDE)
def test_imports_point_down_inside_too(outer):
    modules = {own_name(path): path for path in FILES if f"{own_name(path)}.".startswith(f"fabgate.{outer}.")}
    assert {inner_room(name, outer) for name in modules} - {""} == INSIDE[outer].keys()
    for name, path in modules.items():
        own = inner_room(name, outer)
        reached = {inner_room(found, outer) for found in imported(path) if found.startswith(f"fabgate.{outer}.")}
        reached = {found for found in reached if found in INSIDE[outer]} - {own}
        assert reached <= INSIDE[outer].get(own, set()), name


@pytest.mark.parametrize("table", [MAY_IMPORT, *INSIDE.values()], ids=["fabgate", *INSIDE])
def test_the_table_itself_has_no_circle(table):
    assert set().union(*table.values()) <= {"fabgate", *table}
    assert not circle(table)


def test_no_imports_go_round_between_the_rooms_of_a_folder():
    folders = {path.parent for path in FILES} - {ROOT}
    assert {ROOT / "collector" / "money" / "billing", ROOT / "collector" / "faces" / "pages"} < folders
    found = {named(folder): circle(arrows(folder)) for folder in folders}
    assert {folder: rooms for folder, rooms in found.items() if rooms} == {}


def arrows(folder: Path) -> dict[str, set[str]]:
    """Return, for each room of a folder, the rooms of this folder that it imports. A file beside the rooms is one too."""
    outer = own_name(folder / "__init__.py").removeprefix("fabgate.")
    found: dict[str, set[str]] = defaultdict(set)
    for path in FILES:
        if folder in path.parents:
            reached = (name for name in imported(path) if name.startswith(f"fabgate.{outer}."))
            found[inner_room(own_name(path), outer)] |= {inner_room(name, outer) for name in reached}
    return {own: reached - {own} for own, reached in found.items()}


def circle(below: Mapping[str, set[str]]) -> list[str]:
    """Return rooms that import each other in a circle, if there are any."""
    try:
        TopologicalSorter(below).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


PAGE = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")


def first_cells(title: str) -> list[str]:
    """Return the first cell of each row of a table of the page, by the first cell of its head."""
    _head, _line, *rows = PAGE.split(f"| {title} |")[1].split("\n\n")[0].splitlines()
    return [row.split("|")[1] for row in rows]


@pytest.mark.parametrize("outer", ["money/billing", "faces/pages"])
def test_the_page_names_the_rooms_from_below(outer):
    """Each row of its table has rooms that use those above it, or to their left."""
    cells = first_cells(f"room of `{outer}/`")
    order = [name for cell in cells for name in re.findall(r"`(\w+)/?`", cell)]
    below = arrows(ROOT / "collector" / outer)
    assert sorted(order) == sorted(below.keys() - {""})
    assert {name: found for place, name in enumerate(order) if (found := below[name] - {*order[:place]})} == {}


def test_the_page_names_the_wings_of_the_collector_and_their_rooms_from_below():
    """Each wing uses those above it in the table of wings, and each room those above it in the table of rooms."""
    wings = [name for cell in first_cells("wing of the collector") for name in re.findall(r"`(\w+)/`", cell)]
    below = arrows(ROOT / "collector")
    assert {*wings} == {name for name in below if name and (ROOT / "collector" / name).is_dir()}
    assert {name: found for place, name in enumerate(wings) if (found := below[name] & {*wings[place:]})} == {}
    rooms = [name for cell in first_cells("room of the collector") for name in re.findall(r"`(\w+(?:/\w+)?)/?`", cell)]
    assert list(dict.fromkeys(name.split("/")[0] for name in rooms)) == wings
    for wing in wings:
        order = [name.partition("/")[2] for name in rooms if name.startswith(f"{wing}/")]
        inside = INSIDE.get(f"collector.{wing}", {})
        assert sorted(order) == sorted(inside)
        assert {name: found for place, name in enumerate(order) if (found := inside[name] - {*order[:place]})} == {}


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c", "d"}, "c": {"a"}})
    assert not circle({"a": {"b", "c"}, "b": {"c"}, "c": set()})


def test_no_room_is_a_corridor():
    counts = Counter(str(path.parent.relative_to(ROOT)) for path in FILES if path.name != "__init__.py")
    for folder, files in counts.items():
        assert files <= MOST_FILES or folder.endswith("/migrations"), f"{folder}: {files} files want rooms"


def test_only_the_command_line_of_the_collector_reads_arguments():
    below = {named(path) for path in FILES if room(path) == "collector" and "argparse" in imported(path)}
    assert not {name for name in below if not name.startswith("collector/cli/")}


def test_gate_and_collector_know_nothing_of_each_other():
    for path in FILES:
        if room(path) in ("gate", "collector"):
            other = {"gate": "collector", "collector": "gate"}[room(path)]
            assert other not in ours(path), path


def test_the_rules_need_the_standard_library_only():
    for path in FILES:
        if room(path) == "rules":
            assert others(path) == set(), path
            assert ours(path) == set(), path


def test_the_rules_do_no_input_and_output_and_ask_no_clock():
    forbidden = {"os", "pathlib", "socket", "sqlite3", "threading", "time", "queue", "logging", "io", "random"}
    for path in FILES:
        if room(path) == "rules":
            assert not forbidden & {name.split(".")[0] for name in imported(path)}, path
            called = {
                ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
            }
            assert not called & {"open", "print", "input", "datetime.now", "datetime.utcnow", "date.today"}, path


def test_no_driver_and_no_gate_imports_emulated_hardware():
    room_of_emulators = "fabgate.drivers.emulated"
    users = {
        own_name(path)
        for path in FILES
        if any(f"{name}.".startswith(f"{room_of_emulators}.") for name in imported(path))
        and not own_name(path).startswith(room_of_emulators)
    }
    assert {name.split(".")[1] for name in users} == {"cli", "demo", "testing"}
    assert {name for name in users if name.startswith("fabgate.cli.")} == {"fabgate.cli.demo"}


def test_the_table_of_emulated_hardware_is_filled_in_one_place():
    assert {named(path) for path in FILES if "EMULATORS" in path.read_text(encoding="utf-8")} == {
        "drivers/__init__.py",
        "testing/emulated_hardware.py",
    }
    assert [named(path) for path, _ in calls("provide")] == ["cli/run.py"]
    assert {named(path) for path in FILES if "testing" in ours(path)} == {"cli/run.py"}


def test_the_contracts_for_authors_need_no_collector_but_the_contract_of_sinks():
    """It names no table and no setting, so that a sink is tested without Django."""
    users = {named(path): {name for name in imported(path) if name.startswith("fabgate.collector")} for path in FILES}
    found = {name: reached for name, reached in users.items() if name.startswith("testing/") and reached}
    assert {*found} == {"testing/sinks.py"}
    billing = "fabgate.collector.money.billing"
    own = (f"{billing}.sinks.contract.", f"{billing}.prepaid.words.")
    assert {name for name in found["testing/sinks.py"] if not name.startswith(own)} == set()
    program = "import sys, fabgate.testing.sinks, fabgate.collector.money.billing.sinks.http; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=HANGS_S)
    assert "django" not in done.stdout.split()


def test_django_is_nowhere_outside_collector_and_demo():
    for path in FILES:
        if "django" in others(path):
            assert room(path) in ("collector", "demo"), path


def test_paho_is_made_and_driven_in_one_room():
    assert {named(path) for path in FILES if "paho" in others(path) and room(path) != "mqtt"} == {
        "collector/recording/broker/accounts/control.py",
        "collector/recording/broker/client.py",
        "collector/recording/broker/link.py",
        "collector/recording/broker/once.py",
        "gate/uplink/connection.py",
        "gate/uplink/events.py",
        "gate/uplink/network.py",
    }
    assert [named(path) for path, _ in calls("Client")] == ["mqtt/client.py"]
    for name in ("loop_read", "loop_write", "loop_misc"):
        assert [named(path) for path, _ in calls(name)] == ["mqtt/driver.py"]
    for name in ("loop", "loop_start", "loop_forever"):  # paho's own, which do not watch themselves
        assert not calls(name)


def test_a_gate_imports_only_what_it_installs():
    setup = ConfigParser()
    setup.read(ROOT.parent / "setup.cfg")
    required = {line.split()[0] for line in setup["options"]["install_requires"].split("\n") if line.strip()}
    assert required == {"msgspec", "paho-mqtt", "pyyaml", "requests"}
    for path in FILES:
        if room(path) in ("gate", "mqtt", "wire", "badge", "seal", "errors", "cli"):
            assert {DISTRIBUTION.get(name, name) for name in others(path)} <= required, path


def test_a_gate_that_starts_has_not_imported_what_it_may_never_need():
    program = (
        "import sys, fabgate.gate.daemon, fabgate.cli.run; fabgate.cli.parser(['run']).parse_args(['run']);"
        "print(*{*sys.modules, *(name.split('.')[0] for name in sys.modules)})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=HANGS_S)
    loaded = set(done.stdout.split())
    assert "paho" in loaded or "msgspec" in loaded
    assert not loaded & {"PIL", "RPLCD", "luma", "smbus2"}
    assert not loaded & {
        "fabgate.badge.short_forms",
        "fabgate.badge.wiegand_frames",
        "fabgate.collector",
        "fabgate.drivers.emulated",
        "fabgate.drivers.meters",
        "fabgate.gate.hardware.meter_thread",
        "fabgate.gate.hardware.output_thread",
        "fabgate.rules.sensing",
        "fabgate.testing",
    }
    assert {name for name in loaded if name.startswith("fabgate.cli.")} == {
        "fabgate.cli.arguments",
        "fabgate.cli.arguments.shared",
        "fabgate.cli.run",
    }
    assert not loaded & {"requests", "django", "gpiozero", "mfrc522", "spidev", "rich", "iotcore", "pytest", "asyncio"}


def test_every_entry_point_is_one_of_our_classes_and_keeps_its_options():
    for kind, group in gate_yaml.KINDS.items():
        points = {
            point.name: point for point in gate_yaml.entry_points(group=group) if point.value.startswith("fabgate.")
        }
        assert points, kind
        for name in points:
            assert gate_yaml.driver_class(kind, name).__module__.startswith(f"fabgate.drivers.{kind}s.")


# --- power ------------------------------------------------------------------------------------------------------------


def calls(name: str) -> list[tuple[Path, ast.Call]]:
    """Return every call of something that ends in this name."""
    return all_calls()[name]


@cache
def all_calls() -> dict[str, list[tuple[Path, ast.Call]]]:
    """Return every call, by the last part of what is called."""
    found: dict[str, list[tuple[Path, ast.Call]]] = defaultdict(list)
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                found[ast.unparse(node.func).split(".")[-1]].append((path, node))
    return found


def test_set_power_on_is_written_in_exactly_one_place():
    switches = [(path, [*node.args, *(keyword.value for keyword in node.keywords)]) for path, node in calls("SetPower")]
    for path, values in switches:
        assert len(values) == 1, path
        assert isinstance(values[0], ast.Constant), f"{path}: say on=True or on=False, never a value"
    assert [named(path) for path, (value,) in switches if value.value is not False] == ["rules/power.py"]
    assert any(value.value is False for _, (value,) in switches)


def test_nothing_goes_round_the_call_that_is_counted():
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            # A second name for the class, or a copy of an order with another value, could not be counted.
            if isinstance(node, ast.alias) and node.name.split(".")[-1] == "SetPower":
                assert node.asname is None, path
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                assert ast.unparse(node.value).split(".")[-1] != "SetPower", path


# --- words ------------------------------------------------------------------------------------------------------------


def test_the_rules_end_sessions_for_the_reasons_that_the_wire_knows():
    assert set(wire.END_REASONS) == {reason.value for reason in vocabulary.EndReason}
    assert len(wire.END_REASONS) == len(set(wire.END_REASONS))


def test_every_entry_type_is_a_domain_and_a_word_and_has_a_topic():
    topics = wire.GateTopics("lyon", "saw")
    for name in wire.ENTRY_TYPES:
        domain, what = name.split(".")
        assert topics.event(wire.full_type(name)) == f"fabgate/v1/lyon/saw/event/{domain}/{what}"
        assert wire.short_type(wire.full_type(name)) == name


#: Files of billing that wait for other programs, for seconds or parts of them.
WAITING = {f"sinks/{name}.py" for name in ("contract", "http", "sending", "drivers/stripe", "drivers/webhook")}


def test_money_is_never_a_float():
    for room_of_money in ("pricing", "collector/money/billing", "collector/ground/models/billing"):
        for path in (ROOT / room_of_money).rglob("*.py"):
            if str(path.relative_to(ROOT / room_of_money)) not in WAITING:
                assert not list(floats(path.read_text(encoding="utf-8"))), path


def floats(source: str) -> Iterator[int]:
    """Yield the lines in which a float can come to be, but for divisions."""
    for node in ast.walk(ast.parse(source)):
        is_literal = isinstance(node, ast.Constant) and type(node.value) is float
        is_type = isinstance(node, ast.Name) and node.id == "float"
        is_column = isinstance(node, ast.Attribute) and node.attr == "FloatField"
        if is_literal or is_type or is_column:
            yield node.lineno


@pytest.mark.parametrize("source", ["x = 0.5", "def f(x: float): ...", "x = models.FloatField()"])
def test_a_float_is_found(source):
    assert list(floats(source)) == [1]


# --- tests ------------------------------------------------------------------------------------------------------------


def test_no_test_module_imports_another():
    """What several of them use is a fixture in a conftest.py, or in a module without tests."""
    tests = ROOT.parent / "tests"
    found = {path: list(imported_tests(path.read_text(encoding="utf-8"))) for path in tests.rglob("*.py")}
    assert len(found) > 100
    assert {str(path.relative_to(tests)): names for path, names in found.items() if names} == {}


def imported_tests(source: str) -> Iterator[str]:
    """Yield the names of test modules that are imported."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            paths = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            yield from (path for path in paths if path.split(".")[-1].startswith("test_"))


@pytest.mark.parametrize(
    "source",
    [
        "import tests.test_badge",
        "from tests import test_badge",
        "from .test_badge import x",
        "if x:\n import test_badge as b",
    ],
)
def test_an_imported_test_module_is_found(source):
    assert len(list(imported_tests(source))) == 1
