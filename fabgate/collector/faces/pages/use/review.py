"""Sessions that need a person's decision, grouped by cause so that each cause is decided once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.contested import described
from fabgate.collector.faces.pages.roles import self_and_groups
from fabgate.collector.faces.pages.use.sessions.rows import ListedSession, rows, totals
from fabgate.collector.faces.pages.use.tab import render_page
from fabgate.collector.faces.pages.words import session_labels
from fabgate.collector.ground.models import Contest, Review
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.charges import at_once
from fabgate.collector.money.paper.figures import Money
from fabgate.collector.recording.sessions import corrections, merge
from fabgate.errors import UsageError

#: Ends this close together have one cause: a power cut, or restarted gates.
_SAME_CAUSE: Final = timedelta(minutes=10)
#: How many are shown at once; more appear once some are settled.
_SHOWN: Final = 300
#: By what reviews are grouped besides their cause. Each contested session is a case of its own.
_GROUP_BY: Final[dict[str, Callable[[Review], str]]] = {
    "earlier-holder": lambda review: review.session.badge,
    "contested": lambda review: review.session_id,
    "uncertain": lambda _review: "",
}
#: Causes that cannot be decided in the member's favour: the minutes are certain, or the end itself is wrong.
_NO_FAVOUR: Final = frozenset(
    {
        *("clock", "earlier-holder", Review.CONTESTED),
        *(merge.TOO_MUCH_TIME, merge.TOO_MUCH_RUNNING, merge.TOO_LONG, merge.OVERLAP, merge.NO_START),
        merge.BEFORE_FIRST,
    }
)
_DECIDE: Final = {Review.ACCEPTED: corrections.accept, Review.FAVOUR: corrections.favour}


@dataclass
class Case:
    """Sessions that need one common decision."""

    why: str
    reviews: list[Review] = field(default_factory=list)
    #: For each session its row, and whether it concerns the reader, who may then not decide it.
    rows: list[tuple[Review, ListedSession, bool]] = field(default_factory=list)

    @property
    def is_power_cut(self) -> bool:
        """Return whether all ended with a power cut."""
        return all(review.session.reason == "power-loss" for review in self.reviews)

    @property
    def has_favour(self) -> bool:
        """Return whether a decision in the member's favour can differ from accepting."""
        return self.why not in _NO_FAVOUR

    @property
    def is_own(self) -> bool:
        """Return whether all sessions concern the reader."""
        return all(is_own for _review, _row, is_own in self.rows)

    @property
    def at(self) -> datetime | None:
        """Return when the first session ended."""
        return self.reviews[0].session.ended_at

    @property
    def is_about(self) -> bool:
        """Return whether the first session's end is only a limit."""
        return self.reviews[0].session.is_about

    @property
    def sums(self) -> dict[str, int]:
        """Return the totals."""
        return totals([review.session for review in self.reviews])


def _gate_of(review: Review) -> str:
    return str(review.session.gate_id)


class DecisionForm(forms.Form):
    """A decision on some sessions."""

    decision = forms.ChoiceField(choices=[(Review.ACCEPTED, ""), (Review.FAVOUR, "")])
    review = forms.ModelMultipleChoiceField(
        queryset=Review.objects.select_related("session"),
        error_messages={"required": gettext_lazy("Choose at least one session.")},
    )
    note = forms.CharField(required=False, max_length=corrections.MAX_REASON)

    def clean(self) -> dict[str, Any]:
        """Require an answer in writing for a member who contests a session."""
        typed = self.cleaned_data
        if not typed.get("note") and any(one.is_contested for one in typed.get("review") or ()):
            raise forms.ValidationError(_("Answer the member who contests this session: explain your decision."))
        return typed

    def __init__(self, data: QueryDict, *, own: frozenset[str]) -> None:
        super().__init__(data)
        self._own = own

    def clean_review(self) -> QuerySet[Review]:
        """Refuse sessions that concern the reader, and a favour if none is possible."""
        chosen: QuerySet[Review] = self.cleaned_data["review"]
        for one in chosen:
            if not self._own.isdisjoint(one.session.people):
                text = _("%(name)s: someone else at the desk must do this for you. Nothing has been changed.")
                name = rows([one.session])[0].who
                raise forms.ValidationError(text % {"name": name})
        if self.cleaned_data.get("decision") == Review.FAVOUR and any(one.is_contested for one in chosen):
            text = _("A contested session cannot be settled in the member's favour: keep its time, or correct it.")
            raise forms.ValidationError(text)
        return chosen


def review(request: HttpRequest) -> HttpResponse:
    """Show the sessions to review; settle several at once."""
    own = self_and_groups(account_of(request))
    form = DecisionForm(request.POST, own=own) if request.method == "POST" else None
    if form is not None and form.is_valid():
        _settle(request, form)
        return see_other(reverse("use-review"))
    waiting, contests = list(Review.waiting()[: _SHOWN + 1]), _contests()
    shown = {
        "causes": causes(waiting[:_SHOWN], own),
        "has_more": len(waiting) > _SHOWN or len(contests) > _SHOWN,
        "contests": contests[:_SHOWN],
        "mistakes": [text for texts in form.errors.values() for text in texts] if form else [],
    }
    return render_page(request, "review.html", shown, status=400 if form else 200)


def _contests() -> list[dict[str, Any]]:
    """Return the charges, lines and entries that are contested, the oldest first."""
    found = terms.started()
    return described(Contest.waiting()[: _SHOWN + 1], Money.of(found)) if found is not None else []


def causes(reviews: Iterable[Review], own: frozenset[str]) -> list[dict[str, Any]]:
    """Return the cases by cause, with its explanation.

    Sessions that concern an id in `own` are marked as the reader's own.
    """
    waiting, kinds = list(reviews), dict[str, list[Case]]()
    # All rows at once, so that people are looked up once and not for each case.
    lines = dict(zip(waiting, rows([one.session for one in waiting], are_apart=True), strict=True))
    for case in cases(waiting):
        case.rows = [(one, lines[one], not own.isdisjoint(one.session.people)) for one in case.reviews]
        kinds.setdefault(case.why, []).append(case)
    return [
        {"words": session_labels.why(why), "remedy": session_labels.remedy(why), "cases": found}
        for why, found in kinds.items()
    ]


def cases(reviews: Iterable[Review]) -> list[Case]:
    """Group the reviews by cause, and power cuts by their time. The cases open longest come first."""

    def of(review: Review) -> tuple[str, str]:
        return review.why, _GROUP_BY.get(review.why, _gate_of)(review)

    grouped: list[Case] = []
    last: tuple[str, str] | None = None
    for one in sorted(reviews, key=lambda one: (of(one), one.session.ended_at or one.opened_at, one.pk)):
        goes_on = last == of(one) and (one.why != "uncertain" or _is_near(grouped[-1].reviews[-1], one))
        if not goes_on:
            grouped.append(Case(one.why))
        grouped[-1].reviews.append(one)
        last = of(one)
    return sorted(grouped, key=lambda case: min(one.opened_at for one in case.reviews))


def _is_near(one: Review, other: Review) -> bool:
    first, second = one.session.ended_at, other.session.ended_at
    return first is not None and second is not None and second - first <= _SAME_CAUSE


def _settle(request: HttpRequest, form: DecisionForm) -> None:
    decide = _DECIDE[form.cleaned_data["decision"]]
    author, note = account_of(request).name, " ".join(form.cleaned_data["note"].split())
    settled, late = [], []
    with transaction.atomic():
        corrections.lock({one.session_id for one in form.cleaned_data["review"]})
        for one in form.cleaned_data["review"]:
            try:
                decide(one, author=author, note=note)
            except UsageError:
                late.append(one)  # someone else settled it first, and that decision stays
            else:
                settled.append(one.session_id)
    at_once.after(settled)
    if settled:
        text = ngettext("%(n)s session is settled.", "%(n)s sessions are settled.", len(settled))
        messages.success(request, text % {"n": len(settled)})
    if late:
        text = ngettext(
            "%(n)s session was already settled or contested by someone else, and is unchanged.",
            "%(n)s sessions were already settled or contested by someone else, and are unchanged.",
            len(late),
        )
        messages.warning(request, text % {"n": len(late)})
    if waiting := Review.objects.filter(settled_at=None).count():
        messages.info(request, ngettext("%(n)s more to review.", "%(n)s more to review.", waiting) % {"n": waiting})
