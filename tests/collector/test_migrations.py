"""What becomes of the rows of the first collector?"""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps

from fabgate.collector.models import Badge, Gate, Journal, Member, Review, UsageSession
from fabgate.collector.models.badges import badge as spellings

pytestmark = pytest.mark.usefixtures("database")

old_rows = import_module("fabgate.collector.migrations.0003_old_rows")


def carried(spelling: str) -> Badge:
    member = Member.objects.get_or_create(id="m-1")[0]
    return Badge.objects.create(spelling=spelling, digest=spelling, member=member)


def test_eight_bare_digits_are_spelled_so_that_they_are_one_card():
    for spelling in ("12345678", "04A1B2C3", "04A1B2C3D4E5F6", "w26:123,45678", "12:34:56:79"):
        carried(spelling)
    old_rows.respell(apps, None)
    assert list(Badge.objects.order_by("id").values_list("spelling", flat=True)) == [
        *("12:34:56:78", "04A1B2C3", "04A1B2C3D4E5F6"),
        *("w26:123,45678", "12:34:56:79"),
    ]
    assert Badge.digest_again(b"k" * 32) == 5


def test_where_both_spellings_are_there_the_older_one_ends():
    older, newer = carried("12345678"), carried("12:34:56:78")
    old_rows.respell(apps, None)
    older.refresh_from_db()
    newer.refresh_from_db()
    assert (older.spelling, older.end_reason, newer.ended_at) == ("12:34:56:78", "replaced", None)
    assert spellings.parse(older.spelling) == spellings.parse(newer.spelling)


def test_what_the_entries_say_counts_and_what_is_in_doubt_waits_for_review():
    gate = Gate.objects.create(name="laser-1")
    journal = Journal.objects.create(name="j", gate=gate)
    for pk, more in {
        "s-1": {},
        "s-2": {"review": "undated"},
        "s-3": {"uncertainty_ms": 5, "basis": "maintainer"},
    }.items():
        UsageSession.objects.create(
            id=pk, gate=gate, member="m-1", badge="d", opened_in=journal, energised_ms=7, **more
        )
    old_rows.count(apps, None)
    rows = UsageSession.objects.order_by("id").values_list("used_by", "payer", "purpose", "counted_ms", "uncertain")
    assert list(rows) == [
        ("m-1", "m-1", "own", 7, False),
        ("m-1", "m-1", "own", 7, True),
        ("m-1", "m-1", "maintenance", 7, True),
    ]
    assert [(review.session_id, review.why) for review in Review.objects.all()] == [("s-2", "undated")]
