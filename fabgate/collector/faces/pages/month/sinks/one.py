"""One sink: its items of each month, the items that were not sent and why, and decisions about them."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fabgate.collector.faces.pages.access_control import account_of, refuse_self_decision, see_other
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.lists import keyset
from fabgate.collector.faces.pages.lists.keyset import Key
from fabgate.collector.faces.pages.month.sinks import words
from fabgate.collector.faces.pages.month.tab import render_page
from fabgate.collector.faces.pages.words import names
from fabgate.collector.ground.models import BillingTerms, Sink, SinkLetter
from fabgate.collector.money.billing.sinks import contract, decisions, status
from fabgate.collector.money.billing.sinks.status import Status
from fabgate.collector.money.paper.figures import Money, count, duration
from fabgate.errors import UsageError

_RETRY, _SKIP, _RECONCILE = "retry", "skip", "reconcile"
_LISTED: Final = (SinkLetter.DEAD, SinkLetter.HELD, SinkLetter.SKIPPED, SinkLetter.DUE)


class DecisionForm(forms.Form):
    """A decision about chosen letters, and its reason."""

    act = forms.ChoiceField(choices=[(act, act) for act in (_RETRY, _SKIP, _RECONCILE)])
    chosen = forms.MultipleChoiceField(required=False, label=gettext_lazy("Items"))
    reason = LineField(label=gettext_lazy("Why?"), max_length=200)

    def __init__(self, *args: Any, row: Sink, **more: Any) -> None:
        super().__init__(*args, **more)
        asked = self.data.getlist("chosen") if self.is_bound else []  # type: ignore[attr-defined]  # a QueryDict
        self.letters = list(row.letters.exclude(state=SinkLetter.SENT).filter(key__in=asked[: keyset.SIZE]))
        known = [letter.key for letter in self.letters]
        self.fields["chosen"].choices = [(key, key) for key in known]  # type: ignore[attr-defined]  # of a choice field

    def clean(self) -> dict[str, Any]:
        """Refuse a decision about nothing."""
        found: dict[str, Any] = super().clean() or {}
        if found.get("act") in {_RETRY, _SKIP} and "chosen" in found and not found["chosen"]:
            self.add_error("chosen", _("Choose at least one."))
        if found.get("act") == _RETRY and any(letter.state == SinkLetter.HELD for letter in self.letters):
            self.add_error("chosen", _("Add a reference to the payer: the item is then sent automatically."))
        return found


def sink(request: HttpRequest, name: str) -> HttpResponse:
    """Show a sink; store decisions about items that were not sent."""
    found = terms_or_404()
    row = get_object_or_404(Sink, name=name)
    form = DecisionForm(request.POST if request.method == "POST" else None, row=row)
    if request.method == "POST" and form.is_valid():
        refuse_self_decision(request, *(letter.payer for letter in form.letters))
        try:
            messages.success(request, _decided(form, row, account_of(request).name))
        except UsageError as error:
            form.add_error("chosen", str(error))
        else:
            return see_other(reverse("month-sink", args=[name]))
    return render_page(
        request, "sinks/one.html", found, _shown(request, row, form, found), status=400 if form.errors else 200
    )


def _decided(form: DecisionForm, row: Sink, actor: str) -> str:
    values = form.cleaned_data
    if values["act"] == _RECONCILE:
        decisions.reconcile(row, actor=actor, reason=values["reason"])
        return _("Sending to %(name)s has resumed.") % {"name": row}
    if values["act"] == _RETRY:
        n = decisions.retry(row, values["chosen"], actor=actor, reason=values["reason"])
        return ngettext("%(n)d item will be sent again.", "%(n)d items will be sent again.", n) % {"n": n}
    n = decisions.skip(row, values["chosen"], actor=actor, reason=values["reason"])
    return ngettext("%(n)d item is skipped.", "%(n)d items are skipped.", n) % {"n": n}


def _shown(request: HttpRequest, row: Sink, form: DecisionForm, found: BillingTerms) -> dict[str, Any]:
    one, money = _status(row), Money.of(found)
    is_money = one.configured is None or one.configured.feed == contract.CHARGES
    kind, word = words.state(one)
    page = keyset.page(decisions.left(row, *_LISTED).order_by(), [Key("id")], request.GET)
    called = names.people({letter.payer for letter in page.rows})
    chosen = set(form.data.getlist("chosen")) if form.is_bound else set()  # type: ignore[attr-defined]  # a QueryDict
    return {
        "one": one,
        "row": row,
        "state": kind,
        "word": word,
        "takes": words.takes(one),
        "trouble": words.trouble(row.trouble),
        "unsent": one.waiting + one.letters[SinkLetter.DUE],
        "is_paused": one.state == status.RESTORED,
        "form": form,
        "page": page,
        "letters": [
            {
                "letter": letter,
                "name": called.get(letter.payer, letter.payer),
                "amount": money.minor(letter.amount) if is_money else duration(letter.amount),
                "state": words.LETTERS[letter.state],
                "why": words.why(letter),
                "is_chosen": letter.key in chosen,
                "is_held": letter.state == SinkLetter.HELD,
            }
            for letter in page.rows
        ],
        "months": _months(one, row, money) if is_money else [],
    }


def _status(row: Sink) -> Status:
    """Return how a sink is, also while sinks.yaml has a mistake."""
    try:
        return next(one for one in status.everything() if one.row == row)
    except UsageError:
        return next(one for one in status.gone(set()) if one.row == row)


def _months(one: Status, row: Sink, money: Money) -> list[dict[str, Any]]:
    if one.configured is None:
        return []
    return [
        {
            "month": month.month,
            "sent": count(month.sent),
            "charged": money.minor(month.charged_minor),
            "amount": money.minor(month.sent_minor),
            "left": money.minor(month.left_minor) if month.left_minor else "",
            "open": money.minor(month.open_minor) if month.open_minor else "",
        }
        for month in status.months(row, one.configured.options.first)
    ]
