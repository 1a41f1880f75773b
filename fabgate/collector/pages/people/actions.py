"""What may be done for a person at the desk? Each is one button on their page, one transaction, and told to the gates."""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _

from fabgate.collector.db import pulse
from fabgate.collector.models import Badge, Training
from fabgate.collector.pages import errors
from fabgate.collector.pages.access_control import account_of
from fabgate.collector.pages.people import desk, desk_forms, telling, words
from fabgate.collector.people import badges, blocks, leaving, trainings
from fabgate.errors import UsageError


def grant(request: HttpRequest, pk: str) -> HttpResponse:
    """Grant a training, or another stage of it."""
    member = telling.judged(request, pk)
    form = desk_forms.GrantForm(request.POST, auto_id="grant_%s", account=account_of(request), member=member)
    if not form.is_valid():
        return desk.page(request, member, grant_form=form)
    said = form.cleaned_data
    try:
        given, change = trainings.give(
            member,
            said["training"],
            said["stage"],
            actor=account_of(request),
            since=said["since"],
            until=said["until"],
            trainer=said["trainer"],
            lowers=form.is_lowering_meant,
        )
    except trainings.Lowers as error:
        form.ask_to_lower(error.held)
        return desk.page(request, member, grant_form=form)
    about = {"training": given.training, "stage": words.stage(given.stage).word, "day": words.day(given.since)}
    if change is None:
        text = _("%(training)s: %(stage)s, from %(day)s on, was granted already.")
        messages.info(request, text % about)
    else:
        telling.tell(request, _("%(training)s: %(stage)s, from %(day)s on.") % about, change)
    return telling.to_person(member)


def revoke(request: HttpRequest, pk: str) -> HttpResponse:
    """Take a training back, from today on; it stays written that it was held."""
    member = telling.judged(request, pk)
    training = get_object_or_404(Training, pk=_number(request.POST.get("training", "")))
    form = desk_forms.ReasonForm(request.POST)
    if not form.is_valid():
        raise UsageError(_("Say in a few words why %(training)s is taken back.") % {"training": training})
    if not member.grants.filter(training=training, revoked_on=None).exists():
        raise errors.Conflict(_("%(training)s was taken back already.") % {"training": training})
    with transaction.atomic(), pulse.deferred():
        changed = trainings.revoke_all(member, training, actor=account_of(request), reason=form.cleaned_data["reason"])
    telling.tell(request, _("%(training)s is taken back, from today on.") % {"training": training}, *changed)
    return telling.to_person(member)


def block(request: HttpRequest, pk: str) -> HttpResponse:
    """Keep a person from every machine."""
    member = telling.judged(request, pk)
    form = desk_forms.BlockForm(request.POST, auto_id="block_%s")
    if not form.is_valid():
        return desk.page(request, member, block_form=form)
    reason, until = form.cleaned_data["reason"], form.cleaned_data["until"]
    change = blocks.hold(member, reason, until, actor=telling.actor(request))
    text = _("Blocked until %(day)s: %(why)s.") if until else _("Blocked: %(why)s.")
    telling.tell(request, text % {"why": words.block(reason), "day": words.day(until)}, change)
    return telling.to_person(member)


def lift(request: HttpRequest, pk: str) -> HttpResponse:
    """Lift one block."""
    member = telling.judged(request, pk)
    wanted = _number(request.POST.get("block", ""))
    held = get_object_or_404(member.blocks, pk=wanted)
    if held.lifted_at is not None:
        raise errors.Conflict(_("This block was lifted already."))
    change = blocks.lift(member, only=held.pk, actor=telling.actor(request))
    telling.tell(request, _("Not blocked any more: %(why)s.") % {"why": words.block(held.reason)}, change)
    return telling.to_person(member)


def give(request: HttpRequest, pk: str) -> HttpResponse:
    """Give a person a badge of their own."""
    member = telling.member_of(pk)
    form = desk_forms.GiveForm(request.POST, auto_id="give_%s", holder=member.pk)
    if form.is_valid():
        try:
            _row, change = badges.give(
                form.card, member, actor=telling.actor(request), number=form.cleaned_data["number"]
            )
        except badges.Taken as error:
            form.add_error("typed", desk_forms.taken(error.row))
        else:
            telling.tell(request, _("The badge is theirs from now on."), change)
            return telling.to_person(member)
    return desk.page(request, member, give_form=form)


def lend(request: HttpRequest, pk: str) -> HttpResponse:
    """Lend a person a badge until an evening."""
    member = telling.member_of(pk)
    form = desk_forms.LendForm(request.POST, auto_id="lend_%s", holder=member.pk)
    if form.is_valid():
        until = form.cleaned_data["until"]
        try:
            _row, change = badges.give(
                form.card,
                member,
                actor=telling.actor(request),
                kind=Badge.LOAN,
                number=form.cleaned_data["number"],
                until=badges.end_of(until),
            )
        except badges.Taken as error:
            form.add_error("typed", desk_forms.taken(error.row))
        else:
            text = _("Lent until this evening.") if until == blocks.today() else _("Lent until the evening of %(day)s.")
            telling.tell(request, text % {"day": words.day(until)}, change)
            return telling.to_person(member)
    return desk.page(request, member, lend_form=form)


def end_badge(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a badge out of its holder's hands: it is lost, or was given back."""
    row = get_object_or_404(Badge.objects.select_related("member", "group"), pk=pk)
    reason = request.POST.get("reason", "")
    if reason not in {Badge.LOST, Badge.RETURNED}:
        raise UsageError(_("Say whether the badge is lost or was given back."))
    if row.ended_at is not None:
        raise errors.Conflict(_("Nobody has this badge any more."))
    change = badges.end(row, reason, actor=telling.actor(request))
    text = (
        _("The badge is reported lost: it opens nothing, and whoever taps it is sent to the desk.")
        if reason == Badge.LOST
        else _("The badge was given back: it opens nothing until somebody else gets it.")
    )
    telling.tell(request, text, change)
    return telling.to_holder(row)


def leave(request: HttpRequest, pk: str) -> HttpResponse:
    """Show what ends when a person leaves and what others must take over; then end it."""
    member = telling.member_of(pk)
    today = blocks.today()
    has_left = member.left_on is not None and member.left_on <= today
    if request.method == "POST":
        if has_left:
            raise errors.Conflict(_("%(name)s has left already.") % {"name": member.name or member.pk})
        try:
            change = leaving.leave(member, actor=telling.actor(request))
        except leaving.LastManager:
            raise errors.Conflict(_("Nobody would be manager any more. Make somebody else manager first.")) from None
        telling.tell(
            request, _("%(name)s has left. Badges and account are ended.") % {"name": member.name or member.pk}, change
        )
        return telling.to_person(member)
    context = {"member": member, "ties": leaving.ties(member), "has_left": has_left}
    return render(request, "people/leave.html", context)


def come_back(request: HttpRequest, pk: str) -> HttpResponse:
    """Let a person in again."""
    member = telling.member_of(pk)
    if member.left_on is None:
        raise errors.Conflict(_("%(name)s has not left.") % {"name": member.name or member.pk})
    change = leaving.come_back(member, actor=telling.actor(request))
    text = _("%(name)s is a member again. Give them a badge; what they were trained for still counts.")
    telling.tell(request, text % {"name": member.name or member.pk}, change)
    return telling.to_person(member)


def _number(text: str) -> int:
    """Return a row's number, or one that no row has."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
