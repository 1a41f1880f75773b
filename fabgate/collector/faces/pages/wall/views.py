"""The demo's wall of badges: tap a badge on a machine, break things, and see what happens."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from fabgate import badge
from fabgate.collector.faces.pages import errors
from fabgate.collector.faces.pages.access_control import see_other
from fabgate.collector.faces.pages.wall import demo_client, descriptions
from fabgate.collector.ground.models import Account
from fabgate.collector.members.accounts import sign_in
from fabgate.collector.members.people import display_names
from fabgate.collector.members.people.badges import Card
from fabgate.errors import UsageError

#: The account that the demo's link signs in.
ACCOUNT: Final = "demo"
#: The requests of the buttons besides taps; `jump` has a number of seconds.
VERBS: Final = frozenset({"take-out", "pull", "plug", "kill", "start", "cut", "restore", "right", "jump"})


def enter(request: HttpRequest, token: str) -> HttpResponse:
    """Sign in with the demo's one-time link, and go to the wall."""
    try:
        opens = demo_client.ask({"do": "enter", "token": token})["opens"]
    except demo_client.Gone:
        return _gone(request)
    account = Account.objects.filter(name=ACCOUNT, is_active=True).first()
    if not opens or account is None:
        text = _("The link works once. Press o in the demo's terminal for a new one.")
        return errors.page(request, 404, _("This link has expired"), text)
    sign_in.enter(request, account)
    return see_other(reverse("wall"))


def wall(request: HttpRequest) -> HttpResponse:
    """Show the badges and the machines; `card` is the selected badge."""
    try:
        state = demo_client.ask({"do": "look"})
    except demo_client.Gone:
        return _gone(request)
    digests = {
        card["id"]: Card.spelled(badge.parse(card["spelling"])).digest
        for card in state["cards"]
        if _can_have_owner(card)
    }
    owners = display_names.current_holders(digests.values())
    cards = [descriptions.card(card, owners.get(digests.get(card["id"], ""))) for card in state["cards"]]
    selected = request.GET.get("card", "")
    shown = {"cards": cards, "selected": selected, "machines": _machines(state)}
    return render(request, "wall/wall.html", shown)


def now(request: HttpRequest) -> HttpResponse:
    """Return only the machines, for the open page."""
    try:
        state = demo_client.ask({"do": "look"})
    except demo_client.Gone:
        return _gone(request)
    return render(request, "wall/machines.html", {"machines": _machines(state)})


def do(request: HttpRequest) -> HttpResponse:
    """Do what a button requests: ``tap GATE``, another verb and a gate, or ``jump GATE SECONDS``."""
    action, selected = _parse(request), request.POST.get("card", "")
    problem = ""
    try:
        demo_client.ask(action)
    except demo_client.Gone:
        return _gone(request)
    except demo_client.DemoRefused as refused:
        problem = str(refused)
    if request.headers.get("X-Wall"):
        return HttpResponse(problem, status=409 if problem else 204, content_type="text/plain; charset=utf-8")
    if problem:
        messages.error(request, _("Not done: %(why)s") % {"why": problem})
    return see_other(reverse("wall") + (f"?card={selected}" if selected.isalnum() else "") + f"#at-{action['gate']}")


def _parse(request: HttpRequest) -> dict[str, Any]:
    """Return the request in a form. Raises UsageError."""
    verb, gate, *more = [*request.POST.get("do", "").split(), "", ""]
    if verb == "tap" and gate:
        card = request.POST.get("card", "")
        if not card:
            raise UsageError(_("Take a badge from the wall first, then tap it on a machine."))
        return {"do": verb, "gate": gate, "card": card}
    if verb not in VERBS or not gate:
        raise UsageError(_("Choose one of: %(known)s.") % {"known": ", ".join(sorted({"tap", *VERBS}))})
    if verb != "jump":
        return {"do": verb, "gate": gate}
    try:
        return {"do": verb, "gate": gate, "by_s": int(more[0])}
    except ValueError:
        raise UsageError(_("Enter by how many seconds to set the clock forward or back, as a whole number.")) from None


def _machines(state: dict[str, Any]) -> list[descriptions.OnWall]:
    machines = state["machines"]
    ids = [machine["who"] for machine in machines] + [(machine["refusal"] or {}).get("who") for machine in machines]
    people = display_names.names_of(key for key in ids if key)
    return [descriptions.machine(machine, people) for machine in machines]


def _can_have_owner(card: dict[str, Any]) -> bool:
    """Return whether a card can have an owner: a phone cannot, because its number is random."""
    return bool(card["kind"] != "phone")


def _gone(request: HttpRequest) -> HttpResponse:
    text = _("The demo's gates do not answer. Start the demo again: fabgate demo")
    return errors.page(request, 503, _("The demo has ended"), text)
