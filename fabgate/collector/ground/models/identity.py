"""The identity of this collector, and the heartbeats of its processes."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models


class Collector(models.Model):
    """The one row that identifies this database. A new or emptied database has another id, which gates notice."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    collector = models.CharField(max_length=64)
    site = models.CharField(max_length=63)
    #: The collector's time zone, in which the daily and monthly sums are computed (recording/sessions/sums.py); empty
    #: until it is stored.
    rolled_tz = models.CharField(max_length=63, blank=True)
    #: The language of machines and mails, of environ.LANGS; empty before the first start.
    lang = models.CharField(max_length=8, blank=True)
    #: Detects a restored copy: on PostgreSQL the database and server at the last start (ground/db/postgresql.py), on
    #: SQLite the counter at that time (processes/restored_database.py).
    place = models.CharField(max_length=200, blank=True)
    #: The number of the newest organisation that pays (money/billing/paying/payers.py). After a restore it is above all
    #: numbers that may have been used since the copy.
    last_organisation = models.BigIntegerField(default=0)
    #: The short forms of badges that readers of the workshop give, by name, separated by spaces
    #: (members/access/short_forms.py).
    badge_forms = models.CharField(max_length=1000, blank=True)

    class Meta:
        """There is only one row."""

        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="only_one_collector")]

    def __str__(self) -> str:
        return self.collector

    @classmethod
    def get(cls, site: str) -> Collector:
        """Return the row; the first call creates it, with a random id and `site`."""
        return cls.objects.get_or_create(id=1, defaults={"collector": uuid.uuid4().hex, "site": site})[0]

    @classmethod
    def zone_trouble(cls, tz: str) -> str:
        """Return an error text if this process uses another time zone than the collector, or "".

        On one computer the check at start prevents that (processes/start.py); with PostgreSQL, processes may run on
        several.
        """
        row = cls.objects.filter(id=1).first()
        if row is None or row.rolled_tz in {"", tz}:
            return ""
        return f"its time zone is {tz}, but the collector's is {row.rolled_tz}: set one FABGATE_TZ for all, and restart them"


class Heartbeat(models.Model):
    """When a process last reported that it is alive, and its problem at that time; one row for each process.

    The web process reads them for /healthz (faces/api/health.py), since the others may run on another computer.
    """

    INGEST, WORKER = "ingest", "worker"

    name = models.CharField(max_length=16, primary_key=True)
    at = models.DateTimeField()
    #: What keeps it from working, such as a broker that does not answer; empty if nothing does.
    trouble = models.CharField(max_length=200, blank=True)
    #: Ingest only: when the broker's certificate expires; None without TLS and before the first connection.
    broker_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name}: {self.trouble or 'well'}"

    @classmethod
    def beat(cls, name: str, at: datetime, trouble: str = "", **known: datetime | None) -> None:
        """Record that a process is alive. `broker_until` is changed only if it is in `known`."""
        cls.objects.update_or_create(name=name, defaults={"at": at, "trouble": trouble[:200], **known})
