"""Machines, the gates next to them, their accounts at the broker, and the rosters that they are served."""

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
from fabgate.collector.ground.base import roster_gzip

#: Lifted locks that a roster lists. A gate that missed more of them stays locked, which is the safe side.
MAX_LIFTED = 100
#: A gate publishes its state every 60 s. After three missed ones it counts as offline, even if its last status was
#: online.
HEARTBEATS: Final = timedelta(minutes=3)
#: How long pages show that a gate has sent too much.
TOO_MUCH_FOR: Final = timedelta(hours=1)
#: How many live counters are kept for sessions whose first entry has not arrived.
MAX_HINTS = 20


class Machine(models.Model):
    """A machine, how it behaves (`rules`, the fields of wire.MachineRules) and whether it is locked."""

    name = models.CharField(max_length=63, unique=True)
    title = models.CharField(max_length=120, blank=True)
    #: For grouping machines in lists, such as wood or metal.
    category = models.CharField(max_length=60, blank=True)
    note = models.TextField(blank=True)
    #: When it left the workshop; its sessions stay.
    retired_at = models.DateTimeField(null=True, blank=True)
    rules = models.JSONField(default=dict, blank=True)
    #: The preset (members/machines/presets.py) that was last copied into `rules`, which may have changed since.
    preset = models.CharField(max_length=20, blank=True)
    lock_id = models.CharField(max_length=64, blank=True)
    lock_when = models.CharField(max_length=8, blank=True)
    lock_reason = models.CharField(max_length=200, blank=True)
    lock_back = models.CharField(max_length=40, blank=True)
    locked_by = models.CharField(max_length=200, blank=True)
    locked_at = models.DateTimeField(null=True, blank=True)
    # Ids of lifted locks: a gate lifts a lock only if the roster names it here.
    lifted = models.JSONField(default=list, blank=True)

    def __str__(self) -> str:
        return self.title or self.name

    @property
    def lock(self) -> wire.Lock | None:
        """Return the lock in the form of a roster, or None."""
        if not self.lock_id:
            return None
        return wire.Lock(id=self.lock_id, when=self.lock_when, reason=self.lock_reason, back=self.lock_back or None)

    def set_lock(self, when: str, reason: str, back: str, *, by: str, at: datetime) -> wire.Lock:
        """Lock the machine, replacing any other lock. The caller saves it and rebuilds the rosters."""
        self.lift_lock()
        self.lock_id, self.lock_when, self.lock_reason, self.lock_back = uuid.uuid4().hex, when, reason, back
        self.locked_by, self.locked_at = by, at
        assert self.lock is not None
        return self.lock

    def lift_lock(self) -> wire.Lock | None:
        """Lift the lock and remember its id; return the lock, or None if there was none."""
        lock = self.lock
        if lock is not None:
            self.lifted = [*self.lifted, lock.id][-MAX_LIFTED:]
            self.lock_id = self.lock_when = self.lock_reason = self.lock_back = self.locked_by = ""
            self.locked_at = None
        return lock

    def wire_rules(self) -> wire.MachineRules:
        """Return the machine's part of a roster."""
        rules = {**self.rules, "lock": msgspec.to_builtins(self.lock), "lifted": self.lifted}
        return msgspec.convert(rules, wire.MachineRules)

    def open_until(self, at: datetime) -> datetime | None:
        """Return until when it is open to everybody whom its rosters know, in the zone of `at`; None if it is not at `at`.

        The same rule as in a gate (rules/access.py).
        """
        until = self.wire_rules().observe_until
        if until is None:
            return None
        until = until.replace(tzinfo=at.tzinfo) if until.tzinfo is None else until
        return until.astimezone(at.tzinfo) if at < until else None


class Gate(models.Model):
    """A gate: the hash of its token, its roster version, and what it last reported."""

    #: The fields that people set, and that the audit log records. The gate may report other fields meanwhile.
    DECIDED: ClassVar = frozenset({"id", "name", "machine", "token_hash"})
    #: The values of `state` for a machine in use.
    BUSY: ClassVar = frozenset({"starting", "active", "finishing"})
    #: Values of `reader`: it works, and whether it would report that it was unplugged.
    READER_OK, READER_UNSUPERVISED = "ok", "unsupervised"

    name = models.CharField(max_length=63, unique=True)
    machine = models.ForeignKey(Machine, null=True, blank=True, on_delete=models.PROTECT, related_name="gates")
    # A token has 256 random bits, so one round of SHA-256 is enough; a slow hash would only slow gates down.
    token_hash = models.CharField(max_length=64, blank=True)

    roster_version = models.BigIntegerField(default=0)

    online = models.BooleanField(default=False)
    boot = models.CharField(max_length=64, blank=True)
    journal = models.CharField(max_length=64, blank=True)
    reported_roster = models.BigIntegerField(default=0)
    seen_at = models.DateTimeField(null=True, blank=True)
    # Live counters from `state`, by session, until that session has a row. They are only compared with its end, never
    # counted.
    hints = models.JSONField(default=dict, blank=True)

    # Its last report about its machine, for the floor page. The record is in the entries; this is only the present.
    state = models.CharField(max_length=16, blank=True)
    causes = models.JSONField(default=list, blank=True)
    session = models.CharField(max_length=64, blank=True)
    session_member = models.CharField(max_length=200, blank=True)
    state_since = models.DateTimeField(null=True, blank=True)
    energised_ms = models.BigIntegerField(default=0)
    running_ms = models.BigIntegerField(default=0)
    #: When `running_ms` last grew in this session, which means that a job was running; None if it never did.
    ran_at = models.DateTimeField(null=True, blank=True)
    # Its last report about itself.
    synced = models.BooleanField(default=True)
    #: By how much, at least, its clock is wrong, judged by its last entry (recording/entries/gate_clocks.py); positive
    #: if ahead.
    clock_off_ms = models.BigIntegerField(null=True, blank=True)
    #: No entry of the gate can be older than this (recording/entries/first_dates.py); None if it has written none with
    #: a date.
    earliest_at = models.DateTimeField(null=True, blank=True)
    #: When its roster was last confirmed as the newest, by its own report.
    roster_confirmed_at = models.DateTimeField(null=True, blank=True)
    problems = models.JSONField(default=list, blank=True)
    #: READER_OK, READER_UNSUPERVISED, or what it reports instead; empty before its first report.
    reader = models.CharField(max_length=200, blank=True)
    #: Whether an input or a meter reports that its machine works; None: it has not said so.
    senses_work = models.BooleanField(null=True, blank=True)
    version = models.CharField(max_length=200, blank=True)
    head = models.BigIntegerField(default=0)
    mark = models.BigIntegerField(default=0)
    #: When it reported that its journal ends at `head`; None if that report may be older.
    head_at = models.DateTimeField(null=True, blank=True)
    #: How many of its quarantined messages were deleted to make room for newer ones (recording/intake/quarantine.py).
    quarantine_dropped = models.BigIntegerField(default=0)
    #: When one of its messages was last refused because it sends more than it may (recording/broker/floods.py,
    #: recording/broker/allowance.py).
    too_much_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name

    @property
    def is_reader_broken(self) -> bool:
        """Return whether it has reported a fault of its reader."""
        return self.reader not in ("", self.READER_OK, self.READER_UNSUPERVISED)

    @property
    def shown(self) -> tuple[object, ...]:
        """Return the values that the floor page shows of it; while they are the same, no page has to redraw."""
        return (
            *(self.online, self.state, tuple(self.causes), self.session, self.session_member, self.state_since),
            *(tuple(self.problems), self.reader, self.version, self.reported_roster, self.synced, self.clock_off_ms),
        )

    @property
    def roster(self) -> bytes:
        """Return the roster that it is served; empty if none was built."""
        return roster_gzip.unpack(self.packed_roster)

    @property
    def packed_roster(self) -> bytes:
        """Return the roster as gzip."""
        return bytes(ServedRoster.objects.filter(gate=self).values_list("body", flat=True).first() or b"")

    @property
    def knows_roster(self) -> bool:
        """Whether the gate has reported its newest roster."""
        return self.reported_roster >= self.roster_version

    def sends_too_much(self, at: datetime) -> bool:
        """Whether it recently sent more than it may: it is faulty, or another program uses its account."""
        return self.too_much_at is not None and at - self.too_much_at < TOO_MUCH_FOR

    @classmethod
    def count_online(cls) -> int:
        """Return how many gates of machines in use last said that they are online."""
        return cls.objects.filter(online=True, machine__retired_at=None).exclude(machine=None).count()

    def is_online(self, at: datetime) -> bool:
        """Whether the gate is online: it reported so, and has not missed its heartbeats since."""
        return self.online and self.seen_at is not None and at - self.seen_at < HEARTBEATS

    def hint(self, session: str, energised_ms: int) -> None:
        """Store a live counter; only those of the newest MAX_HINTS sessions are kept."""
        self.hints[session] = max(energised_ms, self.hints.pop(session, 0))
        for oldest in list(self.hints)[:-MAX_HINTS]:
            del self.hints[oldest]

    def new_token(self, token: str = "") -> str:
        """Set a token, a new random one if none is given, and return it; only its hash is stored."""
        token = token or secrets.token_urlsafe(32)
        self.token_hash = self.hash_of(token)
        return token

    @staticmethod
    def hash_of(token: str) -> str:
        """Return what is stored of a token."""
        return _token_hash(token)

    @classmethod
    def by_token(cls, name: str, token: str) -> Gate | None:
        """Return the gate `name` if `token` is its own.

        For an unknown gate this takes as long, so timing reveals nothing.
        """
        gate = cls.objects.filter(name=name).first()
        wanted = gate.token_hash if gate and gate.token_hash else _token_hash("")
        right = hmac.compare_digest(wanted, _token_hash(token))
        return gate if gate and gate.token_hash and right else None


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class RosterLimit(models.Model):
    """The longest session that one version of a roster allowed; nothing else is kept of earlier rosters.

    A session names the version by which its gate decided. A version that this collector never served has no row.
    """

    gate = models.ForeignKey(Gate, on_delete=models.CASCADE, related_name="+", db_index=False)
    version = models.BigIntegerField()
    #: Including extensions, the end of a running job and the fan's run-on.
    longest_s = models.BigIntegerField()

    class Meta:
        """One row for each version of a gate."""

        constraints = [models.UniqueConstraint(fields=["version", "gate"], name="roster_limit_once")]

    def __str__(self) -> str:
        return f"{self.gate_id}/{self.version}: {self.longest_s} s"


class ServedRoster(models.Model):
    """The roster that a gate is served.

    It has its own table: it may be large, and gates are read with every session.
    """

    gate = models.OneToOneField(Gate, primary_key=True, on_delete=models.CASCADE, related_name="+")
    #: In the format of ground/base/roster_gzip.py.
    body = models.BinaryField()

    def __str__(self) -> str:
        return f"roster of {self.gate_id}"


class BrokerAccount(models.Model):
    """The account that a gate shall have at the broker, as Mosquitto's plugin stores one; without `digest`, none.

    A gate without a row has never had one. The password itself is a file in the gate's folder, beside its token.
    """

    gate = models.OneToOneField(Gate, primary_key=True, on_delete=models.CASCADE, related_name="broker_account")
    #: In base64. Each password has another one, so it also names the password.
    salt = models.CharField(max_length=24, blank=True)
    #: PBKDF2 of the password with SHA-512, in base64.
    digest = models.CharField(max_length=88, blank=True)
    iterations = models.PositiveIntegerField(default=0)
    #: When this was decided, and when the broker confirmed it: from then on a gate without account is cut off.
    asked_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.gate}: {self.state}"

    @property
    def state(self) -> str:
        """Return in a word what is true at the broker: `ready`, `cut-off`, or `awaited` until it has confirmed it."""
        if self.confirmed_at is None:
            return "awaited"
        return "ready" if self.digest else "cut-off"
