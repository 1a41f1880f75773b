"""Who are the people, and which machines and gates are there?"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from datetime import date
from typing import Any

import msgspec
from django.db import models

from fabgate import badge, wire

#: A gate that was away for more locks than this hears of the older ones no more, and stays locked: the safe side.
MAX_LIFTED = 100
#: Live counters that wait for the first entry of their session.
MAX_HINTS = 20


class Machine(models.Model):
    """A machine, how it behaves (`rules`, the fields of wire.MachineRules) and whether it is locked."""

    name = models.CharField(max_length=63, unique=True)
    title = models.CharField(max_length=120, blank=True)
    rules = models.JSONField(default=dict, blank=True)
    lock_id = models.CharField(max_length=64, blank=True)
    lock_when = models.CharField(max_length=8, blank=True)
    lock_reason = models.CharField(max_length=200, blank=True)
    lock_back = models.CharField(max_length=40, blank=True)
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

    def set_lock(self, when: str, reason: str, back: str) -> wire.Lock:
        """Lock the machine; a lock that was there is replaced. The caller saves it and rebuilds the rosters."""
        self.lift_lock()
        self.lock_id, self.lock_when, self.lock_reason, self.lock_back = uuid.uuid4().hex, when, reason, back
        assert self.lock is not None
        return self.lock

    def lift_lock(self) -> wire.Lock | None:
        """Take the lock off and remember its id; return it, or None where there was none."""
        lock = self.lock
        if lock is not None:
            self.lifted = [*self.lifted, lock.id][-MAX_LIFTED:]
            self.lock_id = self.lock_when = self.lock_reason = self.lock_back = ""
        return lock

    def wire_rules(self) -> wire.MachineRules:
        """Return the machine's part of a roster."""
        return msgspec.convert(
            {**self.rules, "lock": msgspec.to_builtins(self.lock), "lifted": self.lifted}, wire.MachineRules
        )


class Gate(models.Model):
    """A gate: its secrets' hashes, the roster that is served to it, and what it last said of itself."""

    name = models.CharField(max_length=63, unique=True)
    machine = models.ForeignKey(Machine, null=True, blank=True, on_delete=models.PROTECT, related_name="gates")
    # A token has 256 random bits, so that one round of SHA-256 hides it; a slow hash would only slow the gates down.
    token_hash = models.CharField(max_length=64, blank=True)

    roster_version = models.BigIntegerField(default=0)
    roster = models.BinaryField(default=b"")

    online = models.BooleanField(default=False)
    boot = models.CharField(max_length=64, blank=True)
    journal = models.CharField(max_length=64, blank=True)
    reported_roster = models.BigIntegerField(default=0)
    seen_at = models.DateTimeField(null=True, blank=True)
    # Live counters from `state`: hints that are compared with the end of a session, never counted.
    # By session, and only until that session's own row has it.
    hints = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return self.name

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


class Member(models.Model):
    """A member, by the workshop's own id; the machines are those that they may use."""

    LEVELS = ("user", "supervisor", "maintainer")

    id = models.CharField(max_length=64, primary_key=True)
    name = models.CharField(max_length=120, blank=True)
    lang = models.CharField(max_length=8, default="en")
    level = models.CharField(max_length=16, default="user", choices=[(level, level) for level in LEVELS])
    valid_until = models.DateField(null=True, blank=True)
    grace_days = models.PositiveSmallIntegerField(default=0)
    supervised = models.BooleanField(default=False)
    machines: models.ManyToManyField[Machine, Any] = models.ManyToManyField(Machine, blank=True, related_name="members")

    def __str__(self) -> str:
        return f"{self.id} ({self.name})" if self.name else self.id

    @property
    def given_name(self) -> str:
        """Return what a machine's display may show."""
        return self.name.split()[0] if self.name.split() else ""

    @classmethod
    def names(cls) -> dict[str, str]:
        """Return every known member's name by id."""
        return dict(cls.objects.exclude(name="").values_list("id", "name"))


class Block(models.Model):
    """Why a member may use no machine, since when and by whom; lifted ones are kept. Each reason is one block."""

    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="blocks")
    reason = models.CharField(max_length=64)
    #: The first day, in the site's time zone, on which it holds no more by itself.
    until = models.DateField(null=True, blank=True)
    actor = models.CharField(max_length=200)
    at = models.DateTimeField()
    lifted_by = models.CharField(max_length=200, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """A reason holds once; what holds is looked up by its end."""

        constraints = [
            models.UniqueConstraint(
                fields=["member", "reason"], condition=models.Q(lifted_at__isnull=True), name="block_once"
            )
        ]
        indexes = [models.Index(fields=["until"], condition=models.Q(lifted_at__isnull=True), name="block_holds")]

    def __str__(self) -> str:
        return f"{self.member_id}: {self.reason}"

    @classmethod
    def holding(cls, today: date) -> models.QuerySet[Block]:
        """Return the blocks that hold on `today`, the oldest first."""
        ends_later = models.Q(until=None) | models.Q(until__gt=today)
        return cls.objects.filter(ends_later, lifted_at=None).order_by("at", "id")


class Badge(models.Model):
    """A badge and who carries it: the canonical spelling of badge.py, and its digest under the site's badge key."""

    spelling = models.CharField(max_length=24, unique=True)
    digest = models.CharField(max_length=64, unique=True)
    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="badges")

    def __str__(self) -> str:
        return f"badge of {self.member_id}"

    @classmethod
    def digest_again(cls, key: bytes) -> int:
        """Bring every digest up to the key in use; return how many were under another one."""
        stale = []
        for row in cls.objects.iterator():
            fresh = badge.digest(badge.parse(row.spelling), key)
            if row.digest != fresh:
                row.digest = fresh
                stale.append(row)
        cls.objects.bulk_update(stale, ["digest"], batch_size=300)
        return len(stale)


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
