"""Does an entry say the same on both sides, and is what is no entry refused?"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.seal import to_text

TOPICS = wire.GateTopics("lyon", "laser-1")
JOURNAL = "4f0c8d2e9b7a4c31a5d6e7f80910a2b3"
CLOCK = wire.Clock(boot="9b2f4c1e-6a1d-4b7e-8f53-0d5f3a1c2e77", boottime_ms=8123441, synced=True)
PREV = to_text(bytes(32))


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


def test_an_optional_field_that_is_absent_stays_absent():
    assert json.loads(wire.encode(wire.Status(online=False))) == {"online": False}
    assert "time" not in json.loads(encoded())
    assert "copyof" not in json.loads(encoded())


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


def test_a_known_type_whose_data_does_not_fit_is_refused():
    entry = wire.decode_entry(altered(data={"clock": {"boot": "b", "boottime_ms": "soon"}, "reason": "x"}))
    with pytest.raises(
        UsageError, match=re.escape("not a valid GateStopping: Expected `int`, got `str` - at `$.clock.boottime_ms`")
    ):
        wire.decode_data(entry)


@pytest.mark.parametrize(
    "source", ["", "/sites/a/gates/b", "/sites/a/gates/b/journals/" + "j" * 65, "urn:x", "/" * 70_000]
)
def test_a_source_of_somebody_else_is_refused_in_few_words(source):
    with pytest.raises(UsageError, match="found the source") as caught:
        wire.parse_source(source)
    assert len(str(caught.value)) < 400


def test_end_reasons_are_those_of_the_contract():
    assert len(set(wire.END_REASONS)) == len(wire.END_REASONS) == 15
