"""Do both sides use the same topics, and only names that can be part of them?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate import wire
from fabgate.errors import UsageError

TOPICS = wire.GateTopics("lyon", "laser-1")
JOURNAL = "4f0c8d2e9b7a4c31a5d6e7f80910a2b3"
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
