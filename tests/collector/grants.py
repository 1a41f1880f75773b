"""Badges and trainings that people were given, and the days they begin and end on."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from fabgate import badge
from fabgate.collector.ground.models import Badge, Grant, Member, Training
from fabgate.collector.members.access import roster


def today() -> date:
    return datetime.now(ZoneInfo(settings.ENVIRONMENT.tz)).date()


def day(days: int) -> date:
    return today() + timedelta(days=days)


def give_badge(member: Member | None, spelling: str = "04A1B2C3", **more: Any) -> Badge:
    digest = badge.digest(badge.parse(spelling), roster.badge_key(settings.ENVIRONMENT))
    since = datetime.now(ZoneInfo("UTC")) - timedelta(days=10)
    return Badge.objects.create(spelling=spelling, digest=digest, member=member, **{"since": since, **more})


def grant(member: Member, training: Training, stage: str = "autonomous", since: int = -5, **more: Any) -> Grant:
    return Grant.objects.create(member=member, training=training, stage=stage, since=day(since), **more)
