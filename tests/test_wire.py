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
from msgspec import UNSET

from fabgate import __version__, wire
from fabgate.errors import UsageError
from fabgate.seal import to_text
from tools import schema

GOLDEN = Path(__file__).parent / "golden"
TOPICS = wire.GateTopics("lyon", "laser-1")
JOURNAL = "4f0c8d2e9b7a4c31a5d6e7f80910a2b3"
CLOCK = wire.Clock(boot="9b2f4c1e-6a1d-4b7e-8f53-0d5f3a1c2e77", boottime_ms=8123441, synced=True)
PREV = to_text(bytes(32))

files = sorted(GOLDEN.glob("*/*.json"))


def name_of(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


def encoded(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "topics": TOPICS,
        "journal": JOURNAL,
        "seq": 1042,
        "prev": PREV,
        "uid": "0193",
        "event_type": "gate.stopping",
        "data": wire.GateStopping(clock=CLOCK, reason="SIGTERM"),
        "time": None,
    }
    return wire.encode_entry(**(fields | changes))


def altered(**changes: Any) -> bytes:
    """Return an entry with fields changed, added, or taken away (None)."""
    fields = json.loads(encoded()) | changes
    return json.dumps({key: value for key, value in fields.items() if value is not None}).encode()


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
        message = json.loads((GOLDEN / __version__ / f"{name}.json").read_bytes())
        kind = wire.ENTRY_TYPES.get(name.removeprefix("entry.")) or schema.MESSAGES[name]
        fields = set(message["data"] if name.startswith("entry.") else message)
        assert fields == {field.encode_name for field in msgspec.structs.fields(kind)}, name


def test_every_struct_of_the_module_has_a_schema_and_the_schemas_are_current():
    """Run ``python -m tools.schema`` when this fails."""
    written = {file.name: file.read_text(encoding="utf-8") for file in schema.FOLDER.glob("*.json")}
    assert written == schema.schemas()


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


@pytest.mark.parametrize(
    "unknown",
    [
        "fabgate.session.paused.v1",
        "fabgate.session.ended.v2",
        "session.ended",
        "fabgate.session.ended",
        "org.other",
        "",
    ],
)
def test_an_unknown_type_has_no_data_here_and_is_no_error(unknown):
    entry = wire.decode_entry(altered(type=unknown, data={"anything": [1]}))
    assert wire.decode_data(entry) is None


def test_an_optional_field_that_is_absent_stays_absent():
    assert json.loads(wire.encode(wire.Status(online=False))) == {"online": False}
    assert "time" not in json.loads(encoded())
    assert "copyof" not in json.loads(encoded())


# --- entries ----------------------------------------------------------------------------------------------------------

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)
seqs = st.integers(1, (1 << 63) - 1)
times = st.none() | st.datetimes(timezones=st.just(UTC))


@given(seq=seqs, uid=texts, time=times, reason=texts, copyof=st.none() | texts)
def test_an_entry_comes_back_as_it_was_made(seq, uid, time, reason, copyof):
    data = wire.GateStopping(clock=CLOCK, reason=reason)
    entry = wire.decode_entry(encoded(seq=seq, uid=uid, time=time, data=data, copyof=copyof))
    assert (entry.seq, entry.uid, entry.journal, entry.subject) == (seq, uid, JOURNAL, "laser-1")
    assert entry.time == (UNSET if time is None else time)
    assert entry.copyof == (UNSET if copyof is None else copyof)
    assert wire.decode_data(entry) == data
    assert wire.parse_source(entry.source) == (TOPICS, JOURNAL)


def test_an_entry_is_a_cloudevent_1_0():
    entry = json.loads(encoded(time=datetime(2026, 11, 24, 18, 3, 11, 250_000, tzinfo=UTC), copyof="a/1/x"))
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in entry), "attribute names"
    assert all(isinstance(value, str) for name, value in entry.items() if name != "data"), "scalars"
    assert entry["specversion"] == "1.0"
    assert entry["id"] == entry["sequence"] == "1042"
    assert entry["source"] == f"/sites/lyon/gates/laser-1/journals/{JOURNAL}"
    assert entry["type"] == "fabgate.gate.stopping.v1"
    assert entry["time"] == "2026-11-24T18:03:11.250000Z"


def test_an_entry_that_is_too_large_is_never_made():
    with pytest.raises(UsageError, match=r"an entry gate.stopping has 3.... bytes, wanted at most 32768"):
        encoded(data=wire.GateStopping(clock=CLOCK, reason="x" * wire.MAX_ENTRY_BYTES))


def test_a_copy_keeps_the_fact_and_names_its_first_original():
    original = wire.decode_entry(encoded(time=datetime(2026, 11, 24, tzinfo=UTC)))
    once = wire.decode_entry(
        wire.copy_entry(original, topics=TOPICS, journal="new", seq=2, prev=PREV, copyof=f"{JOURNAL}/1042/{PREV}")
    )
    twice = wire.decode_entry(
        wire.copy_entry(once, topics=TOPICS, journal="newer", seq=3, prev=PREV, copyof=f"new/2/{PREV}")
    )
    assert (twice.seq, twice.journal, twice.copyof) == (3, "newer", f"{JOURNAL}/1042/{PREV}")
    same = ("uid", "type", "time", "subject", "data")
    assert [getattr(twice, name) for name in same] == [getattr(original, name) for name in same]


@pytest.mark.parametrize("bad", ["0", "-1", "007", "1.0", "", " 1", "٣", "1e3", str(1 << 63), "9" * 5000])
def test_an_id_that_is_no_sequence_number_is_refused(bad):
    with pytest.raises(UsageError, match="wanted a sequence number"):
        wire.decode_entry(altered(id=bad))


def test_the_largest_sequence_number_is_one():
    assert wire.decode_entry(altered(id=str((1 << 63) - 1))).seq == (1 << 63) - 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (altered(specversion="2.0"), "found CloudEvents '2.0', wanted 1.0"),
        (altered(uid=None), "missing required field `uid`"),
        (altered(uid=7), "Expected `str`, got `int` - at `$.uid`"),
        (altered(time="yesterday"), "Invalid RFC3339"),
        (b"", "found a message that is not a valid Entry"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"specversion": "\xff"}', "found a message that is not a valid Entry"),
        (b"[" * 100_000, "found a message that is not a valid Entry"),
        (encoded()[:-1], "Input data was truncated"),
    ],
)
def test_what_is_no_entry_is_refused_saying_what_and_where(body, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        wire.decode_entry(body)


def test_a_known_type_whose_data_does_not_fit_is_refused():
    entry = wire.decode_entry(altered(data={"clock": {"boot": "b", "boottime_ms": "soon"}, "reason": "x"}))
    with pytest.raises(
        UsageError, match=re.escape("not a valid GateStopping: Expected `int`, got `str` - at `$.clock.boottime_ms`")
    ):
        wire.decode_data(entry)


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


# --- names and topics -------------------------------------------------------------------------------------------------

names = st.from_regex(wire.NAME, fullmatch=True).filter(lambda name: name not in wire.RESERVED_NAMES)


@given(site=names, gate=names, event_type=st.sampled_from(sorted(wire.ENTRY_TYPES)))
def test_a_topic_comes_apart_as_it_was_made(site, gate, event_type):
    topics = wire.GateTopics(wire.check_name(site, what="site"), wire.check_name(gate, what="gate"))
    assert topics.account == f"{site}/{gate}"
    topic = topics.event(wire.full_type(event_type))
    assert wire.parse_gate_topic(topic) == (topics, f"event/{event_type.replace('.', '/')}")
    for leaf in ("status", "state", "ack", "command", "reply", "roster"):
        assert wire.parse_gate_topic(topics.topic(leaf)) == (topics, leaf)
    assert wire.short_type(wire.full_type(event_type)) == event_type
    assert wire.parse_source(wire.source(topics, JOURNAL)) == (topics, JOURNAL)


def test_topics_are_those_of_the_contract():
    assert TOPICS.event("fabgate.session.ended.v1") == "fabgate/v1/lyon/laser-1/event/session/ended"
    assert TOPICS.topic("ack") == "fabgate/v1/lyon/laser-1/ack"
    assert wire.collector_status_topic("lyon") == "fabgate/v1/lyon/collector/status"
    assert wire.collector_subscriptions("lyon") == [
        "fabgate/v1/lyon/+/event/#",
        "fabgate/v1/lyon/+/status",
        "fabgate/v1/lyon/+/state",
        "fabgate/v1/lyon/+/reply",
    ]


@pytest.mark.parametrize("name", ["", "Lyon", "a/b", "a+", "#", "-a", "a-", "a" * 64, "é", "a\n", "a b"])
def test_a_name_that_cannot_stand_in_a_topic_is_refused(name):
    for what in ("site", "gate"):
        with pytest.raises(UsageError, match=f"found {what}"):
            wire.check_name(name, what=what)


@pytest.mark.parametrize("name", sorted(wire.RESERVED_NAMES))
def test_reserved_words_are_no_gates_but_may_be_sites(name):
    with pytest.raises(UsageError, match="reserved"):
        wire.check_name(name, what="gate")
    assert wire.check_name(name, what="site") == name


@pytest.mark.parametrize(
    "topic",
    ["", "fabgate/v1/lyon/laser-1", "fabgate/v2/lyon/laser-1/status", "fabgate/v1/Lyon/laser-1/status",
     "fabgate/v1/lyon/La/status", "fabgate/v1/lyon/collector/status", "x" * 70_000],
)  # fmt: skip
def test_a_topic_of_somebody_else_is_refused_in_few_words(topic):
    with pytest.raises(UsageError) as caught:
        wire.parse_gate_topic(topic)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "source", ["", "/sites/a/gates/b", "/sites/a/gates/b/journals/" + "j" * 65, "urn:x", "/" * 70_000]
)
def test_a_source_of_somebody_else_is_refused_in_few_words(source):
    with pytest.raises(UsageError, match="found the source") as caught:
        wire.parse_source(source)
    assert len(str(caught.value)) < 400


def test_end_reasons_are_those_of_the_contract():
    assert len(set(wire.END_REASONS)) == len(wire.END_REASONS) == 15


@given(issued=st.datetimes(timezones=st.just(UTC), max_value=datetime(9999, 1, 1)))  # noqa: DTZ001
def test_times_are_utc_and_come_back_to_the_microsecond(issued):
    command = wire.Command(
        id="c", verb="stop", boot="b", actor="a", issued=issued, expires=issued + timedelta(seconds=60)
    )
    assert wire.decode(wire.encode(command), wire.Command) == command


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"mode": "x"}, "mode: found 'x', wanted tap, hold, timed or audit"),
        ({"on_stale": "x"}, "on_stale: found 'x', wanted allow or deny"),
        ({"lock": wire.Lock(id="l", when="soon", reason="r")}, "lock.when: found 'soon', wanted now or idle"),
        ({"limit_s": 0}, "limit_s: found 0, wanted 1 or more seconds"),
        ({"warn_s": -1}, "warn_s: found -1, wanted 0 or more seconds"),
        ({"idle_off_s": 0}, "idle_off_s: found 0, wanted 1 or more seconds"),
        ({"limit_s": 9, "max_s": 8}, "max_s: found 8, wanted 9 (limit_s) or more"),
    ],
)
def test_what_means_nothing_in_a_machines_rules_is_named(changes, wanted):
    assert wire.machine_mistakes(wire.MachineRules(**changes)) == [wanted]


def test_the_default_rules_of_a_machine_mean_something():
    assert wire.machine_mistakes(wire.MachineRules()) == []
    assert wire.warning_mistakes(wire.MachineRules()) == {}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"limit_s": 60, "warn_s": 59, "idle_off_s": 60}, []),
        (
            {"limit_s": 60, "warn_s": 60},
            ["warn_s: found 60, wanted less than 60 (limit_s); the warning comes before the end"],
        ),
        ({"idle_off_s": 9}, ["warn_s: found 120, wanted less than 9 (idle_off_s); the warning comes before the end"]),
    ],
)
def test_a_warning_as_long_as_what_it_comes_before_is_named_but_a_gate_takes_the_roster(changes, wanted):
    rules = wire.MachineRules(**changes)
    assert list(wire.warning_mistakes(rules).values()) == wanted
    assert wire.machine_mistakes(rules) == []


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, "with mode: hold and supervisor: minors, wanted 1 or more;"),
        ({"supervisor": "always"}, "with mode: hold and supervisor: always, wanted 1 or more;"),
        ({"supervisor": "never", "sponsor": True}, "with mode: hold and sponsor: true, wanted 1 or more;"),
        ({"supervisor": "never"}, None),
        ({"grace_s": 1}, None),
        ({"mode": "tap"}, None),
    ],
)
def test_a_holder_without_grace_where_a_second_card_is_needed_is_named_but_a_gate_takes_the_roster(changes, wanted):
    rules = wire.MachineRules(**{"mode": "hold", "grace_s": 0, **changes})
    found = wire.holder_mistake(rules)
    assert found is None if wanted is None else found.startswith(f"grace_s: found 0 {wanted}")
    assert wire.machine_mistakes(rules) == []
