"""Which collector is this?"""

from __future__ import annotations

import uuid

from django.db import models


class Collector(models.Model):
    """The one row that says who this database is. An emptied or new collector has another id, and gates notice."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    collector = models.CharField(max_length=64)
    site = models.CharField(max_length=63)

    class Meta:
        """There is one row."""

        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="only_one_collector")]

    def __str__(self) -> str:
        return self.collector

    @classmethod
    def get(cls, site: str) -> Collector:
        """Return the row, made with a random id (and `site`) at the first call."""
        return cls.objects.get_or_create(id=1, defaults={"collector": uuid.uuid4().hex, "site": site})[0]
