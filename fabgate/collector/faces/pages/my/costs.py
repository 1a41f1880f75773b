"""The costs of a member's own sessions. A member for whom another payer pays sees the payer and no amount (decision 96).

Only charges that are stored are read: the page of a member waits for nobody. The worker makes them within seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final, NamedTuple

from django.db.models import QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from fabgate.collector.faces.pages.month.payers import step_rows
from fabgate.collector.faces.pages.my.months import Month, period
from fabgate.collector.faces.pages.words import names
from fabgate.collector.ground.models import BillingTerms, Charge, Member, UsageSession, Waiver
from fabgate.collector.money.billing import member_plans, rating, terms
from fabgate.collector.money.billing import month as billing_months
from fabgate.collector.money.billing.charges import history
from fabgate.collector.money.paper.figures import Money

_MINUTE_MS: Final = 60_000
#: The text of each class except "billed", which shows its amount.
_WORDS: Final[Mapping[str, Any]] = {
    rating.FREE: pgettext_lazy("costs nothing", "free"),
    rating.GRACE: gettext_lazy("too short to cost anything"),
    rating.WAIVED: gettext_lazy("waived"),
    rating.IN_REVIEW: gettext_lazy("no price before the review"),
    rating.NO_TARIFF: gettext_lazy("no price yet"),
    rating.NOT_BILLABLE: gettext_lazy("not billed"),
}
#: Classes that have no amount.
_UNPRICED: Final = frozenset({rating.IN_REVIEW, rating.NO_TARIFF, rating.NOT_BILLABLE})


class Cost(NamedTuple):
    """The cost of a session: an amount, a text, or both."""

    amount: str = ""
    words: str = ""


class MonthCosts(NamedTuple):
    """The costs of the sessions of a month."""

    of: Mapping[str, Cost]
    #: The sum of the sessions that the member pays for; "" if there are no such sessions.
    total: str
    is_provisional: bool
    #: How many free minutes are left, in words.
    free: str


def of_month(member: Member, month: Month, rows: Iterable[UsageSession]) -> MonthCosts | None:
    """Return the costs of the sessions of a month, those of `rows` one by one; None for a month that is not billed."""
    found = terms.started()
    if found is None or month.first < found.first_month:
        return None
    start, end = period(month.first)
    ended = UsageSession.objects.filter(used_by=member.pk, ended_at__gte=start, ended_at__lt=end)
    own = Charge.objects.filter(session__in=ended.values("pk"), payer=member.pk)
    sums = dict(own.values("month").order_by("month").annotate(minor=Sum("amount_minor")).values_list("month", "minor"))
    return MonthCosts(
        of=_each(member, list(rows), found),
        total=Money.of(found).minor(sum(sums.values())) if sums else "",
        is_provisional=any(_is_open(charged_in) for charged_in in sums),
        free=_free(member, month, found),
    )


def of_session(member: Member, session: UsageSession) -> dict[str, Any]:
    """Return the cost for the page of a session; nothing if the session is not billed."""
    found = terms.started()
    if found is None or session.ended_at is None or session.reason is None:
        return {}
    if session.ended_at.astimezone(terms.zone(found)).date().replace(day=1) < found.first_month:
        return {}
    shown: dict[str, Any] = {"cost": _each(member, [session], found)[session.pk]}
    charged = history.stored([session.pk])[session.pk]
    applied = charged.applied
    if applied is None or applied.payer != member.pk:
        return shown
    shown |= {"charged_in": applied.month, "is_provisional": _is_open(applied.month)}
    rated = billing_months.rate_one(session.pk, terms.for_rating(found))
    if rated is not None and rated.payer == member.pk and rated.rated.price is not None and charged.is_as(rated.rated):
        amount = Money.of(found).minor(rated.rated.amount_minor)
        shown |= {"steps": step_rows(rated.rated, found), "amount": amount}
    return shown


def _each(member: Member, rows: list[UsageSession], found: BillingTerms) -> dict[str, Cost]:
    """Return the cost of each session."""
    charged = history.stored([session.pk for session in rows])
    others = {billing_months.payer_of(session) for session in rows} - {member.pk}
    called = names.people(others) if others else {}
    waivers = dict(Waiver.objects.filter(session__in=[one.pk for one in rows]).values_list("session", "reason"))
    money, each = Money.of(found), {}
    for session in rows:
        payer, applied = billing_months.payer_of(session), charged[session.pk].applied
        if payer != member.pk:
            each[session.pk] = Cost(words=_("paid by %(name)s") % {"name": called.get(payer, payer)})
        elif applied is None or applied.payer != payer:
            each[session.pk] = Cost(words=_("being calculated"))
        else:
            each[session.pk] = _cost(applied, waivers.get(session.pk, ""), money)
    return each


def _cost(charge: Charge, reason: str, money: Money) -> Cost:
    words = str(_WORDS.get(charge.kind, ""))
    if charge.kind == rating.WAIVED and reason:
        words = _("waived: “%(words)s”") % {"words": reason}
    return Cost("" if charge.kind in _UNPRICED else money.minor(charge.amount_minor), words)


def _is_open(month: date) -> bool:
    return month >= (terms.first_open_day() or month)


def _free(member: Member, month: Month, found: BillingTerms) -> str:
    """Return how many free minutes of the current month are left, for a member who has some."""
    today = timezone.localdate(timezone=terms.zone(found))
    if month.first != today.replace(day=1) or member.payer_id not in (None, member.pk):
        return ""
    plan = terms.plans().get(member_plans.plan_on(member_plans.history(member), today), rating.NO_PLAN)
    if not plan.free_minutes:
        return ""
    charges: QuerySet[Charge] = Charge.objects.filter(of_month=month.first, payer=member.pk, used_by=member.pk)
    used_ms = charges.aggregate(ms=Sum("free_ms"))["ms"] or 0
    left = max(0, plan.free_minutes * _MINUTE_MS - used_ms) // _MINUTE_MS
    text = ngettext("%(left)s of %(all)s free minute left", "%(left)s of %(all)s free minutes left", plan.free_minutes)
    return text % {"left": left, "all": plan.free_minutes}
