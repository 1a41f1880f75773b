"""Whose session it is: the snapshot of payer, purpose and category, and badges that had changed hands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fabgate import wire
from fabgate.collector.ground.models import Badge, BadgeForm, Group, LedgerLine, Member, Review, UsageSession
from tests.collector.gates import NOON, Journal
from tests.collector.paying import organisation, paying

HOUR = timedelta(hours=1)


def start(journal: Journal, session: str = "s-1", **more: Any):
    said = {"member": "m-1", "badge": "d-1", "basis": wire.Basis(kind="grant"), "mode": "tap", **more}
    said.setdefault("energised_from_ms", 0)
    return journal.write("session.started", session=session, **said)


def end(journal: Journal, session: str = "s-1", **more: Any):
    said = {"member": "m-1", "badge": "d-1", "energised_ms": 5_000, "running_ms": 0, "reason": "badge", **more}
    return journal.write("session.ended", session=session, **said)


def carried(member: str | None = "m-1", **more: Any) -> Badge:
    said = {"spelling": "04A1B2C3", "digest": "d-1", "since": NOON - HOUR, "member_id": member, **more}
    return Badge.objects.create(**said)


def found(session: str = "s-1") -> UsageSession:
    return UsageSession.objects.get(id=session)


def test_a_session_keeps_what_its_member_was_counted_as_and_who_paid(store, journal):
    Member.objects.create(id="school")
    ada = Member.objects.create(id="m-1", category="student", payer=paying("school"))
    store.store([start(journal)], NOON)
    ada.category, ada.payer = "staff", None
    ada.save()
    store.store([end(journal)], NOON)
    row = found()
    assert (row.category, row.payer, row.used_by, row.purpose) == ("student", "school", "m-1", "own")
    store.store([start(journal, "s-2")], NOON)
    assert (found("s-2").category, found("s-2").payer) == ("staff", "m-1")


def test_somebody_who_is_not_known_here_pays_for_themselves(store, journal):
    store.store([start(journal, member="m-404")], NOON)
    assert (found().category, found().payer) == ("", "m-404")


@pytest.mark.parametrize(
    ("said", "purpose"),
    [
        ({}, "own"),
        ({"purpose": "training"}, "training"),
        ({"purpose": "a cake"}, "own"),
        ({"basis": wire.Basis(kind="maintainer")}, "maintenance"),
        ({"basis": wire.Basis(kind="maintainer"), "purpose": "training"}, "training"),
    ],
)
def test_the_purpose_is_what_the_gate_says_or_follows_from_why_it_was_allowed(store, journal, said, purpose):
    store.store([end(Journal(gate="saw-1"), "s-0"), start(journal, **said), end(journal)], NOON)
    assert found().purpose == purpose


def test_a_badge_of_a_group_makes_the_group_pay(store, journal):
    Member.objects.create(id="school")
    group = Group.objects.create(name="5b", kind="class", payer=paying("school"))
    Member.objects.create(id="m-1")
    row = carried(None, group=group, kind="class")
    store.store([start(journal), end(journal)], NOON)
    assert (found().payer, found().purpose) == ("school", "group")
    # By a short form of the badge as well, unless a gate took it for the same form of somebody else's badge.
    BadgeForm.objects.create(badge=row, form="em:number8", digest="d-2", state=BadgeForm.SHARED)
    for session, member in (("s-2", group.roster_id), ("s-3", "m-1")):
        store.store([start(journal, session, member=member, badge="d-2")], NOON)
    assert [(found(one).payer, found(one).purpose) for one in ("s-2", "s-3")] == [("school", "group"), ("m-1", "own")]


def test_an_organisation_pays_for_a_member_and_for_a_group(store, journal):
    university = organisation()
    Member.objects.create(id="m-1", payer=university)
    store.store([start(journal), end(journal)], NOON)
    assert (found().payer, found().used_by) == ("payer:1", "m-1")
    carried(group=Group.objects.create(name="5b", kind="class", payer=organisation("Lycée", 2)), kind="class")
    store.store([start(journal, "s-2"), end(journal, "s-2")], NOON)
    assert (found("s-2").payer, found("s-2").purpose) == ("payer:2", "group")
    assert list(LedgerLine.objects.order_by("pk").values_list("payer", flat=True)) == ["payer:1", "payer:2"]


def test_a_payer_who_has_a_payer_still_pays_for_others(store, journal):
    """There are no chains."""
    Member.objects.create(id="m-2", payer=organisation())
    Member.objects.create(id="m-1", payer=paying("m-2"))
    store.store([start(journal), end(journal)], NOON)
    assert found().payer == "m-2"


def test_a_group_without_a_payer_pays_itself(store, journal):
    group = Group.objects.create(name="Acme", kind="company")
    carried(None, group=group, kind="company")
    store.store([start(journal, member=group.roster_id), end(journal, member=group.roster_id)], NOON)
    assert (found().payer, found().used_by, found().review) == (f"group:{group.pk}", f"group:{group.pk}", None)


def test_an_end_before_its_start_gives_the_same_snapshot(store, journal):
    Member.objects.create(id="m-1", category="student")
    group = Group.objects.create(name="5b", kind="class")
    carried(group=group, kind="class")
    first, last = start(journal), end(journal)
    store.store([last], NOON)
    store.store([first], NOON)
    assert (found().purpose, found().payer, found().category) == ("group", group.roster_id, "student")


def test_a_badge_that_was_taken_from_its_holder_before_the_tap_is_a_case_for_review(store, journal):
    Member.objects.create(id="m-1")
    Member.objects.create(id="m-2")
    carried(ended_at=NOON - HOUR / 2, end_reason="returned")
    carried("m-2", since=NOON - HOUR / 2)
    store.store([start(journal)], NOON)
    assert (found().review, found().uncertain) == (None, False)  # it has not ended: there is nothing to look at yet
    store.store([end(journal)], NOON)
    assert (found().review, found().uncertain) == ("earlier-holder", True)
    assert [(review.session_id, review.why) for review in Review.waiting()] == [("s-1", "earlier-holder")]


@pytest.mark.parametrize(
    "more", [{}, {"ended_at": NOON + HOUR, "end_reason": "lost"}, {"until": NOON + HOUR, "kind": "loan"}]
)
def test_a_badge_that_its_holder_still_had_at_the_tap_is_none(store, journal, more):
    Member.objects.create(id="m-1")
    carried(**more)
    store.store([start(journal), end(journal)], NOON + 2 * HOUR)
    assert found().review is None


def test_a_loan_that_was_over_at_the_tap_is_one_though_nobody_has_ended_it(store, journal):
    Member.objects.create(id="m-1")
    carried(kind="loan", until=NOON)
    store.store([start(journal), end(journal)], NOON + HOUR)
    assert found().review == "earlier-holder"


def test_a_review_opens_above_a_minute_only_and_later_entries_settle_it(store, journal):
    store.store([start(journal), end(journal, uncertainty_ms=60_000)], NOON)
    store.store([start(journal, "s-2"), end(journal, "s-2", uncertainty_ms=60_001)], NOON)
    assert [(review.session_id, review.why) for review in Review.waiting()] == [("s-2", "uncertain")]
    assert found().uncertain is True  # flagged everywhere, and settled without asking
    store.store([end(journal, "s-2", energised_ms=900_000)], NOON + HOUR)
    review = Review.objects.get()
    assert (review.settled_at, review.settled_by, review.decision) == (NOON + HOUR, "", Review.RESOLVED)
    store.store([end(journal, "s-2", energised_ms=900_001, uncertainty_ms=90_000)], NOON + 2 * HOUR)
    review.refresh_from_db()
    assert (review.settled_at, review.decision, review.why) == (None, "", "uncertain")
