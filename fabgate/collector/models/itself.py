"""Which collector is this, and which of its processes live?"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Final

from django.db import models


class Collector(models.Model):
    """The one row that says who this database is. An emptied or new collector has another id, and gates notice."""

    #: Before the name of a zone: the collector lives in it, and the sums are to be made anew.
    ANEW: Final = "-"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    collector = models.CharField(max_length=64)
    site = models.CharField(max_length=63)
    #: The time zone whose days and months are summed up; another one, none, or ANEW before it: it is to be made anew (sessions/sums.py).
    rolled_tz = models.CharField(max_length=63, blank=True)
    #: What tells a copy that was restored: which database on which server this was at the last start (db/postgresql.py),
    #: or on SQLite how far it has counted (processes/restored_database.py).
    place = models.CharField(max_length=200, blank=True)

    class Meta:
        """There is one row."""

        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="only_one_collector")]

    def __str__(self) -> str:
        return self.collector

    @property
    def zone(self) -> str:
        """Return the time zone that it lives in; empty where nobody has said one yet."""
        return self.rolled_tz.removeprefix(self.ANEW)

    @classmethod
    def get(cls, site: str) -> Collector:
        """Return the row, made with a random id (and `site`) at the first call."""
        return cls.objects.get_or_create(id=1, defaults={"collector": uuid.uuid4().hex, "site": site})[0]

    @classmethod
    def zone_trouble(cls, tz: str) -> str:
        """Return what is wrong where a process lives in another zone: it was taken elsewhere while that one ran.

        On one computer nobody can (processes/start.py); on PostgreSQL another computer may.
        """
        row = cls.objects.filter(id=1).first()
        if row is None or row.zone in {"", tz}:
            return ""
        return f"it lives in {tz}, but the collector in {row.zone}: set one FABGATE_TZ for all, and restart them"


class Heartbeat(models.Model):
    """When one of our processes last said that it is alive, and what troubled it then; one row a process.

    The web process tells others by it (api/health.py): it cannot look into processes that may run on another computer.
    """

    INGEST, WORKER = "ingest", "worker"

    name = models.CharField(max_length=16, primary_key=True)
    at = models.DateTimeField()
    #: What keeps it from its work, such as a broker that does not answer; empty while it does it.
    trouble = models.CharField(max_length=200, blank=True)
    #: Of the ingest: when the certificate ends that the broker showed last; None without TLS, and before it connected.
    broker_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name}: {self.trouble or 'well'}"

    @classmethod
    def beat(cls, name: str, at: datetime, trouble: str = "", **known: datetime | None) -> None:
        """Say that a process is alive. What is not in `known` (`broker_until`) stays as it was said before."""
        cls.objects.update_or_create(name=name, defaults={"at": at, "trouble": trouble[:200], **known})
