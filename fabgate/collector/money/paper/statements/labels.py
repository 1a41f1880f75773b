"""Names of the classes of sessions, and what each means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Charge
from fabgate.collector.money.billing import rating, summary

#: Class: its name, and which sessions are in it.
CLASSES: Final[Mapping[str, tuple[Any, Any]]] = {
    rating.BILLED: (_("Billed"), _("with a price, even if the daily cap or a discount leaves nothing to pay")),
    rating.FREE: (pgettext_lazy("costs nothing", "Free"), _("covered by free minutes, or without a price")),
    rating.GRACE: (_("Too short"), _("within the grace time, for example after a tap on the wrong machine")),
    rating.WAIVED: (_("Waived"), _("a manager or accountant decided that the session costs nothing")),
    rating.IN_REVIEW: (_("In review"), _("the session gets a price once a person has checked it")),
    rating.NO_TARIFF: (_("No tariff"), _("no rule applies to the machine, plan and day of the session")),
    summary.LINE: (_("Lines"), _("material, courses and reductions")),
    rating.NOT_BILLABLE: (_("Not billable"), _("maintenance, training and emergencies, unless a rule bills them")),
}


def class_name(kind: str) -> str:
    """Return the name of a class."""
    return str(CLASSES[kind][0])


def charge_name(charge: Charge) -> str:
    """Return the name of a charge's class, or that it is a reversal; with the month of a session of another month."""
    name = str(_("Reversal")) if charge.reverses else class_name(charge.kind)
    if charge.month == charge.of_month:
        return name
    return _("%(name)s (%(month)s)") % {"name": name, "month": date_format(charge.of_month, "F Y")}
