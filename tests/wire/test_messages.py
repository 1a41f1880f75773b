"""Does every message mean the same on both sides, in every version, and crash neither whatever arrives?"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fabgate import __version__, wire
from fabgate.errors import UsageError
from tools import schema

GOLDEN = Path(__file__).parents[1] / "golden"
#: The messages that have gained fields since the last release.
NEXT = GOLDEN / "next"

files = sorted(GOLDEN.glob("*/*.json"))


def name_of(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


# --- golden messages --------------------------------------------------------------------------------------------------


def is_inside(part: Any, whole: Any) -> bool:
    if isinstance(part, dict):
        return all(key in whole and is_inside(value, whole[key]) for key, value in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(is_inside, part, whole))
    return bool(part == whole)


@pytest.mark.parametrize("file", files, ids=name_of)
def test_the_messages_of_every_released_version_decode_for_ever(file):
    """Never change or remove a golden file. Each version adds its own."""
    body = file.read_bytes().strip()
    kind = file.stem.split(".")[0]
    message = wire.decode_entry(body) if kind == "entry" else wire.decode(body, schema.MESSAGES[kind])
    assert is_inside(json.loads(body), json.loads(wire.encode(message))), "no field was lost"
    if isinstance(message, wire.Entry):
        data = wire.decode_data(message)
        assert data is not None
        assert is_inside(json.loads(body)["data"], json.loads(wire.encode(data)))


def test_every_message_of_this_version_has_a_golden_file_with_every_field():
    found = {file.stem for file in files if file.parent.name == __version__}
    wanted = {f"entry.{name}" for name in wire.ENTRY_TYPES} | (set(schema.MESSAGES) - {"entry"})
    assert wanted <= found
    for name in sorted(wanted):
        gained = NEXT / f"{name}.json"
        message = json.loads((gained if gained.exists() else GOLDEN / __version__ / gained.name).read_bytes())
        kind = wire.ENTRY_TYPES.get(name.removeprefix("entry.")) or schema.MESSAGES[name]
        fields = set(message["data"] if name.startswith("entry.") else message)
        assert fields == {field.encode_name for field in msgspec.structs.fields(kind)}, name


def test_the_schemas_are_current_and_describe_every_message():
    """Run ``python -m tools.schema`` when this fails."""
    written = {file.name: file.read_text(encoding="utf-8") for file in schema.FOLDER.glob("*.json")}
    assert written == schema.schemas(), "run python -m tools.schema"
    described = set(re.findall(r'"title": "(\w+)"', "".join(written.values())))
    assert {kind.__name__ for kind in kinds(wire.Message) if not kind.__subclasses__()} <= described


def kinds(base: type) -> set[type]:
    """Return the messages of the package that are derived from one."""
    below = {kind for kind in base.__subclasses__() if kind.__module__.startswith("fabgate.wire.")}
    return below.union(*map(kinds, below))


def test_the_schema_command_writes_them_and_removes_old_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "FOLDER", tmp_path / "schema")
    schema.main()
    (tmp_path / "schema" / "gone.json").write_text("{}")
    schema.main()
    assert {file.name for file in (tmp_path / "schema").iterdir()} == set(schema.schemas())


# --- only additions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", files, ids=name_of)
def test_unknown_fields_are_ignored_wherever_they_stand(file):
    def with_more(value: Any) -> Any:
        if isinstance(value, dict):
            return {"x_new": {"deep": [1]}} | {key: with_more(part) for key, part in value.items()}
        return [with_more(part) for part in value] if isinstance(value, list) else value

    body = file.read_bytes().strip()
    more = json.dumps(with_more(json.loads(body))).encode()
    kind = file.stem.split(".")[0]
    if kind == "entry":
        old, new = wire.decode_entry(body), wire.decode_entry(more)
        assert wire.decode_data(new) == wire.decode_data(old)
        assert msgspec.structs.replace(new, data=old.data) == old
    elif kind == "roster":
        old_roster, new_roster = wire.decode(body, wire.Roster), wire.decode(more, wire.Roster)
        old_prices, new_prices = (
            (found.prices and wire.read_prices(found.prices)) for found in (old_roster, new_roster)
        )
        assert new_prices == old_prices
        assert msgspec.structs.replace(new_roster, prices=old_roster.prices) == old_roster
    else:
        assert wire.decode(more, schema.MESSAGES[kind]) == wire.decode(body, schema.MESSAGES[kind])


# --- whatever arrives -------------------------------------------------------------------------------------------------

golden_bodies = st.sampled_from([file.read_bytes().strip() for file in files])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    body = draw(golden_bodies)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=4)) + body[at + draw(st.integers(0, 6)) :]
    return body


@given(body=damaged() | st.binary(max_size=200))
@example(b'{"a":' * 50_000)
@example(b'{"version":' + b"9" * 50_000 + b"}")
@example(b'{"version":1e99999}')
def test_whatever_arrives_is_a_message_or_a_usage_error(body):
    for kind in schema.MESSAGES.values():
        try:
            wire.decode(body, kind)
        except UsageError as error:
            assert kind.__name__ in str(error)  # noqa: PT017
    try:
        entry = wire.decode_entry(body)
        wire.decode_data(entry)
        wire.parse_source(entry.source)
    except UsageError:
        pass


@given(issued=st.datetimes(timezones=st.just(UTC), max_value=datetime(9999, 1, 1)))  # noqa: DTZ001
def test_times_are_utc_and_come_back_to_the_microsecond(issued):
    command = wire.Command(
        id="c", verb="stop", boot="b", actor="a", issued=issued, expires=issued + timedelta(seconds=60)
    )
    assert wire.decode(wire.encode(command), wire.Command) == command
