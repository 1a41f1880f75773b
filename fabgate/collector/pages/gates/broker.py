"""What is there to say about the broker, by which the gates are heard?"""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fabgate.collector.models import Heartbeat
from fabgate.mqtt import certificates


def certificate(at: datetime) -> str:
    """Return in words that the broker's certificate has to be renewed; "" while it does not have to be."""
    beat = Heartbeat.objects.filter(name=Heartbeat.INGEST).first()
    ends = beat and beat.broker_until
    if not ends or not certificates.is_due(ends, at):
        return ""
    day, days = date_format(timezone.localtime(ends), "SHORT_DATE_FORMAT"), (ends - at).days
    if ends <= at:
        return _("The broker's certificate expired on %(day)s.") % {"day": day}
    if not days:
        return _("The broker's certificate ends on %(day)s (in less than a day).") % {"day": day}
    text = ngettext(
        "The broker's certificate ends on %(day)s (in %(n)d day).",
        "The broker's certificate ends on %(day)s (in %(n)d days).",
        days,
    )
    return text % {"day": day, "n": days}
