"""Which machines are there, and which gate stands beside each? Who the people are is in people.py."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from datetime import datetime, timedelta
from typing import ClassVar, Final

import msgspec
from django.db import models

from fabgate import wire
from fabgate.collector.base import roster_gzip

#: A gate that was away for more locks than this hears of the older ones no more, and stays locked: the safe side.
MAX_LIFTED = 100
#: A gate speaks every 60 s; one that missed three times is not there, whatever it said last.
HEARTBEATS: Final = timedelta(minutes=3)
#: For so long it is told of a gate that it sends too much.
TOO_MUCH_FOR: Final = timedelta(hours=1)
#: Live counters that wait for the first entry of their session.
MAX_HINTS = 20


class Machine(models.Model):
    """A machine, how it behaves (`rules`, the fields of wire.MachineRules) and whether it is locked."""

    name = models.CharField(max_length=63, unique=True)
    title = models.CharField(max_length=120, blank=True)
    #: What the workshop's lists put it under, such as wood or metal.
    category = models.CharField(max_length=60, blank=True)
    note = models.TextField(blank=True)
    #: It left the workshop then; its sessions stay.
    retired_at = models.DateTimeField(null=True, blank=True)
    rules = models.JSONField(default=dict, blank=True)
    #: The preset (machines/presets.py) whose values `rules` last took; they may have been changed since.
    preset = models.CharField(max_length=20, blank=True)
    lock_id = models.CharField(max_length=64, blank=True)
    lock_when = models.CharField(max_length=8, blank=True)
    lock_reason = models.CharField(max_length=200, blank=True)
    lock_back = models.CharField(max_length=40, blank=True)
    locked_by = models.CharField(max_length=200, blank=True)
    locked_at = models.DateTimeField(null=True, blank=True)
    # Ids of locks that were taken off: a gate lifts a lock only when it is named.
    lifted = models.JSONField(default=list, blank=True)

    def __str__(self) -> str:
        return self.title or self.name

    @property
    def lock(self) -> wire.Lock | None:
        """Return the lock as it stands in a roster, or None."""
        if not self.lock_id:
            return None
        return wire.Lock(id=self.lock_id, when=self.lock_when, reason=self.lock_reason, back=self.lock_back or None)

    def set_lock(self, when: str, reason: str, back: str, *, by: str, at: datetime) -> wire.Lock:
        """Lock the machine; a lock that was there is replaced. The caller saves it and rebuilds the rosters."""
        self.lift_lock()
        self.lock_id, self.lock_when, self.lock_reason, self.lock_back = uuid.uuid4().hex, when, reason, back
        self.locked_by, self.locked_at = by, at
        assert self.lock is not None
        return self.lock

    def lift_lock(self) -> wire.Lock | None:
        """Take the lock off and remember its id; return it, or None where there was none."""
        lock = self.lock
        if lock is not None:
            self.lifted = [*self.lifted, lock.id][-MAX_LIFTED:]
            self.lock_id = self.lock_when = self.lock_reason = self.lock_back = self.locked_by = ""
            self.locked_at = None
        return lock

    def wire_rules(self) -> wire.MachineRules:
        """Return the machine's part of a roster.

        `supervisor: never`, which older versions stored, is served as `minors`: gates of before would let minors and
        classes in alone (docs/decisions/0042).
        """
        said = {**self.rules, "lock": msgspec.to_builtins(self.lock), "lifted": self.lifted}
        if said.get("supervisor") == "never":
            said["supervisor"] = "minors"
        return msgspec.convert(said, wire.MachineRules)


class Gate(models.Model):
    """A gate: its secrets' hashes, the roster that is served to it, and what it last said of itself."""

    #: What people decide of it, and the log tells. It may say something of itself at the moment of a change.
    DECIDED: ClassVar = frozenset({"name", "machine"})
    #: Its own words, in `state`, for a machine that somebody uses.
    BUSY: ClassVar = frozenset({"starting", "active", "finishing"})

    name = models.CharField(max_length=63, unique=True)
    machine = models.ForeignKey(Machine, null=True, blank=True, on_delete=models.PROTECT, related_name="gates")
    # A token has 256 random bits, so that one round of SHA-256 hides it; a slow hash would only slow the gates down.
    token_hash = models.CharField(max_length=64, blank=True)

    roster_version = models.BigIntegerField(default=0)

    online = models.BooleanField(default=False)
    boot = models.CharField(max_length=64, blank=True)
    journal = models.CharField(max_length=64, blank=True)
    reported_roster = models.BigIntegerField(default=0)
    seen_at = models.DateTimeField(null=True, blank=True)
    # Live counters from `state`: hints that are compared with the end of a session, never counted.
    # By session, and only until that session's own row has it.
    hints = models.JSONField(default=dict, blank=True)

    # What it last said of its machine, for the floor: entries are the truth, this is the moment.
    state = models.CharField(max_length=16, blank=True)
    causes = models.JSONField(default=list, blank=True)
    session = models.CharField(max_length=64, blank=True)
    session_member = models.CharField(max_length=200, blank=True)
    state_since = models.DateTimeField(null=True, blank=True)
    energised_ms = models.BigIntegerField(default=0)
    running_ms = models.BigIntegerField(default=0)
    #: When the job was last seen to go on: `running_ms` grew. None where it never did in this session.
    ran_at = models.DateTimeField(null=True, blank=True)
    # And of itself.
    synced = models.BooleanField(default=True)
    #: By how much its clock is wrong at least, as its last entry showed (entries/gate_clocks.py); ahead of ours is more than 0.
    clock_off_ms = models.BigIntegerField(null=True, blank=True)
    #: No entry of it can be dated before (entries/first_dates.py); None where it never wrote one with a date.
    earliest_at = models.DateTimeField(null=True, blank=True)
    #: When it last made sure that it decides by the newest roster there is.
    roster_confirmed_at = models.DateTimeField(null=True, blank=True)
    problems = models.JSONField(default=list, blank=True)
    reader = models.CharField(max_length=200, blank=True)
    version = models.CharField(max_length=200, blank=True)
    head = models.BigIntegerField(default=0)
    mark = models.BigIntegerField(default=0)
    #: When it said that its journal ends at `head`; None where it may have been said before.
    head_at = models.DateTimeField(null=True, blank=True)
    #: How many of its messages in quarantine were deleted because newer ones took their room (intake/quarantine.py).
    quarantine_dropped = models.BigIntegerField(default=0)
    #: When something of it was refused last because it sends more than one gate may (broker/floods.py, broker/allowance.py).
    too_much_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name

    @property
    def shown(self) -> tuple[object, ...]:
        """Return what the floor shows of it: while this is the same, no page has anything to redraw."""
        return (
            *(self.online, self.state, tuple(self.causes), self.session, self.session_member, self.state_since),
            *(tuple(self.problems), self.reader, self.version, self.reported_roster, self.synced, self.clock_off_ms),
        )

    @property
    def roster(self) -> bytes:
        """Return the roster that is served to it, read anew; empty where none was built."""
        return roster_gzip.unpack(self._stored_roster())

    @property
    def packed_roster(self) -> bytes:
        """Return the same as gzip."""
        return roster_gzip.pack(self._stored_roster())

    def _stored_roster(self) -> bytes:
        return bytes(ServedRoster.objects.filter(gate=self).values_list("body", flat=True).first() or b"")

    @property
    def knows_roster(self) -> bool:
        """Whether the gate has reported the roster that was built for it last."""
        return self.reported_roster >= self.roster_version

    def sends_too_much(self, at: datetime) -> bool:
        """Whether it lately sent more than one gate may: it has a fault, or somebody else has its account."""
        return self.too_much_at is not None and at - self.too_much_at < TOO_MUCH_FOR

    def is_heard(self, at: datetime) -> bool:
        """Whether the gate is there: it said so, and has not missed its heartbeats since."""
        return self.online and self.seen_at is not None and at - self.seen_at < HEARTBEATS

    def hint(self, session: str, energised_ms: int) -> None:
        """Remember a live counter; of more sessions than MAX_HINTS the newest ones."""
        self.hints[session] = max(energised_ms, self.hints.pop(session, 0))
        for oldest in list(self.hints)[:-MAX_HINTS]:
            del self.hints[oldest]

    def new_token(self) -> str:
        """Set a new random token and return it: only its hash is kept."""
        token = secrets.token_urlsafe(32)
        self.token_hash = _token_hash(token)
        return token

    @classmethod
    def by_token(cls, name: str, token: str) -> Gate | None:
        """Return the gate called `name` if `token` is its own. Takes as long for a gate that does not exist."""
        gate = cls.objects.filter(name=name).first()
        wanted = gate.token_hash if gate and gate.token_hash else _token_hash("")
        right = hmac.compare_digest(wanted, _token_hash(token))
        return gate if gate and gate.token_hash and right else None


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class RosterLimit(models.Model):
    """The longest session that a roster allowed: all that is kept of rosters of before.

    A session names the version that its gate decided by; one that this collector never served has no row.
    """

    gate = models.ForeignKey(Gate, on_delete=models.CASCADE, related_name="+", db_index=False)
    version = models.BigIntegerField()
    #: With the extensions, a job that ends and the fan's run-on.
    longest_s = models.BigIntegerField()

    class Meta:
        """Once by version."""

        constraints = [models.UniqueConstraint(fields=["version", "gate"], name="roster_limit_once")]

    def __str__(self) -> str:
        return f"{self.gate_id}/{self.version}: {self.longest_s} s"


class ServedRoster(models.Model):
    """What a gate is served. Apart from its gate, which is read wherever a session is shown: a large one has megabytes."""

    gate = models.OneToOneField(Gate, primary_key=True, on_delete=models.CASCADE, related_name="+")
    #: As base/roster_gzip.py has it.
    body = models.BinaryField()

    def __str__(self) -> str:
        return f"roster of {self.gate_id}"
