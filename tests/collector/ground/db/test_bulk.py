"""Many rows with one statement: what is read is what was written, whichever way a database takes them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from fabgate.collector.ground.db import bulk
from fabgate.collector.ground.models import Pulse, Quarantine

pytestmark = pytest.mark.usefixtures("database")
AT = datetime(2026, 11, 30, 12, 0, 0, 123456, tzinfo=UTC)
NAMES = ("gate_id", "topic", "journal_id", "journal_name", "seq", "reason", "detail", "hash", "body", "counts", "times")
INSERT = f"INSERT INTO collector_quarantine ({', '.join(NAMES)}, first_at, last_at) VALUES ({', '.join(['%s'] * 13)})"
#: Any text but NUL, which PostgreSQL cannot store; with what COPY has to escape.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["\\", "\\N", "\t", "a\tb\nc\r", "\\.", "'", '"', "%s", "é", "NULL", ""]
)


@given(
    rows=st.lists(
        st.tuples(TEXTS, TEXTS, st.binary(max_size=20), st.binary(max_size=40), st.booleans()), min_size=1, max_size=40
    )
)
def test_rows_are_read_as_they_were_written(rows: list[tuple[str, str, bytes, bytes, bool]]) -> None:
    time = bulk.to_database()
    with transaction.atomic():
        bulk.many(
            INSERT,
            [
                (None, topic, None, f"j{seq}", seq, "r", detail, digest, body, counts, 1, time(AT), time(AT))
                for seq, (topic, detail, digest, body, counts) in enumerate(rows, 1)
            ],
        )
        read = [
            (one.topic, one.detail, bytes(one.hash), bytes(one.body), one.counts)
            for one in Quarantine.objects.order_by("seq")
        ]
        first = Quarantine.objects.order_by("seq")[0]
        transaction.set_rollback(True)
    assert read == rows
    assert (first.gate_id, first.first_at) == (None, AT)


@pytest.mark.parametrize("count", [2, 40])
def test_one_row_that_is_stored_already_refuses_all(count: int) -> None:
    statement, time = "INSERT INTO collector_pulse (id, topic, gate, at) VALUES (%s, %s, %s, %s)", bulk.to_database()
    rows = [(1 + number, "topic", "", time(AT)) for number in range(count)]
    with pytest.raises(IntegrityError), transaction.atomic():
        bulk.many(statement, [*rows, rows[0]])
    assert not Pulse.objects.exists()
    assert connection.is_usable()
