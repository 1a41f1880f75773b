"""Locks members before an act gives them something, or makes them responsible for something.

Inserting a row that refers to a member does not wait for a departure that has locked them (ground/db/pulse.py): without
this, somebody who leaves, or is taken back, at the same moment would be given it all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.utils import timezone
from django.utils.translation import gettext as _

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Member
from fabgate.errors import UsageError


def take(members: Iterable[Member], *, also: Collection[str] = (), is_present: bool = False) -> None:
    """Lock members, in the order of their ids, until the transaction ends; and those with the ids `also`, without a check.

    A departure at the same moment waits, and then sees what they were given; so does the second request of a form that is
    sent twice. Call it before other rows are locked, and once for all members, so that no two transactions wait for each
    other. Read `members` before the transaction begins: on SQLite nothing changes during one.

    Raises UsageError if one of them has left since `members` were read, or, with `is_present`, at any time.
    """
    read = {member.pk: member.left_on for member in members}
    for ids in statements.chunks(sorted({*read, *also})):
        for held in Member.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk"):
            if held.pk not in read or held.left_on is None or held.left_on > timezone.localdate():
                continue
            if is_present or held.left_on != read[held.pk]:
                text = _("%(member)s left on %(day)s; readmit them first")
                raise UsageError(text % {"member": held, "day": held.left_on})
