"""The rows of the audit log: each has the next number and a seal, in the order of commits, whatever is rolled back."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from fabgate.collector.ground.db import audit, chains, pulse
from fabgate.collector.ground.db.chains import CHANGES, FIRST, Head
from fabgate.collector.ground.models import Change, Machine, Member
from tests.collector.gates import NOON
from tests.support.patience import HANGS_S


def rename(member: Member, name: str) -> None:
    with audit.change("eve", "member.updated", member, reason="asked for it"):
        member.name = name
        member.save()


def assert_whole(count: int) -> None:
    """Check that every row is the next one, and has the seal that its stored values give."""
    seal = FIRST
    rows = list(CHANGES.rows())
    assert [row.number for row in rows] == list(range(1, count + 1))
    for row in rows:
        assert row.values is not None
        assert row.number is not None
        seal = CHANGES.seal(seal, row.number, row.values)
        assert row.seal == seal
    assert CHANGES.head() == Head(count, seal)


def test_single_and_bulk_entries_continue_one_chain_and_read_back_as_they_were_sealed(database):
    ada, saw = Member.objects.create(id="m-1", name="Ada"), Machine(name="saw", title="Scie à ruban ✂")
    rename(ada, "Ada Ł.")
    with audit.change("eve", "machine.added", saw) as change:
        saw.rules = {"limit_s": 7200, "warn_s": 60.0, "fan": {"b": [1, 2.5, None], "a": True}}
        saw.save()
        change.rosters = {"laser-2": 8, "laser-1": 7}
    with audit.changes("eve", "member.imported", [ada, Member(id="m-2")]):
        Member.objects.filter(pk="m-1").update(name="A")
        Member.objects.create(id="m-2")
    audit.record("eve", "member.exported", ada, after={2: "two", "10": 1.5, "1": (1, 2)})
    assert_whole(5)


def test_the_entries_of_a_deferred_block_are_sealed_at_its_end(database):
    ada = Member.objects.create(id="m-1", name="Ada")
    with transaction.atomic(), pulse.deferred():
        rename(ada, "B")
        with pulse.deferred():
            rename(ada, "C")
        assert not Change.objects.exists()
        rename(ada, "D")
    assert [row.after["name"] for row in Change.objects.order_by("id")] == ["B", "C", "D"]
    assert_whole(3)


def test_what_was_rolled_back_is_not_logged_and_leaves_no_gap(database):
    ada = Member.objects.create(id="m-1", name="Ada")

    def fail(name: str) -> None:
        with transaction.atomic():
            rename(ada, name)
            raise ValueError(name)

    with transaction.atomic(), pulse.deferred():
        rename(ada, "B")
        with pytest.raises(ValueError, match="C"):
            fail("C")
        ada.refresh_from_db()
        rename(ada, "D")
    with pytest.raises(ValueError, match="E"):
        fail("E")
    ada.refresh_from_db()
    rename(ada, "F")
    assert [(row.before["name"], row.after["name"]) for row in Change.objects.order_by("id")] == [
        ("Ada", "B"),
        ("B", "D"),
        ("D", "F"),
    ]
    assert_whole(3)


def test_changes_at_the_same_time_have_one_order(database):
    people = [Member.objects.create(id=f"m-{n}", name="") for n in range(4)]

    def work(member: Member) -> None:
        try:
            for n in range(5):
                with transaction.atomic(), pulse.deferred():
                    rename(member, f"a{n}")
                rename(member, f"b{n}")
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(member,), daemon=True) for member in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANGS_S)
    assert_whole(40)


def test_a_block_outside_of_a_transaction_is_refused(database):
    with pytest.raises(AssertionError, match="needs a transaction"), pulse.deferred():
        pass


def test_rows_that_were_written_without_seals_get_them_all(database):
    for n in range(3):
        Change.objects.create(at=NOON, actor="eve", verb="member.updated", kind="member", key=f"m-{n}", after={"n": n})
    assert CHANGES.head() == Head()
    assert CHANGES.seal_all() == 3
    assert_whole(3)
    rename(Member.objects.create(id="m-1"), "Ada")
    assert_whole(4)


MOMENT = datetime(2026, 11, 24, 12, 0, 0, 5, tzinfo=UTC)
VALUES = (MOMENT, "eve", "member.updated", "member", "m-1", {}, {"name": "Ada"}, "", {})


@pytest.mark.parametrize("column", range(9))
def test_every_value_is_part_of_the_seal(column):
    other = [MOMENT + timedelta(microseconds=1), "x", "x", "x", "x", {"x": 1}, {"name": "Eva"}, "x", {"laser": 1}]
    changed = (*VALUES[:column], other[column], *VALUES[column + 1 :])
    assert CHANGES.seal(FIRST, 1, changed) != CHANGES.seal(FIRST, 1, VALUES)


def test_the_number_the_row_before_and_the_key_are_part_of_the_seal(settings_key):
    found = CHANGES.seal(FIRST, 1, VALUES)
    others = {CHANGES.seal(FIRST, 2, VALUES), CHANGES.seal(b"x" * 32, 1, VALUES)}
    settings_key("another key")
    assert found not in others | {CHANGES.seal(FIRST, 1, VALUES)}


@pytest.fixture
def settings_key(monkeypatch):
    from django.conf import settings

    return lambda key: monkeypatch.setattr(settings, "SECRET_KEY", key)


def test_the_same_moment_has_the_same_seal_in_every_zone():
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=9)))
    naive = MOMENT.replace(tzinfo=None)  # as SQLite's driver returns it
    seals = {CHANGES.seal(FIRST, 1, (moment, *VALUES[1:])) for moment in (MOMENT, elsewhere, naive)}
    assert len(seals) == 1


@given(st.integers(0, 10**18 - 1), st.binary(min_size=32, max_size=32))
def test_a_head_is_read_as_it_was_written(number, seal):
    head = Head(number, seal)
    assert Head.parse(f" {head}\n") == head


@pytest.mark.parametrize(
    "text", ["", "7", "7:", "7:abc", f"-1:{'0' * 64}", f"x:{'0' * 64}", f"7:{'0' * 66}", f"9{'9' * 20}:{'0' * 64}"]
)
def test_any_other_text_is_no_head(text):
    with pytest.raises(ValueError, match="hexadecimal"):
        chains.Head.parse(text)
