"""Who is refused hears every reason at once, and what ends ends although nobody tells the gate: on a gate's own decision."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings

from fabgate.collector.ground.models import Badge, Block, Gate, Member, SpecialDay
from fabgate.collector.members.people import badges
from fabgate.gate.roster import people
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.source import replace_stored
from fabgate.rules import vocabulary
from fabgate.rules.access import decide
from tests.collector.grants import day, give_badge, grant, today
from tests.collector.rosters import built

pytestmark = pytest.mark.usefixtures("env", "told")


def reasons(gate: Gate, row: Badge, folder: Path, days: int = 0, hour: int = 12) -> tuple[str, ...]:
    """Return why a gate refuses a badge that has heard of the collector today, and of nothing since."""
    replace_stored(built(gate), folder / "roster.db")
    directory = Directory(folder / "roster.db")
    local = datetime.combine(day(days), time(hour), ZoneInfo(settings.ENVIRONMENT.tz))
    rules = people.machine_rules(directory.machine)
    holder = directory.find(row.digest)
    directory.close()
    return decide(
        holder, rules=rules, causes=frozenset(), stale=False, now=vocabulary.Now(0, local, synced=True)
    ).reasons


def open_in_the_morning() -> None:
    for ahead in range(7):
        SpecialDay.objects.create(day=day(ahead), start=time(8), to=time(12))


def test_an_expired_membership_and_a_missing_training_are_both_given_as_reasons(gate, ada, laser, tmp_path):
    Member.objects.update(valid_until=day(-1))
    assert reasons(gate, Badge.objects.get(), tmp_path) == ("expired", "training-missing")


def test_a_refused_member_also_gets_the_opening_hours_as_a_reason(gate, ada, laser, tmp_path):
    grant(ada, laser)
    Block.objects.create(member=ada, reason="banned", actor="eve", at=datetime.now(ZoneInfo("UTC")))
    open_in_the_morning()
    row = Badge.objects.get()
    assert reasons(gate, row, tmp_path, hour=9) == ("banned",)
    assert reasons(gate, row, tmp_path, hour=20) == ("banned", "outside-hours")
    Member.objects.update(level="maintainer")
    assert reasons(gate, row, tmp_path, hour=20) == ("banned",)


def test_a_machine_closed_all_week_adds_that_reason_to_the_others(gate, ada, laser, tmp_path):
    for ahead in range(7):
        SpecialDay.objects.create(day=day(ahead))
    Member.objects.update(valid_until=day(-1))
    assert reasons(gate, Badge.objects.get(), tmp_path) == ("expired", "training-missing", "outside-hours")


def test_a_lost_badge_gets_no_opening_hours_as_a_reason(gate, ada, laser, tmp_path):
    open_in_the_morning()
    row = Badge.objects.get()
    row.end(Badge.LOST, "eve", datetime.now(ZoneInfo("UTC")))
    assert reasons(gate, row, tmp_path, hour=20) == ("badge-lost",)


# --- a server's clock that was set back -------------------------------------------------------------------------------


def test_a_badge_lost_in_the_future_is_lost_and_the_roster_can_be_stored(gate, ada, laser, tmp_path):
    grant(ada, laser)
    row = Badge.objects.get()
    row.end(Badge.LOST, "eve", datetime.now(ZoneInfo("UTC")) + timedelta(seconds=30))
    assert reasons(gate, row, tmp_path) == ("badge-lost",)


@pytest.mark.parametrize("reason", [Badge.RETURNED, Badge.LOST])
def test_a_badge_reassigned_in_the_future_belongs_to_its_new_holder(gate, ada, laser, tmp_path, reason):
    grant(ada, laser)
    then = datetime.now(ZoneInfo("UTC")) + timedelta(seconds=30)
    Badge.objects.get().end(reason, "eve", then)
    mo = Member.objects.create(id="m-2")
    row = give_badge(mo, since=then)
    assert reasons(gate, row, tmp_path) == ("training-missing",)


# --- loans ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("longer", [None, 5], ids=["an own badge", "a longer loan"])
def test_a_loan_ends_at_its_midnight_whatever_else_its_holder_has(gate, ada, laser, tmp_path, longer):
    grant(ada, laser)
    own = Badge.objects.get()
    if longer is not None:
        Badge.objects.update(kind="loan", until=badges.end_of(day(longer)))
    lent = give_badge(ada, "04A1B2C4", kind="loan", until=badges.end_of(day(1)))
    assert [reasons(gate, lent, tmp_path, days) for days in (0, 1, 2)] == [(), (), ("loan-over",)]
    assert reasons(gate, own, tmp_path, 4) == ()


@pytest.mark.parametrize(
    ("grace_days", "lent_for", "reason"), [(1, 3, "expired"), (1, 1, "expired"), (3, 1, "loan-over")]
)
def test_of_a_loan_and_another_end_the_first_one_applies(gate, ada, laser, tmp_path, grace_days, lent_for, reason):
    grant(ada, laser)
    Member.objects.update(valid_until=day(0), grace_days=grace_days)
    lent = give_badge(ada, "04A1B2C4", kind="loan", until=badges.end_of(day(lent_for)))
    assert [reasons(gate, lent, tmp_path, days) for days in (0, 1, 2)] == [(), (), (reason,)]
    assert today() == day(0)


def test_a_card_of_an_older_key_is_found_by_its_holders_own_badges_and_not_by_a_loan(gate, ada, laser, tmp_path):
    grant(ada, laser)
    give_badge(ada, "04A1B2C4", kind="loan", until=badges.end_of(day(1)))
    replace_stored(built(gate), tmp_path / "roster.db")
    directory = Directory(tmp_path / "roster.db")
    found = directory.find_member("m-1")
    directory.close()
    assert isinstance(found, vocabulary.Member)
    assert found.valid_until is None
