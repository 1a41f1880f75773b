"""Who used which machine, and for how long? One row a session; how rows come to be is in sessions/merge.py."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Case, Count, F, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce, Least

from fabgate.collector.models import counted
from fabgate.collector.models.arrivals import Journal
from fabgate.collector.models.fields import Flag
from fabgate.collector.models.workshop import Gate, Machine

_ENDED = Q(ended_at__isnull=False)
_UNCERTAIN = _ENDED & Q(uncertain=True)
#: As counted.py has it, for sums over many rows.
_IS_TIME_CORRECTED = Q(corrected__contains=counted.TIME)
_RUNNING_MS = Case(When(_IS_TIME_CORRECTED, then=Least("running_ms", "counted_ms")), default=F("running_ms"))
_UNCERTAINTY_MS = Case(When(_IS_TIME_CORRECTED, then=Value(0, models.BigIntegerField())), default=F("uncertainty_ms"))


class UsageSession(models.Model):
    """A session, as all its entries together tell it, in whatever order they came.

    It is open while `reason` is null. Durations are whole milliseconds of the gate's boot clock; the true energised
    time lies in [energised_ms, energised_ms + uncertainty_ms].

    `ended_at` is when it counts. Where the end has no date that is the latest possible one, `not_after`: so that every
    report counts the session once, and no period that was over before it could have ended.
    """

    id = models.CharField(max_length=64, primary_key=True)
    gate = models.ForeignKey(Gate, on_delete=models.PROTECT, related_name="sessions", db_index=False)
    machine = models.ForeignKey(Machine, null=True, on_delete=models.PROTECT, related_name="sessions", db_index=False)
    member = models.CharField(max_length=200)
    badge = models.CharField(max_length=200)

    started_at = models.DateTimeField(null=True)
    start_timed = Flag(default=False)  # the entry carried the time; else it follows from the boot's
    start_boot = models.CharField(max_length=64, blank=True)
    start_boottime_ms = models.BigIntegerField(default=0)
    has_start = models.BooleanField(default=False)
    # As it was when the session was first heard of, so that it survives what becomes of the member.
    category = models.CharField(max_length=60, blank=True)
    earlier_holder = models.BooleanField(default=False)  # the badge was another one's by then: an old roster decided
    mode = models.CharField(max_length=200, blank=True)
    basis = models.CharField(max_length=200, blank=True)
    supervisor = models.CharField(max_length=200, null=True)  # noqa: DJ001 (absent on the wire is NULL here)

    ended_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=200, null=True)  # noqa: DJ001 (NULL is: still open)
    energised_ms = models.BigIntegerField(default=0)
    running_ms = models.BigIntegerField(default=0)
    uncertainty_ms = models.BigIntegerField(default=0)
    # Why it waits for a person's look, as the queue has it: what the entries leave in doubt until somebody has settled
    # that, or that its member contests it.
    review = models.CharField(max_length=40, null=True)  # noqa: DJ001 (NULL is: nothing to review)
    doubt = models.CharField(max_length=40, null=True)  # noqa: DJ001 (NULL is: the entries leave none)
    uncertain = Flag(default=False)
    # What counts: what the entries say, unless a correction says otherwise (`corrected` names which fields one does).
    used_by = models.CharField(max_length=200, blank=True)
    payer = models.CharField(max_length=200, blank=True)
    purpose = models.CharField(max_length=16, blank=True)
    counted_ms = models.BigIntegerField(default=0)
    corrected = models.CharField(max_length=40, blank=True)
    # Set where a boot that never synchronised leaves the start or the end in doubt: the session lies between these.
    not_before = models.DateTimeField(null=True)
    not_after = models.DateTimeField(null=True)

    # The latest fact: the end that holds, or else the entry with the highest counters.
    has_end = Flag(default=False)
    end_reason = models.CharField(max_length=200, blank=True)
    last_at = models.DateTimeField(null=True)
    last_arrived_at = models.DateTimeField(null=True)  # kept where the entry itself carries no time
    last_timed = Flag(default=False)
    last_boot = models.CharField(max_length=64, blank=True)
    last_boottime_ms = models.BigIntegerField(default=0)
    last_energised_ms = models.BigIntegerField(default=0)
    opened_in = models.ForeignKey(Journal, on_delete=models.PROTECT, related_name="+", db_index=False)
    opened_seq = models.BigIntegerField(default=0)
    hint_ms = models.BigIntegerField(default=0)  # the highest live counter seen: compared, never counted
    # By how much the gate's clock was wrong at least when it wrote these entries (entries/gate_clocks.py); ahead is more than 0.
    clock_off_ms = models.BigIntegerField(null=True)
    # For how long the machine had power already when the start was written: in a handover, and after one that came late.
    early_ms = models.BigIntegerField(default=0, db_default=0)
    # For how long it may last by the rosters that its entries name (RosterLimit); NULL: stored before that was kept.
    allowed_ms = models.BigIntegerField(null=True)

    class Meta:
        """What is looked up often, or among many."""

        indexes = [
            # Pages of sessions, the newest first; those that are open are few, and in none of them. What stands behind
            # the id is looked at in the index, so that what is rare is found without reading the rows between; a few
            # wide ones, because each one more slows the ingest as history grows. The start: when a month's sessions
            # began is answered by the index alone.
            models.Index(fields=["ended_at", "id", "started_at", "reason"], condition=_ENDED, name="session_ended"),
            models.Index(
                fields=["used_by", "ended_at", "id", "machine", "reason"], condition=_ENDED, name="session_of_member"
            ),
            models.Index(fields=["machine", "ended_at", "id", "reason"], condition=_ENDED, name="session_of_machine"),
            # Few sessions are uncertain, so that these cost next to nothing. Made last: of two that fit alike, SQLite
            # takes the one that was made last.
            models.Index(fields=["ended_at", "id"], condition=_UNCERTAIN, name="session_uncertain"),
            models.Index(fields=["used_by", "ended_at", "id"], condition=_UNCERTAIN, name="session_member_uncertain"),
            models.Index(fields=["machine", "ended_at", "id"], condition=_UNCERTAIN, name="session_machine_uncertain"),
            # Of a million sessions a few are open: looked for on every page that shows them.
            models.Index(fields=["id"], condition=Q(has_end=False, reason__isnull=True), name="session_open"),
            # Small ones: the open sessions in their order, without which SQLite walks through all in the order of ids;
            # and those that may still change although no entry of theirs arrives.
            models.Index(fields=["gate"], condition=Q(has_end=False), name="session_unended"),
            models.Index(fields=["start_boot"], condition=Q(start_timed=False), name="session_start_undated"),
            models.Index(fields=["last_boot"], condition=Q(last_timed=False), name="session_end_undated"),
            models.Index(fields=["gate"], condition=Q(not_after__isnull=False), name="session_placed"),
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.member})"

    @property
    def is_uncertain(self) -> bool:
        """Whether the minutes are not exactly known."""
        return self.counted_uncertainty_ms > 0 or self.review is not None

    @property
    def counted_running_ms(self) -> int:
        """Return for how many milliseconds a job ran, as it counts."""
        return counted.running_ms(self)

    @property
    def counted_uncertainty_ms(self) -> int:
        """Return how many milliseconds more than what counts it may have been."""
        return counted.uncertainty_ms(self)

    @property
    def counted_until(self) -> datetime | None:
        """Return until when it counts; `ended_at` is the moment by which it is listed and summed."""
        return counted.until(self)

    @property
    def recorded_until(self) -> datetime | None:
        """Return until when the machine was on by the gate's own entries."""
        return counted.recorded_until(self)

    @property
    def is_time_corrected(self) -> bool:
        """Whether a person put right how long the machine was on."""
        return counted.is_time_corrected(self)

    @property
    def is_about(self) -> bool:
        """Whether it is not known when this was, only what it lies between."""
        return self.not_after is not None

    @property
    def people(self) -> frozenset[str]:
        """Return whom it is about: whose badge it was, who used the machine, who pays."""
        return frozenset({self.member, self.used_by, self.payer})

    @property
    def machine_name(self) -> str:
        """Return the machine's name; the gate's where nobody has given it a machine."""
        return self.machine.name if self.machine else self.gate.name

    @classmethod
    def ended_between(cls, start: datetime, end: datetime) -> QuerySet[UsageSession]:
        """Return the sessions that ended in [start, end), in the order of their ends."""
        return (
            cls.objects.filter(reason__isnull=False, ended_at__gte=start, ended_at__lt=end)
            .select_related("machine", "gate")
            .order_by("ended_at", "id")
        )

    @classmethod
    def totals(cls, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """Return a sum for each member and machine of what counts, and ended in [start, end)."""
        rows = (
            cls.ended_between(start, end)
            .order_by()
            .annotate(where=Coalesce("machine__name", "gate__name"))
            .values("used_by", "where")
            .annotate(
                # First, because a sum below hides the column of its own name.
                uncertain=Count("id", filter=Q(uncertain=True)),
                about=Count("id", filter=Q(not_after__isnull=False)),
                sessions=Count("id"),
                energised_ms=Sum("counted_ms"),
                running_ms=Sum(_RUNNING_MS),
                uncertainty_ms=Sum(_UNCERTAINTY_MS),
            )
            .order_by("used_by", "where")
        )
        return [dict(row) for row in rows]

    @classmethod
    def open(cls) -> QuerySet[UsageSession]:
        """Return the sessions that have not ended."""
        return cls.objects.filter(has_end=False, reason__isnull=True).select_related("machine", "gate").order_by("id")

    @classmethod
    def placed_between(cls, start: datetime, end: datetime) -> QuerySet[UsageSession]:
        """Return those of ``ended_between`` of which nobody knows when they were: their boot never synchronised."""
        return cls.ended_between(start, end).filter(not_after__isnull=False)
