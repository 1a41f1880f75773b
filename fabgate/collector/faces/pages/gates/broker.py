"""Texts of the pages about the message broker."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Heartbeat
from fabgate.mqtt import certificates


def certificate(at: datetime) -> str:
    """Return a warning that the broker's certificate must be renewed; empty if there is no need yet."""
    beat = Heartbeat.objects.filter(name=Heartbeat.INGEST).first()
    ends = beat and beat.broker_until
    if not ends or not certificates.is_due(ends, at):
        return ""
    day, days = date_format(timezone.localtime(ends), "SHORT_DATE_FORMAT"), (ends - at).days
    if ends <= at:
        return _("The message broker's certificate expired on %(day)s.") % {"day": day}
    if not days:
        return _("The message broker's certificate expires on %(day)s (in less than a day).") % {"day": day}
    text = ngettext(
        "The message broker's certificate expires on %(day)s (in %(n)d day).",
        "The message broker's certificate expires on %(day)s (in %(n)d days).",
        days,
    )
    return text % {"day": day, "n": days}
