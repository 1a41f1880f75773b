"""A contest, and its answer by a manager or an accountant: it stands, it is taken back, or it is settled elsewhere."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages import contested, errors, gates_informed
from fabgate.collector.faces.pages.access_control import account_of, refuse_self_decision, see_other
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.roles import self_and_groups
from fabgate.collector.ground.models import Contest
from fabgate.collector.members.access import roster
from fabgate.collector.money.billing import contests
from fabgate.collector.money.paper.figures import Money
from fabgate.errors import UsageError


class AnswerForm(forms.Form):
    """A decision, and the answer that the member reads."""

    decision = forms.ChoiceField(label=gettext_lazy("Decision"), widget=forms.RadioSelect)
    answer = LineField(
        label=gettext_lazy("Answer"),
        max_length=contests.MAX_WORDS,
        help_text=gettext_lazy(
            "The member reads this answer. If the amount is taken back, the answer is recorded as the reason."
        ),
    )

    def __init__(self, *args: Any, one: Contest, **more: Any) -> None:
        super().__init__(*args, **more)
        choices = [(Contest.KEPT, _("The amount does not change"))]
        if contests.can_reverse(one):
            choices.append((Contest.REVERSED, str(_TAKE_BACK[one.kind])))
        choices.append((Contest.OTHERWISE, _("The contest was settled in another way, as the answer says")))
        decision = self.fields["decision"]
        assert isinstance(decision, forms.ChoiceField)
        decision.choices = choices


_TAKE_BACK = {
    Contest.SESSION: gettext_lazy("Take the amount back: waive the session"),
    Contest.LINE: gettext_lazy("Take the amount back: remove the line, or reverse it in the open month"),
    Contest.ENTRY: gettext_lazy("Take the amount back: reverse this credit"),
}


def contest(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a contest; answer it."""
    found = terms_or_404()
    one = get_object_or_404(Contest, pk=pk)
    concerned = contests.concerned(one)
    if request.method == "POST":
        refuse_self_decision(request, *concerned)
        if not one.is_open:
            raise errors.Conflict(_("This contest has already been answered."))
    form = AnswerForm(request.POST if "sure" in request.POST else None, one=one)
    if request.method == "POST" and form.is_valid():
        try:
            done = contests.answer(
                pk,
                form.cleaned_data["decision"],
                form.cleaned_data["answer"],
                author=account_of(request).name,
                rebuild=lambda: roster.versions(roster.rebuild(only_changed=True)),
            )
        except UsageError:
            raise errors.Conflict(_("Someone else changed this in the meantime. Check and try again.")) from None
        text = _("The contest is answered. The member sees the answer under “My minutes”.")
        gates_informed.report_change(request, text, *([done.change] if done.change is not None else []))
        return see_other(reverse("month-contest", args=[pk]))
    (row,) = contested.described([one], Money.of(found))
    context = {
        **row,
        "terms": found,
        "one": one,
        "form": form,
        "is_own": not self_and_groups(account_of(request)).isdisjoint(concerned),
    }
    return render(request, "contests/answer.html", context, status=400 if form.errors else 200)
