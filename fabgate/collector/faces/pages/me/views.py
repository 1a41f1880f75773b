"""A person's own account: their password, and the browsers in which they are signed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters

from fabgate.collector.faces.pages import errors
from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.lists.sorting import Sorting
from fabgate.collector.faces.pages.me import browsers
from fabgate.collector.faces.pages.me.forms import ChangePasswordForm
from fabgate.collector.ground.models import SignIn
from fabgate.collector.members.accounts import manage, sign_in
from fabgate.errors import UsageError


def me(request: HttpRequest) -> HttpResponse:
    """Show the account and the browsers signed in."""
    sorting = Sorting(request.GET, _SORTS, "-used")
    return render(request, "me/me.html", {"sign_ins": sorting.sorted(_sign_ins(request), _SORTS), "sorting": sorting})


#: Column -> its value, in the list of browsers.
_SORTS: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    "browser": lambda row: row["browser"],
    "address": lambda row: row["row"].address,
    "-since": lambda row: row["row"].at,
    "-used": lambda row: row["row"].seen_at,
}


@sensitive_post_parameters("old", "password")
def password(request: HttpRequest) -> HttpResponse:
    """Change the password, and sign out all other browsers."""
    account = account_of(request)
    if request.method == "POST" and sign_in.is_too_many(request, account.name):
        return errors.too_many(request)
    form = ChangePasswordForm(account, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            manage.set_password(account, form.cleaned_data["password"], but=request.session["sign_in"])
            update_session_auth_hash(request, account)
        messages.success(request, _("Password changed. Other browsers were signed out."))
        return see_other(reverse("me"))
    if "old" in form.errors:
        sign_in.note_failure(request, account.name)
    return render(request, "me/password.html", {"form": form}, status=200 if request.method == "GET" else 400)


def revoke(request: HttpRequest) -> HttpResponse:
    """Sign out another browser, or all others."""
    account, own = account_of(request), request.session["sign_in"]
    which = request.POST.get("sign_in", "")
    if which == "others":
        ended = manage.sign_out(account, but=own)
    elif which.isascii() and which.isdecimal() and len(which) < 19:
        ended = manage.sign_out(account, only=int(which))
    else:
        raise UsageError(_("Choose which browser to sign out."))
    messages.success(
        request, ngettext("%(n)d browser is signed out.", "%(n)d browsers are signed out.", ended) % {"n": ended}
    )
    return see_other(reverse("me"))


def _sign_ins(request: HttpRequest) -> list[dict[str, Any]]:
    rows = SignIn.objects.filter(account=account_of(request), revoked_at=None).order_by("-seen_at")[:50]
    return [
        {"row": row, "browser": browsers.named(row.user_agent), "is_own": row.pk == request.session.get("sign_in")}
        for row in rows
    ]
