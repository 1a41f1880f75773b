"""The head of the audit log lies outside the database: it shows that the newest rows are gone, and what a restore replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabgate.collector.ground.base import data_folder
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.db.chains import CHANGES, Head
from fabgate.collector.ground.models import Change, Collector, Member
from fabgate.collector.processes import restored_database
from fabgate.collector.processes.verify import audit_head
from fabgate.errors import UsageError

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def write(tmp_path):
    member = Member.objects.create(id="m-1")

    def write(times: int = 1) -> None:
        for _ in range(times):
            audit.record("eve", "member.exported", member)

    return write


def delete_newest(count: int) -> None:
    for pk in list(Change.objects.order_by("-id").values_list("pk", flat=True)[:count]):
        Change.objects.filter(pk=pk).delete()


def test_the_head_follows_the_log(write, tmp_path):
    assert audit_head.noted(tmp_path) is None
    audit_head.keep_up(tmp_path)  # as the start of a new collector does
    assert audit_head.noted(tmp_path) == Head()
    for count in (2, 5):
        write(count)
        audit_head.keep_up(tmp_path)
        assert audit_head.noted(tmp_path) == CHANGES.head()
    assert CHANGES.head().number == 7
    assert audit_head.lost(tmp_path) is None
    assert (tmp_path / data_folder.AUDIT_HEAD).stat().st_mode & 0o777 == 0o600


def test_a_head_that_the_log_no_longer_has_is_kept_also_when_the_log_grows_again(write, tmp_path, caplog):
    audit_head.keep_up(tmp_path)
    write(5)
    audit_head.keep_up(tmp_path)
    before = audit_head.noted(tmp_path)
    delete_newest(2)
    for _ in range(3):
        audit_head.keep_up(tmp_path)
        assert audit_head.noted(tmp_path) == audit_head.lost(tmp_path) == before
        write(2)
    assert "the audit log ends at row 3, but row 5 was its last one before" in caplog.text


@pytest.mark.parametrize("text", ["", "5", "5:xyz", "\xff"])
def test_a_damaged_file_is_left_until_a_person_confirms_the_log(write, tmp_path, text):
    Collector.objects.create(id=1, collector="c", site="lyon")
    write(3)
    (tmp_path / data_folder.AUDIT_HEAD).write_text(text, encoding="latin-1")
    for _ in range(2):
        audit_head.keep_up(tmp_path)
        assert audit_head.noted(tmp_path) is None
        write()
    before = CHANGES.head()
    audit_head.confirm(tmp_path, actor="cli:root")
    said = Change.objects.order_by("id").last()
    assert (said.actor, said.verb, said.after) == ("cli:root", audit_head.CONFIRMED, {"audit_head": str(before)})
    assert audit_head.noted(tmp_path) == CHANGES.head()
    with pytest.raises(UsageError, match="only a log without one can be confirmed"):
        audit_head.confirm(tmp_path, actor="cli:root")


def test_a_head_of_deleted_rows_is_never_confirmed(write, tmp_path):
    Collector.objects.create(id=1, collector="c", site="lyon")
    audit_head.keep_up(tmp_path)
    write(5)
    audit_head.keep_up(tmp_path)
    before = audit_head.noted(tmp_path)
    delete_newest(2)
    with pytest.raises(UsageError, match="restore a copy that has them"):
        audit_head.confirm(tmp_path, actor="cli:root")
    assert audit_head.noted(tmp_path) == before


def test_a_restored_copy_names_in_its_log_what_it_replaced(write, tmp_path):
    Collector.objects.create(id=1, collector="c", site="lyon")
    audit_head.keep_up(tmp_path)
    write(5)
    audit_head.keep_up(tmp_path)
    before = audit_head.noted(tmp_path)
    delete_newest(2)  # as in a copy from before these rows
    restored_database.invalidate(tmp_path)
    assert Change.objects.order_by("id").last().after == {"audit_head": str(before)}
    assert audit_head.lost(tmp_path) is None
    audit_head.keep_up(tmp_path)
    assert audit_head.noted(tmp_path) == CHANGES.head() == Head(4, CHANGES.head().seal)


def test_a_restore_that_lost_no_row_names_none(write, tmp_path: Path):
    Collector.objects.create(id=1, collector="c", site="lyon")
    audit_head.keep_up(tmp_path)
    write(2)
    audit_head.keep_up(tmp_path)
    restored_database.invalidate(tmp_path)
    assert Change.objects.order_by("id").last().after == {}
