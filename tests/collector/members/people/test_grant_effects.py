"""Does what is said of many people lower none of them on any day? Over random pasts, and any grant that follows."""

from __future__ import annotations

import os
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from fabgate.collector.ground.models import Grant, Member, Training
from fabgate.collector.members.people.grant_effects import effect

TODAY = date(2026, 6, 15)
#: Few days, so that one grant often ends on the day on which another begins, or on today.
DAYS = st.integers(-6, 6).map(lambda n: TODAY + timedelta(days=n))
ORDER = ("suspended", None, "supervised", "autonomous", "instructor")


@st.composite
def pasts(draw) -> list[Grant]:
    """Return some grants of one member and one training, in the order in which they begin."""
    training = Training(name="laser", expires_after_days=draw(st.none() | st.integers(1, 9)))
    member = Member(id="m-1")
    found = []
    for since in sorted(draw(st.lists(DAYS, min_size=1, max_size=5))):
        until = draw(st.none() | st.integers(0, 8).map(lambda n, since=since: since + timedelta(days=n)))
        stage = draw(st.sampled_from(Grant.STAGES))
        revoked = draw(st.none() | DAYS)
        found.append(Grant(member=member, training=training, stage=stage, since=since, until=until, revoked_on=revoked))
    return found


def stage_on(said: list[Grant], day: date) -> int:
    found = Grant.applicable(said, day)
    return ORDER.index(found.stage if found else None)


@settings(max_examples=1_000 if os.environ.get("FABGATE_SOAK") else 150, deadline=None)
@given(pasts(), st.data())
def test_an_effect_is_what_a_walk_over_every_day_finds(said, data):
    fresh = data.draw(st.sampled_from(said))
    said = [grant for grant in said if grant is not fresh]
    fresh.revoked_on = None
    together = sorted([*said, fresh], key=lambda grant: grant.since)
    days = [TODAY + timedelta(days=n) for n in range(-7, 20)]
    changes = [(day, stage_on(said, day), stage_on(together, day)) for day in days]
    found = effect(said, fresh, TODAY)
    assert found.gains == any(now > before for _day, before, now in changes)
    lowered = [day for day, before, now in changes if now < before and day >= TODAY]
    assert found.lowered == (Grant.applicable(said, lowered[0]) or fresh if lowered else None)


def test_a_class_that_follows_an_instructors_course_changes_nothing_of_theirs_before_it_ends():
    training = Training(name="laser")
    member = Member(id="m-1")
    until = TODAY + timedelta(days=9)
    held = Grant(member=member, training=training, stage="instructor", since=TODAY - timedelta(days=9), until=until)
    fresh = Grant(member=member, training=training, stage="autonomous", since=TODAY)
    found = effect([held], fresh, TODAY)
    assert (found.gains, found.lowered) == (True, held)
    later = Grant(member=member, training=training, stage="autonomous", since=until + timedelta(days=1))
    assert effect([held], later, TODAY) == (True, None)
