"""After a change: what is true now, and have the gates been told? Which of them know it, the page shows itself."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _

from fabgate.collector.access import roster
from fabgate.collector.models import Badge, Change, Gate, Member
from fabgate.collector.pages.access_control import account_of, refuse_own_cause, see_other


def actor(request: HttpRequest) -> str:
    """Return the name under which a change is written down."""
    return account_of(request).name


def member_of(pk: str) -> Member:
    """Return a member, or answer that nothing is there."""
    return get_object_or_404(Member.objects.select_related("payer"), pk=pk)


def judged(request: HttpRequest, pk: str) -> Member:
    """Return a member of whom something is decided; raises errors.OwnCause for who asks it about themselves."""
    member = member_of(pk)
    refuse_own_cause(request, member.pk)
    return member


def tell(request: HttpRequest, text: str, *changes: Change) -> None:
    """Say what is true now, and tell the gates; once the change is stored, and not for longer than a page waits."""
    messages.success(request, text)
    rosters = {name: version for change in changes for name, version in change.rosters.items()}
    gates = list(Gate.objects.filter(name__in=rosters).order_by("name"))
    if gates and not roster.announce(gates, timeout_s=roster.PAGE_S):
        messages.warning(
            request, _("The broker does not answer: the gates hear of it when they ask for their list next.")
        )


def to_person(member: Member | str) -> HttpResponse:
    """Redirect to a person's page."""
    return see_other(reverse("people-one", args=[member if isinstance(member, str) else member.pk]))


def to_holder(row: Badge) -> HttpResponse:
    """Redirect to whoever has, or had, a badge."""
    if row.member_id:
        return to_person(row.member_id)
    return see_other(reverse("people-group", args=[row.group_id]))
