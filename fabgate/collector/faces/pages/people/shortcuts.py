"""Functions that most views about people need: the member, the actor, and the message after a change."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from fabgate.collector.faces.pages import errors
from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.roles import barred_from
from fabgate.collector.ground.models import Badge, Member


def actor(request: HttpRequest) -> str:
    """Return the actor's name for the audit log."""
    return account_of(request).name


def get_member(pk: str) -> Member:
    """Return a member, or answer 404."""
    return get_object_or_404(Member.objects.select_related("payer__member"), pk=pk)


def get_member_to_judge(request: HttpRequest, pk: str) -> Member:
    """Return a member about whom a decision is made. Raises errors.SelfDecision if it is the signed-in person."""
    member = get_member(pk)
    if member.pk == barred_from(account_of(request)):
        raise errors.SelfDecision
    return member


def redirect_to_person(member: Member | str) -> HttpResponse:
    """Redirect to a person's page."""
    return see_other(reverse("people-one", args=[member if isinstance(member, str) else member.pk]))


def redirect_to_holder(row: Badge) -> HttpResponse:
    """Redirect to the page of a badge's current or last holder."""
    if row.member_id:
        return redirect_to_person(row.member_id)
    return see_other(reverse("people-group", args=[row.group_id]))
