"""One session: its record, the evidence for it, and its correction."""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages import rights
from fabgate.collector.faces.pages.access_control import account_of, refuse_self_decision, see_other
from fabgate.collector.faces.pages.contested import answered_by
from fabgate.collector.faces.pages.forms import stale_form
from fabgate.collector.faces.pages.roles import self_and_groups
from fabgate.collector.faces.pages.use.sessions import evidence
from fabgate.collector.faces.pages.use.sessions.correction_form import CorrectionForm
from fabgate.collector.faces.pages.use.tab import render_page
from fabgate.collector.faces.pages.words import session_labels
from fabgate.collector.faces.pages.words.names import Names
from fabgate.collector.ground.models import Contest, Member, UsageSession
from fabgate.collector.members.people.display_names import account_names
from fabgate.collector.money.billing import contests, terms
from fabgate.collector.money.billing import terms as billing_terms
from fabgate.collector.money.billing.charges import at_once
from fabgate.errors import UsageError


def session(request: HttpRequest, pk: str) -> HttpResponse:
    """Show the evidence; save a correction."""
    row = get_object_or_404(UsageSession.objects.select_related("machine", "gate", "opened_in"), pk=pk)
    if request.method == "POST":
        refuse_self_decision(request, *row.people)
    found = evidence.of(row)
    names = found.people()
    form = CorrectionForm(row, names)
    if request.method == "POST":
        form, is_saved, is_answered = _correct(request, row, names)
        if is_saved:
            at_once.after([pk])
            messages.success(request, form.saved_message())
            if is_answered:
                messages.success(request, _("The contest is answered. The member sees the answer under “My minutes”."))
            # With a fragment of its own: otherwise the browser keeps "#correct", and the user does not see the message.
            return see_other(f"{reverse('use-session', args=[pk])}#main")
    authors = [one.author for one in found.corrections]
    revoked_by = found.grant.revoked_by if found.grant else ""
    called = account_names([*authors, found.review.settled_by if found.review else "", revoked_by])
    may_correct = row.reason is not None and rights.may(account_of(request).role, "use-session", "POST")
    is_own = may_correct and not self_and_groups(account_of(request)).isdisjoint(row.people)
    shown = {
        "one": row,
        "found": found,
        "who": names[row.used_by],
        "is_known": Member.objects.filter(pk=row.used_by).exists(),
        "payer": names[row.payer],
        "recorded": names[row.member],
        "supervisor": names[row.supervisor],
        "machine": str(row.machine or row.gate),
        "ended": session_labels.ended(row.reason),
        "purpose": session_labels.label(session_labels.PURPOSES, row.purpose),
        "mode": session_labels.label(session_labels.MODES, row.mode),
        "corrected": session_labels.corrected(row.corrected),
        "stage": session_labels.label(session_labels.STAGES, found.grant.stage) if found.grant else "",
        "would_refuse": session_labels.refused(found.start.basis.would_refuse) if found.start else "",
        "review": session_labels.why(row.review or (found.review.why if found.review else None)),
        "remedy": session_labels.remedy(row.review),
        "decision": session_labels.label(session_labels.DECISIONS, found.review.decision) if found.review else "",
        "history": evidence.history(found, names, called),
        "settled_by": called.get(found.review.settled_by, found.review.settled_by) if found.review else "",
        "names": called,
        "form": form if may_correct and not is_own else None,
        "contested": contests.of_session(pk),
        "answers": answered_by(request, pk),
        "is_own": is_own,
        "has_price": row.reason is not None
        and rights.may(account_of(request).role, "month-session")
        and billing_terms.started() is not None,
    }
    return render_page(request, "session.html", shown, status=form.status)


def _correct(request: HttpRequest, row: UsageSession, names: Names) -> tuple[CorrectionForm, bool, bool]:
    """Save the corrections; return the form, whether they were saved, and whether they answer a contest."""
    contested, author = answered_by(request, row.pk), account_of(request).name
    with transaction.atomic():
        if contested is not None:
            terms.lock_charges()  # before the session (ground/db/pulse.py)
        form = CorrectionForm(stale_form.locked(row), names, request.POST)
        if form.has_conflicts() or not form.is_valid():
            return form, False, False
        try:
            form.save(author)
        except UsageError as error:
            form.add_error(None, str(error))
            return form, False, False
        is_answered = contested is not None and contests.settle(
            contested, Contest.OTHERWISE, form.cleaned_data["reason"], author=author
        )
    return form, True, is_answered
