"""A member's own page: sessions, permissions and badges; contesting a session, reporting a badge lost."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages import contested, errors, gates_informed
from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.contests import evidence, mine
from fabgate.collector.faces.pages.lists.sorting import Labelled, Sorting
from fabgate.collector.faces.pages.machines import week
from fabgate.collector.faces.pages.month import behind
from fabgate.collector.faces.pages.my import allowed, costs, credit, months, reassigned, statements
from fabgate.collector.faces.pages.my.months import Month
from fabgate.collector.faces.pages.words import names, people_labels, session_labels
from fabgate.collector.ground.models import Badge, Contest, Gate, Member, Review, UsageSession
from fabgate.collector.members.people import badges, reasons
from fabgate.collector.members.people.blocks import today
from fabgate.collector.money.billing import contests, terms
from fabgate.collector.money.billing.charges import at_once
from fabgate.collector.money.paper.figures import Money
from fabgate.collector.recording.broker import announcing
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import UsageError

#: The columns by which the sessions of a month can be sorted.
_SORTS: Final = ("-ended", "machine", "reason", "-duration")
_VALUES: Final = {"ended": "ended_at", "duration": "counted_ms"}
_LABELS: Final = {
    "machine": Labelled(names.PLACE, names.places),
    "reason": Labelled("reason", session_labels.all_ended),
}


class SessionContestForm(mine.ContestForm):
    """What is wrong about a session."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["words"].help_text = _(
            "For example: I switched off at four, and someone else continued with my badge."
        )


def minutes(request: HttpRequest) -> HttpResponse:
    """Show a member's sessions and totals of a month, badges, and permissions."""
    member = account_of(request).member
    if member is None:
        return render(request, "my/nobody.html")
    waiting = behind.shown()
    year = months.last_months(member.pk, today())
    month = _chosen_month(request, year)
    start, end = months.period(month.first)
    ended = UsageSession.objects.filter(used_by=member.pk, ended_at__gte=start, ended_at__lt=end)
    ended = ended.select_related("machine", "gate", "review_case").prefetch_related("corrections")
    sorting = Sorting(request.GET, _SORTS, "-ended", anchor="list")
    own = UsageSession.objects.filter(used_by=member.pk)
    page = sorting.page(ended, request.GET, "ended_at", _VALUES, _LABELS, within=own)
    carried = list(member.badges.filter(ended_at=None).order_by("since", "id"))
    at = year.index(month)
    cost = costs.of_month(member, month, page.rows)
    found = terms.started()
    marks = contested.marks(Contest.SESSION, [one.pk for one in page.rows]) if found is not None else {}
    return render(
        request,
        "my/minutes.html",
        {
            **waiting,
            "member": member,
            **credit.of_member(member),
            "membership": people_labels.membership(member, today()),
            "month": month,
            "months": months.used(year, month),
            "newer_month": year[at - 1] if at else None,
            "older_month": year[at + 1] if at + 1 < len(year) else None,
            "rows": [_row(one) | {"cost": cost and cost.of[one.pk], "mark": marks.get(one.pk)} for one in page.rows],
            "contests": mine.of_member(member, Money.of(found)) if found is not None else [],
            "costs": cost,
            "page": page,
            "sorting": sorting,
            "moved": reassigned.with_reasons(
                member.pk, reassigned.reassigned_from(member.pk).filter(ended_at__gte=start, ended_at__lt=end)
            ),
            "open": [_row(one) for one in UsageSession.open().filter(used_by=member.pk)],
            "badges": carried,
            "statements": statements.listed(member.pk)[: statements.NEWEST],
            "allowed": allowed.machines(member, timezone.localtime()),
            "week": week.ahead(),
            "trainings": allowed.trainings(member, today()),
            "known": gates_informed.of(
                *(("badge", str(row.pk)) for row in member.badges.filter(end_reason=Badge.LOST))
            ),
        },
    )


def contest(request: HttpRequest, pk: str) -> HttpResponse:
    """Show a session that the member used or pays for, with its evidence; contest it.

    For a reassigned one, show the reason.
    """
    member = _member(request)
    if request.method == "GET" and (
        taken := reassigned.with_reasons(member.pk, reassigned.reassigned_from(member.pk).filter(pk=pk))
    ):
        return render(request, "my/moved.html", {"one": taken[0]})
    rows = UsageSession.objects.select_related("machine", "gate", "review_case")
    session = get_object_or_404(rows.filter(Q(used_by=member.pk) | Q(payer=member.pk)), pk=pk)
    form = SessionContestForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            _contest(session, form.cleaned_data["words"], member, account_of(request).name)
        except UsageError:
            raise errors.Conflict(_("This session is already under review, or has not ended yet.")) from None
        messages.success(request, mine.thanks())
        return see_other(reverse("my-minutes-contest", args=[pk]))
    waiting, found = behind.shown(), terms.started()
    earlier = mine.of_thing(Contest.SESSION, pk, member, Money.of(found)) if found is not None else []
    row = _row(session)
    context = {
        **waiting,
        "form": form,
        "one": row | {"is_contested": row["is_contested"] or any(one["contest"].is_open for one in earlier)},
        "is_reviewed": row["is_contested"],
        "is_open": session.reason is None,
        "contests": earlier,
        "user_name": names.people([session.used_by])[session.used_by] if session.used_by != member.pk else "",
        **costs.of_session(member, session),
        **evidence.of(session),
    }
    return render(request, "my/session.html", context, status=200 if request.method == "GET" else 400)


def _contest(session: UsageSession, words: str, member: Member, author: str) -> None:
    """Send a session to review, or mark its charge if that is final. Raises UsageError if it is contested already."""
    with transaction.atomic():
        if contests.goes_to_review(session):
            corrections.contest(session, words, author=author)
        else:
            contests.contest(Contest.SESSION, session.pk, words, member, author=author)
    at_once.after([session.pk])


def lost(request: HttpRequest) -> HttpResponse:
    """Report one of the member's badges lost, which disables it at once."""
    pk = request.POST.get("badge", "")
    rows = _member(request).badges.all()
    row = rows.filter(pk=int(pk)).first() if pk.isascii() and pk.isdigit() and len(pk) < 18 else None
    if row is None:
        raise Http404
    if row.ended_at is not None:
        raise errors.Conflict(_("This badge is no longer yours."))
    change = badges.end(row, Badge.LOST, actor=account_of(request).name)
    gates = list(Gate.objects.filter(name__in=change.rosters))
    is_announced = announcing.announce(gates, timeout_s=announcing.PAGE_S) if gates else True
    text = _("Your badge is reported lost and no longer works. The desk can give you another one.")
    if not is_announced:
        text = _(
            "Your badge is reported lost. The gates cannot be reached now; they will refuse the badge after their next update."
        )
    (messages.success if is_announced else messages.warning)(request, text)
    return see_other(reverse("my-minutes"))


def _member(request: HttpRequest) -> Member:
    member = account_of(request).member
    if member is None:
        raise Http404
    return member


def _chosen_month(request: HttpRequest, year: list[Month]) -> Month:
    """Return the month in the URL; by default the newest one with sessions."""
    key = request.GET.get("month", "")
    if not key:
        return next((month for month in year if month.sessions), year[0])
    chosen = next((month for month in year if month.key == key), None)
    if chosen is None:
        raise UsageError(_("Choose one of the last twelve months."))
    return chosen


def _row(session: UsageSession) -> dict[str, Any]:
    review = getattr(session, "review_case", None)
    return {
        "session": session,
        "machine": str(session.machine or session.gate),
        "why": reasons.ended(session.reason),
        "review": review,
        # a contested session alone does not make the minutes uncertain
        "is_inexact": session.counted_uncertainty_ms > 0 or (session.uncertain and session.doubt is not None),
        "corrected": session_labels.corrected(session.corrected),
        "is_contested": review is not None and review.is_contested,
        "verdict": _verdict(session, review),
    }


def _verdict(session: UsageSession, review: Review | None) -> str:
    """Return the decision on a contested session."""
    if review is None or review.why != Review.CONTESTED or review.settled_at is None:
        return ""
    was_corrected = any(one.at >= review.opened_at for one in session.corrections.all())
    return _("corrected") if was_corrected else _("kept as counted")
