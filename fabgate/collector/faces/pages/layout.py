"""The context that every page shares: tabs and menu by role, language, theme, and completeness of the records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from fabgate.collector.faces.pages import rights, roles
from fabgate.collector.faces.pages.access_control import PULSE
from fabgate.collector.faces.pages.events import live_regions
from fabgate.collector.ground.models import Account, BillingTerms, Pulse
from fabgate.collector.recording.entries import completeness

THEME_COOKIE: Final = "fabgate_theme"
THEMES: Final = ("auto", "light", "dark")


@dataclass(frozen=True, slots=True)
class Tab:
    """A link in the navigation: route name, title, icon."""

    route: str
    title: Any  # translated when it is shown
    icon: str


TABS: Final = (
    Tab("wall", _("Wall"), "badge"),  # in a simulated workshop only
    Tab("floor", _("Floor"), "floor"),
    Tab("people", _("People"), "people"),
    Tab("use", _("Activity"), "clock"),
    Tab("month", _("Month"), "calendar"),
    Tab("my-minutes", _("My minutes"), "clock"),
)
MORE: Final = (
    Tab("machines", _("Machines"), "machine"),
    Tab("gates", _("Gates"), "gate"),
    Tab("log", _("Log"), "log"),
    Tab("accounts", _("Accounts"), "key"),
)


def nav_links(role: str, tabs: tuple[Tab, ...]) -> list[dict[str, Any]]:
    """Return those of `tabs` that `role` may open, with their addresses."""
    return [
        {"route": tab.route, "title": tab.title, "icon": tab.icon, "url": reverse(tab.route)}
        for tab in tabs
        if rights.may(role, tab.route)
    ]


def _tabs_of(account: Account) -> tuple[Tab, ...]:
    """Return the tabs for an account.

    One without a member has no sessions to show, and before billing has started there is no month to show.
    """
    left_out = set()
    if not account.member_id and account.role != Account.MEMBER:
        left_out.add("my-minutes")
    if rights.may(account.role, "month") and not BillingTerms.objects.exists():
        left_out.add("month")
    return tuple(tab for tab in TABS if tab.route not in left_out)


def first_route(role: str) -> str:
    """Return the name of the route that `role` sees first."""
    open_to = [tab.route for tab in (*TABS, *MORE) if rights.may(role, tab.route)]
    return open_to[0] if open_to else "me"


def theme(request: HttpRequest) -> str:
    """Return the theme chosen in this browser: auto, light or dark."""
    chosen = request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "auto"


def context(request: HttpRequest) -> dict[str, Any]:
    """Return the shared context (a Django context processor)."""
    # a page without a route has not passed the middleware, and after an error there may be no session
    account = getattr(request, "user", None)
    role = account.role if isinstance(account, Account) and account.is_authenticated else ""
    match = request.resolver_match
    return {
        "is_live": live_regions.is_refresh(request),
        "account": account if role else None,
        "role": role,
        "barred_from": roles.barred_from(account) if isinstance(account, Account) and role else None,
        "tabs": nav_links(role, _tabs_of(account)) if isinstance(account, Account) and role else [],
        "more": nav_links(role, MORE) if role else [],
        "area": _area(match.view_name) if match else "",
        "here": request.get_full_path() if request.method == "GET" else reverse("home"),
        "lang": get_language() or "en",
        "theme": theme(request),
        "is_simulated": settings.ENVIRONMENT.simulated,
        "site": settings.ENVIRONMENT.site,
        "records": SimpleLazyObject(completeness.now) if role and role != Account.MEMBER else None,
        "pulse": request.META[PULSE] if PULSE in request.META else SimpleLazyObject(Pulse.newest),
    }


def _area(route: str) -> str:
    """Return the tab to which a route belongs: the one whose name is the longest prefix of the route's."""
    names = [tab.route for tab in (*TABS, *MORE) if route == tab.route or route.startswith(f"{tab.route}-")]
    return max(names, key=len, default="")
