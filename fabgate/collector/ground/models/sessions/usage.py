"""Sessions: who used which machine, and for how long. recording/sessions/merge.py derives each row from entries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Case, Count, F, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce, Least

from fabgate.collector.ground.models.entries import Journal
from fabgate.collector.ground.models.fields import Flag
from fabgate.collector.ground.models.machines import Gate, Machine
from fabgate.collector.ground.models.sessions import counted

_ENDED = Q(ended_at__isnull=False)
_UNCERTAIN = _ENDED & Q(uncertain=True)
#: As in counted.py, for sums over many rows.
_IS_TIME_CORRECTED = Q(corrected__contains=counted.TIME)
_RUNNING_MS = Case(When(_IS_TIME_CORRECTED, then=Least("running_ms", "counted_ms")), default=F("running_ms"))
_UNCERTAINTY_MS = Case(When(_IS_TIME_CORRECTED, then=Value(0, models.BigIntegerField())), default=F("uncertainty_ms"))


class UsageSession(models.Model):
    """A session, derived from all its entries. The order in which they arrived does not matter.

    It is open while `reason` is null. Durations are whole milliseconds of the gate's boot clock; the true energised
    time lies in [energised_ms, energised_ms + uncertainty_ms].

    `ended_at` is the date on which it counts. If the end has no date, that is the latest possible one, `not_after`, so
    that every report counts the session once, and never in a period that was over before it could have ended.
    """

    id = models.CharField(max_length=64, primary_key=True)
    gate = models.ForeignKey(Gate, on_delete=models.PROTECT, related_name="sessions", db_index=False)
    machine = models.ForeignKey(Machine, null=True, on_delete=models.PROTECT, related_name="sessions", db_index=False)
    member = models.CharField(max_length=200)
    badge = models.CharField(max_length=200)

    started_at = models.DateTimeField(null=True)
    start_timed = Flag(default=False)  # the entry has a time of its own; otherwise it is derived from the boot
    start_boot = models.CharField(max_length=64, blank=True)
    start_boottime_ms = models.BigIntegerField(default=0)
    has_start = models.BooleanField(default=False)
    # The member's category when the session first appeared; it does not change with the member.
    category = models.CharField(max_length=60, blank=True)
    earlier_holder = models.BooleanField(default=False)  # the gate had an old roster: the badge had a new holder
    mode = models.CharField(max_length=200, blank=True)
    basis = models.CharField(max_length=200, blank=True)
    supervisor = models.CharField(max_length=200, null=True)  # noqa: DJ001 (absent on the wire is NULL here)

    ended_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=200, null=True)  # noqa: DJ001 (NULL means still open)
    energised_ms = models.BigIntegerField(default=0)
    running_ms = models.BigIntegerField(default=0)
    uncertainty_ms = models.BigIntegerField(default=0)
    # Why the session waits for a review: a doubt about its figures that no person has settled, or its member contests
    # it.
    review = models.CharField(max_length=40, null=True)  # noqa: DJ001 (NULL means nothing to review)
    doubt = models.CharField(max_length=40, null=True)  # noqa: DJ001 (NULL means the entries leave none)
    uncertain = Flag(default=False)
    # The values that count: those of the entries, or corrected ones (`corrected` names these fields).
    used_by = models.CharField(max_length=200, blank=True)
    payer = models.CharField(max_length=200, blank=True)
    purpose = models.CharField(max_length=16, blank=True)
    counted_ms = models.BigIntegerField(default=0)
    corrected = models.CharField(max_length=40, blank=True)
    # Set if the start or end has no date because a boot never synchronised: the session lies between these two.
    not_before = models.DateTimeField(null=True)
    not_after = models.DateTimeField(null=True)

    # The latest fact: the end that applies, or else the entry with the highest counters.
    has_end = Flag(default=False)
    end_reason = models.CharField(max_length=200, blank=True)
    last_at = models.DateTimeField(null=True)
    last_arrived_at = models.DateTimeField(null=True)  # set if the entry itself carries no time
    last_timed = Flag(default=False)
    last_boot = models.CharField(max_length=64, blank=True)
    last_boottime_ms = models.BigIntegerField(default=0)
    last_energised_ms = models.BigIntegerField(default=0)
    opened_in = models.ForeignKey(Journal, on_delete=models.PROTECT, related_name="+", db_index=False)
    opened_seq = models.BigIntegerField(default=0)
    hint_ms = models.BigIntegerField(default=0)  # the highest live counter: only compared with the end, never counted
    # By how much, at least, the gate's clock was wrong when it wrote these entries (recording/entries/gate_clocks.py);
    # positive if ahead.
    clock_off_ms = models.BigIntegerField(null=True)
    # How long the machine had been on when the start was written: after a handover, or if the start was written late.
    early_ms = models.BigIntegerField(default=0)
    # The longest session allowed by the rosters that its entries name (RosterLimit); NULL if this collector served none
    # of them.
    allowed_ms = models.BigIntegerField(null=True)
    # What the machine took, in Wh, by its latest fact; NULL if its gate has no energy meter, or did not know.
    energy_wh = models.BigIntegerField(null=True)
    # For how long it may also have worked: its meter was broken. NULL if that is known for all of the session.
    running_unknown_ms = models.BigIntegerField(null=True)

    class Meta:
        """Indexes for frequent look-ups, and for look-ups in large tables."""

        indexes = [
            # Pages of sessions, the newest first; open ones are few, and in none of these. The columns after the id are
            # checked in the index, so that rare rows are found without reading the rows between them. A few wide
            # indexes, because each further one slows ingest as history grows. `started_at`: the index alone answers
            # when a month's sessions began.
            models.Index(fields=["ended_at", "id", "started_at", "reason"], condition=_ENDED, name="session_ended"),
            models.Index(
                fields=["used_by", "ended_at", "id", "machine", "reason"], condition=_ENDED, name="session_of_member"
            ),
            models.Index(fields=["machine", "ended_at", "id", "reason"], condition=_ENDED, name="session_of_machine"),
            # Few sessions are uncertain, so these cost little. They come last because SQLite, of two indexes that fit
            # equally well, uses the one made last.
            models.Index(fields=["ended_at", "id"], condition=_UNCERTAIN, name="session_uncertain"),
            models.Index(fields=["used_by", "ended_at", "id"], condition=_UNCERTAIN, name="session_member_uncertain"),
            models.Index(fields=["machine", "ended_at", "id"], condition=_UNCERTAIN, name="session_machine_uncertain"),
            # Of a million sessions a few are open, and every page that shows them looks them up.
            models.Index(fields=["id"], condition=Q(has_end=False, reason__isnull=True), name="session_open"),
            # Small indexes: open sessions by gate, without which SQLite would read all sessions in the order of ids;
            # and sessions that may still change although none of their own entries arrives.
            models.Index(fields=["gate"], condition=Q(has_end=False), name="session_unended"),
            models.Index(fields=["start_boot"], condition=Q(start_timed=False), name="session_start_undated"),
            models.Index(fields=["last_boot"], condition=Q(last_timed=False), name="session_end_undated"),
            models.Index(fields=["gate"], condition=Q(not_after__isnull=False), name="session_placed"),
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.member})"

    @property
    def is_uncertain(self) -> bool:
        """Whether its figures are not exactly known, or a review is open."""
        return self.counted_uncertainty_ms > 0 or self.review is not None

    @property
    def counted_running_ms(self) -> int:
        """Return how many milliseconds a job ran, as it counts."""
        return counted.running_ms(self)

    @property
    def counted_uncertainty_ms(self) -> int:
        """Return how many milliseconds longer than counted it may have been."""
        return counted.uncertainty_ms(self)

    @property
    def counted_until(self) -> datetime | None:
        """Return when it ended, as it counts; lists and sums use `ended_at`."""
        return counted.until(self)

    @property
    def recorded_until(self) -> datetime | None:
        """Return when the machine went off according to the gate's own entries."""
        return counted.recorded_until(self)

    @property
    def is_time_corrected(self) -> bool:
        """Return whether a person corrected how long the machine was on."""
        return counted.is_time_corrected(self)

    @property
    def is_about(self) -> bool:
        """Whether it has no exact date, only a span from `not_before` to `not_after`."""
        return self.not_after is not None

    @property
    def people(self) -> frozenset[str]:
        """Return the ids of the people it concerns: the badge's holder, the person at the machine, and the payer."""
        return frozenset({self.member, self.used_by, self.payer})

    @property
    def machine_name(self) -> str:
        """Return the machine's name, or the gate's if it had no machine."""
        return self.machine.name if self.machine else self.gate.name

    @classmethod
    def ended_between(cls, start: datetime, end: datetime) -> QuerySet[UsageSession]:
        """Return the sessions that ended in [start, end), ordered by their ends."""
        return (
            cls.objects.filter(reason__isnull=False, ended_at__gte=start, ended_at__lt=end)
            .select_related("machine", "gate")
            .order_by("ended_at", "id")
        )

    @classmethod
    def totals(cls, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """Return the sums for each member and machine of the sessions that ended in [start, end)."""
        rows = (
            cls.ended_between(start, end)
            .order_by()
            .annotate(where=Coalesce("machine__name", "gate__name"))
            .values("used_by", "where")
            .annotate(
                # first, because a sum below hides the column of the same name
                uncertain=Count("id", filter=Q(uncertain=True)),
                about=Count("id", filter=Q(not_after__isnull=False)),
                measured=Count("energy_wh"),
                sessions=Count("id"),
                energised_ms=Sum("counted_ms"),
                running_ms=Sum(_RUNNING_MS),
                uncertainty_ms=Sum(_UNCERTAINTY_MS),
                energy_wh=Sum("energy_wh"),
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
        """Return those sessions of ``ended_between`` that have no exact date, because their boot never synchronised."""
        return cls.ended_between(start, end).filter(not_after__isnull=False)
