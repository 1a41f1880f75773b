"""What can a newcomer do at the wall? Take a badge, tap it on a machine, break things, and see what becomes of it."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from fabgate import badge
from fabgate.collector.accounts import sign_in
from fabgate.collector.models import Account
from fabgate.collector.pages import errors
from fabgate.collector.pages.access_control import see_other
from fabgate.collector.pages.wall import demo_client, descriptions
from fabgate.collector.people import display_names
from fabgate.collector.people.badges import Card
from fabgate.errors import UsageError

#: The account that the demo has made for whoever opens its link.
ACCOUNT: Final = "demo"
#: What a button may ask for beside a tap; a jump says how far.
VERBS: Final = frozenset({"take-out", "pull", "plug", "kill", "start", "cut", "restore", "right", "jump"})


def enter(request: HttpRequest, token: str) -> HttpResponse:
    """Sign in whoever has the demo's link, once, and go to the wall."""
    try:
        opens = demo_client.ask({"do": "enter", "token": token})["opens"]
    except demo_client.Gone:
        return _gone(request)
    account = Account.objects.filter(name=ACCOUNT, is_active=True).first()
    if not opens or account is None:
        text = _("A link opens once. Press o where the demo runs: it opens a new one.")
        return errors.page(request, 404, _("This link opens nothing any more"), text)
    sign_in.enter(request, account)
    return see_other(reverse("wall"))


def wall(request: HttpRequest) -> HttpResponse:
    """Show the badges and the machines; `card` is the one that was taken."""
    try:
        found = demo_client.ask({"do": "look"})
    except demo_client.Gone:
        return _gone(request)
    digests = {
        card["id"]: Card.spelled(badge.parse(card["spelling"])).digest for card in found["cards"] if _can_be(card)
    }
    owners = display_names.having(digests.values())
    cards = [descriptions.card(card, owners.get(digests.get(card["id"], ""))) for card in found["cards"]]
    taken = request.GET.get("card", "")
    shown = {"cards": cards, "taken": taken, "machines": _machines(found)}
    return render(request, "wall/wall.html", shown)


def now(request: HttpRequest) -> HttpResponse:
    """Return the machines alone, for the page that is open."""
    try:
        found = demo_client.ask({"do": "look"})
    except demo_client.Gone:
        return _gone(request)
    return render(request, "wall/machines.html", {"machines": _machines(found)})


def do(request: HttpRequest) -> HttpResponse:
    """Do what a button says: ``tap GATE``, another verb and its gate, or ``jump GATE SECONDS``."""
    wanted, taken = _read(request), request.POST.get("card", "")
    problem = ""
    try:
        demo_client.ask(wanted)
    except demo_client.Gone:
        return _gone(request)
    except demo_client.Refused as refused:
        problem = str(refused)
    if request.headers.get("X-Wall"):
        return HttpResponse(problem, status=409 if problem else 204, content_type="text/plain; charset=utf-8")
    if problem:
        messages.error(request, _("That could not be done: %(why)s") % {"why": problem})
    return see_other(reverse("wall") + (f"?card={taken}" if taken.isalnum() else "") + f"#at-{wanted['gate']}")


def _read(request: HttpRequest) -> dict[str, Any]:
    """Return what a form asks for. Raises UsageError."""
    said = request.POST.get("do", "").split()
    verb, gate, *more = [*said, "", ""]
    if verb == "tap" and gate:
        card = request.POST.get("card", "")
        if not card:
            raise UsageError(_("Take a badge from the wall first, then tap it on a machine."))
        return {"do": verb, "gate": gate, "card": card}
    if verb not in VERBS or not gate:
        raise UsageError(_("Wanted one of: %(known)s.") % {"known": ", ".join(sorted({"tap", *VERBS}))})
    if verb != "jump":
        return {"do": verb, "gate": gate}
    try:
        return {"do": verb, "gate": gate, "by_s": int(more[0])}
    except ValueError:
        raise UsageError(_("Wanted a whole number of seconds by which the clock jumps.")) from None


def _machines(found: dict[str, Any]) -> list[descriptions.Machine]:
    named = [one["who"] for one in found["machines"]] + [(one["refusal"] or {}).get("who") for one in found["machines"]]
    people = display_names.called(one for one in named if one)
    return [descriptions.machine(one, people) for one in found["machines"]]


def _can_be(card: dict[str, Any]) -> bool:
    """Whether a card can be somebody's: a phone that makes up its number is nobody's badge."""
    return bool(card["kind"] != "phone")


def _gone(request: HttpRequest) -> HttpResponse:
    text = _("The process that plays the gates does not answer. Start the demo again: fabgate demo")
    return errors.page(request, 503, _("The demo has ended"), text)
