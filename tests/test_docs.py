"""Does docs/reference.md name everything that the code has, and nothing else?"""

from __future__ import annotations

import argparse
import ast
import re
from functools import cache
from pathlib import Path

import msgspec
import pytest

from fabgate import badge, errors, wire
from fabgate.cli import arguments
from fabgate.collector.ground.base import environ
from fabgate.collector.processes.doctor import examination as collectors
from fabgate.errors import FabgateError
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.doctor import examination as gates
from fabgate.gate.panel import messages
from fabgate.gate.roster import file
from fabgate.gate.terminal.check import check
from fabgate.rules import vocabulary
from tests.cli.running import every_verb
from tests.gate.config.gate_files import keys_of

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference.md"
README = ROOT / "README.md"
DECISIONS = ROOT / "docs" / "decisions"
CODES = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FabgateError)}


@cache
def section(title: str) -> str:
    """Return a section of the reference, without its title."""
    found = re.search(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", REFERENCE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert found, f"docs/reference.md has no section {title!r}"
    return found[1]


def rows(title: str) -> list[list[str]]:
    """Return the rows of a section's tables, without heads."""
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [
        row
        for row in cells
        if not set(row[0]) <= {"-"} and row[0] not in ("key", "verb", "code", "topic", "type", "spelling", "reference")
    ]


def first(title: str) -> list[str]:
    return [row[0].strip("`") for row in rows(title)]


# --- gate.yaml --------------------------------------------------------------------------------------------------------


def test_every_key_of_gate_yaml_is_there_once_and_no_other_in_the_order_of_the_code():
    assert first("gate.yaml") == list(keys_of(Config)), "add the missing keys to docs/reference.md"


def test_the_defaults_are_those_of_the_code():
    defaults = keys_of(Config)
    for key, _, default, _ in rows("gate.yaml"):
        wanted = defaults[key.strip("`")]
        if wanted is msgspec.NODEFAULT:
            assert default == "**required**", key
        elif wanted in (None, ""):
            assert default == "none", key
        else:
            assert default == f"`{str(wanted).lower() if isinstance(wanted, bool) else wanted}`", key


def test_every_key_of_a_roster_file_is_there():
    assert set(first("Roster files")) == set(file._KEYS)


def test_every_spelling_of_a_badge_is_read_and_every_prefix_is_told():
    told = [spelling for row in rows("Spellings of a badge") for spelling in re.findall(r"`([^`]+)`", row[0])]
    for spelling in told:
        badge.parse(spelling)
    prefixes = {spelling.partition(":")[0] for spelling in told}
    assert set(badge.PREFIXES) - {"hex"} <= prefixes


# --- verbs and exit codes ---------------------------------------------------------------------------------------------


@cache
def verbs() -> dict[str, argparse.ArgumentParser]:
    found, top = {}, arguments.parser([])
    for verb in every_verb(top):
        parser = top
        for word in verb:
            (below,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
            parser = below.choices[word]
        found[" ".join(verb)] = parser
    return found


@cache
def told_verbs() -> dict[str, tuple[str, str]]:
    known = verbs()
    found = {}
    for line, _, codes in rows("Verbs"):
        words = line.strip("`").removeprefix("fabgate ")
        name = max((name for name in known if f"{words} ".startswith(f"{name} ")), key=len, default=words)
        found[name] = (words, codes)
    return found


def test_every_verb_is_there_and_no_other():
    assert told_verbs().keys() == verbs().keys()


@pytest.mark.parametrize("name", verbs())
def test_a_verb_is_told_with_its_arguments_and_exit_codes(name):
    words, codes = told_verbs()[name]
    given = {int(code) for code in re.findall(r"(?:^|; )(\d+)\b", codes)}
    assert {0, 2} <= given
    assert given <= CODES | {0}
    general = {"--help", "--actor"}
    if "Those that read the data of a gate take `--config FILE`" in section("Verbs"):
        general |= {"--config", "--state-dir"}
    parser = verbs()[name]
    options = {option for action in parser._actions for option in action.option_strings if option.startswith("--")}
    missing = {option for option in options - general if option not in words}
    assert missing <= {"--title"}, f"{name}: tell {missing}"
    for option in re.findall(r"--[a-z-]+", words):
        assert option in options, f"{name} has no {option}"


@pytest.mark.parametrize(
    ("title", "checks"),
    [("Findings of the doctor", gates.CHECKS), ("Findings of the collector's doctor", collectors.CHECKS)],
)
def test_every_finding_of_a_doctor_is_there_in_the_order_of_the_code(title, checks):
    told = re.findall(r"^\| `([a-z0-9-]+)` \|", section(title), re.MULTILINE)
    assert told == list(checks)


def test_every_exit_code_is_there_with_its_error():
    told = {row[0]: row[2].strip("`") for row in rows("Exit codes") if len(row) > 2}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, FabgateError):
            assert told[str(kind.exit_code)] == kind.__name__
    assert {row[0] for row in rows("Exit codes")} == {"0", "130", *map(str, CODES)}


# --- the wire ---------------------------------------------------------------------------------------------------------


def test_every_topic_is_there_and_no_other():
    gate = wire.GateTopics("<site>", "<gate>")
    leaves = wire.Leaf.__args__
    assert set(first("Topics")) == {
        f"{gate.base}/event/<domain>/<what>",
        *(gate.topic(leaf) for leaf in leaves),
        wire.collector_status_topic("<site>"),
    }


def test_every_command_is_there():
    assert re.findall(r"`([a-z-]+)`", section("Topics").partition("Commands:")[2]) == list(wire.COMMANDS)


def test_every_entry_type_is_there_with_its_data_and_no_other():
    told = {row[0].strip("`"): re.findall(r"`([a-z_]+)`", row[2]) for row in rows("Entry types")}
    assert told.keys() == wire.ENTRY_TYPES.keys()
    for name, data in wire.ENTRY_TYPES.items():
        assert told[name] == [field for field in data.__struct_fields__ if field not in ("clock", "unrecorded")], name


def test_every_end_reason_and_every_cause_is_there_in_order():
    ends, _, causes = section("Entry types").partition("Sessions end for one of:")[2].partition("Causes that block")
    assert tuple(re.findall(r"`([a-z-]+)`", ends)) == wire.END_REASONS
    assert re.findall(r"`([a-z-]+)`", causes) == [cause.value for cause in vocabulary.Cause]


def test_every_reason_of_a_refusal_is_there_as_the_display_shows_it():
    public = section("Reasons for a refusal").partition("Any other reason")[0]
    assert set(re.findall(r"`([a-z-]+)`", public)) == messages.PUBLIC
    told = {row[1].strip("`"): int(row[0]) for row in rows("Reasons for a refusal") if row[1] != "reason"}
    assert told == {**messages.REFERENCES, "any other": messages.OTHER_REFERENCE}


# --- other pages ------------------------------------------------------------------------------------------------------


def test_the_readme_leads_to_the_reference_and_its_verbs_exist():
    text = README.read_text("utf-8")
    assert "(docs/reference.md)" in text
    known = verbs()
    for line in re.findall(r"^fabgate ([a-z].*?)(?:\s+#.*)?$", text, re.MULTILINE):
        assert any(f"{line} ".startswith(f"{name} ") for name in known), line


PAGES = [*ROOT.glob("*.md"), *(path for folder in ("docs", "hardware") for path in (ROOT / folder).rglob("*.md"))]


def test_links_lead_somewhere():
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8"))]
    assert not [pair for pair in links if "://" not in pair[1] and not (pair[0].parent / pair[1]).exists()]


def test_each_picture_of_the_docs_is_shown_or_linked_and_there_are_few():
    texts = "".join(page.read_text("utf-8") for page in (README, *ROOT.glob("docs/**/*.md")))
    pictures = [file.name for file in ROOT.glob("docs/**/*.png")]
    assert [name for name in pictures if name not in texts] == []
    assert len(pictures) <= 12, "each picture makes every clone larger for ever"


def test_the_index_lists_every_decision_by_its_title():
    found = re.findall(r"^- \[(.*)\]\((.*)\)$", (DECISIONS / "README.md").read_text("utf-8"), re.MULTILINE)
    pages = {page.name: page.read_text("utf-8").splitlines()[0] for page in DECISIONS.glob("0*.md")}
    assert sorted((name, f"# {title}") for title, name in found) == sorted(pages.items())


def test_each_decision_that_code_or_docs_name_exists():
    numbers = {int(page.name[:4]) for page in DECISIONS.glob("0*.md")}
    files = [file for folder in ("fabgate", "tests", "bench", "docs") for file in (ROOT / folder).rglob("*")]
    texts = [file for file in files if file.suffix in {".py", ".md"}]
    for text in (*texts, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "setup.cfg"):
        named = re.findall(r"\bdecisions?[ /](\d+)", text.read_text("utf-8"))
        assert {int(number) for number in named} <= numbers, text


def test_each_file_that_a_decision_names_exists():
    folders = ("fabgate", "tests", "bench", "tools", "docs")
    files = [f"/{file.relative_to(ROOT)}" for folder in folders for file in (ROOT / folder).rglob("*")]
    for page in DECISIONS.glob("0*.md"):
        for name in re.findall(r"`([\w/.-]+\.(?:py|js|md|map))`", page.read_text("utf-8")):
            assert any(file.endswith(f"/{name}") for file in files), f"{page.name}: {name}"


def test_the_smallest_gate_of_the_readme_and_its_members_are_right(tmp_path):
    gate, members = re.findall(r"^```yaml\n(.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (tmp_path / "gate.yaml").write_text(gate, encoding="utf-8")
    (tmp_path / "members.yaml").write_text(members, encoding="utf-8")
    found = check(tmp_path / "gate.yaml")
    assert found.config.topics.account == "lyon/laser-1"
    assert [member.name for member in found.roster.members] == ["Ada", "Bob"]


def test_each_document_that_the_code_names_exists():
    named = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in sorted((ROOT / "fabgate").rglob("*.*"))
        if path.suffix in {".py", ".html", ".po", ".js"}
        for name in re.findall(r"\b(?:docs|hardware)/[\w/.-]+\.(?:md|yaml|json)\b", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 20
    assert [where for where in sorted(named) if not (ROOT / where[1]).exists()] == []


def _lines(path: Path, passage: str) -> int:
    """Return how many lines a passage of the README's reading list has."""
    text = path.read_text("utf-8")
    tree, names = ast.parse(text), re.findall(r"`(\w[\w ]*)`", passage)
    if passage == "all of it":
        return len(text.splitlines())
    if passage.startswith("down to"):
        return next(n for n, line in enumerate(text.splitlines()) if names[0] in line)
    top = tree.body[0].end_lineno if "top" in passage else 0
    found = {getattr(node, "name", ""): node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    found |= {ast.unparse(node.target): node for node in tree.body if isinstance(node, ast.AnnAssign)}
    return (top or 0) + sum((found[name].end_lineno or 0) - found[name].lineno + 1 for name in names)


def test_what_the_readme_says_to_read_is_there_and_as_short_as_it_says():
    rows = re.findall(
        r"^\| (\[.*\]\(fabgate/rules/.*\)) \| (.*) \| (\d+) \| .* \|$", README.read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) > 5
    for files, passage, said in rows:
        lines = sum(_lines(ROOT / name, passage) for name in re.findall(r"\((.*?)\)", files))
        assert abs(lines - int(said)) <= 10, (files, lines)


def test_the_readme_names_the_variables_of_a_first_start():
    text = README.read_text("utf-8")
    rows = re.findall(r"^\| `(FABGATE_\w+)` \|.*\| (.*) \|$", text, re.MULTILINE)
    variables = re.findall(r"^\| `(FABGATE_\w+)`", section("Environment of the collector"), re.MULTILINE)
    assert {name for name, _ in rows} <= set(variables)
    assert dict(rows)["FABGATE_DATA"] == f"`{environ.DEFAULT_DATA}`"
    assert {"FABGATE_SITE", "FABGATE_TZ", "FABGATE_LANG"} <= dict(rows).keys()
    assert re.search(r"^export FABGATE_SITE=\S+ .*FABGATE_DATA=\S+\nfabgate collector ", text, re.MULTILINE)
