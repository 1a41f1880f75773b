"""Are ids of facts unique, ordered by time, and what RFC 9562 calls version 7?"""

from __future__ import annotations

import time
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from fabgate.gate.journal.ids import uuid7


@given(ms=st.integers(0, (1 << 48) - 1))
def test_an_id_is_a_uuid_of_version_7_that_carries_its_time(ms):
    made = UUID(uuid7(ms))
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == ms


@given(ms=st.integers())
def test_a_wrong_clock_makes_ids_all_the_same(ms):
    assert UUID(uuid7(ms)).version == 7


@given(times=st.lists(st.integers(0, (1 << 48) - 1), unique=True, max_size=20))
def test_ids_sort_as_their_times_do(times):
    made = {uuid7(ms): ms for ms in times}
    assert [made[one] for one in sorted(made)] == sorted(times)


def test_by_default_it_is_now():
    before = time.time_ns() // 1_000_000
    assert before <= UUID(uuid7()).int >> 80 <= time.time_ns() // 1_000_000


def test_ids_of_one_millisecond_differ():
    assert len({uuid7(1) for _ in range(20_000)}) == 20_000
