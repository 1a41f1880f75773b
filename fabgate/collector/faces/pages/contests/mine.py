"""A member contests a line of a statement or an entry of the credit, and reads the answer there."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages import contested, errors
from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.ground.models import Contest, ManualLine, Member, PrepaidEntry
from fabgate.collector.money.billing import contests
from fabgate.collector.money.paper.figures import Money
from fabgate.errors import UsageError

#: How many contests My minutes lists.
NEWEST = 5


class ContestForm(forms.Form):
    """What is wrong."""

    words = forms.CharField(
        label=gettext_lazy("What is wrong?"),
        max_length=contests.MAX_WORDS,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": gettext_lazy("Describe in a few words what is wrong.")},
    )


def contest(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """Show a line or an entry that the member pays, with its contests; contest it."""
    found, member = terms_or_404(), account_of(request).member
    if member is None or kind not in (Contest.LINE, Contest.ENTRY):
        raise Http404
    one, money = contests.subject(kind, str(pk)), Money.of(found)
    earlier = of_thing(kind, str(pk), member, money)
    if (one is None or one.payer != member.pk) and not earlier:
        raise Http404
    form = ContestForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            contests.contest(kind, str(pk), form.cleaned_data["words"], member, author=account_of(request).name)
        except UsageError:
            raise errors.Conflict(_("This amount has already been contested, or no longer exists.")) from None
        messages.success(request, thanks())
        return see_other(reverse("my-contest", args=[kind, pk]))
    context: dict[str, Any] = {
        "form": form,
        "is_line": kind == Contest.LINE,
        "contests": earlier,
        "can_contest": one is not None and not any(row["contest"].is_open for row in earlier),
        **(_line(pk) if kind == Contest.LINE else _entry(pk)),
    }
    if one is not None:
        context |= {"amount": money.minor(one.amount_minor), "month": one.month}
    elif earlier:
        last = earlier[0]
        context |= {"what": last["what"], "amount": last["amount"], "month": last["contest"].month}
    return render(request, "contests/mine.html", context, status=200 if request.method == "GET" else 400)


def thanks() -> str:
    """Return what is said after something was contested."""
    return _("Thank you. Someone will review it; the decision will appear here.")


def of_thing(kind: str, key: str, member: Member, money: Money) -> list[dict[str, Any]]:
    """Return the contests of a thing that concern a member, the newest first."""
    rows = Contest.objects.filter(kind=kind, key=key).order_by("-at", "-pk")
    return contested.described([one for one in rows if member.pk in (one.member, one.payer)], money)


def of_member(member: Member, money: Money) -> list[dict[str, Any]]:
    """Return the newest contests of a member."""
    return contested.described(Contest.objects.filter(member=member.pk).order_by("-at", "-pk")[:NEWEST], money)


def _line(pk: int) -> dict[str, Any]:
    line = ManualLine.objects.filter(pk=pk).first()
    return {"what": line.text, "day": line.day} if line is not None else {}


def _entry(pk: int) -> dict[str, Any]:
    entry = PrepaidEntry.objects.filter(pk=pk).first()
    return {"what": contested.entry_name(entry), "reason": entry.reason} if entry is not None else {}
