"""Asks for the password again before a change that concerns money, if it was last typed more than 15 minutes ago.

Where each POST changes money, the middleware asks before the view runs. Where only some do, the change itself raises
PasswordNeeded when it is about to be logged (faces/pages/password/money.py); it is undone, and the middleware asks
then.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages import errors
from fabgate.collector.ground.models import Account
from fabgate.collector.members.accounts import sign_in

#: A password that was typed longer ago is asked for again.
LASTS: Final = timedelta(minutes=15)
#: The name of its field, which no other form has.
FIELD: Final = "password_again"
#: The name of the signed field that each form has (kept_form.py).
MADE_FOR: Final = "made_for"
#: Fields that a page adds to its forms; nobody types them.
OF_THE_PAGE: Final = frozenset({MADE_FOR, "csrfmiddlewaretoken"})


class PasswordNeeded(Exception):  # noqa: N818 (it names what is missing)
    """The change concerns money, and the password was typed too long ago. Answered with the question for it."""


class PasswordAgainForm(forms.Form):
    """The password of the person who is signed in."""

    password_again = forms.CharField(
        label=gettext_lazy("Password"),
        max_length=1000,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )


def is_recent(request: HttpRequest) -> bool:
    """Return whether the password was typed recently. The demo has no passwords."""
    return settings.ENVIRONMENT.simulated or sign_in.has_recent_password(request, LASTS)


def require(request: HttpRequest) -> None:
    """Raise PasswordNeeded unless the password was typed recently."""
    if not is_recent(request):
        raise PasswordNeeded


def ask(request: HttpRequest, account: Account) -> HttpResponse | None:
    """Return a page that asks for the password, or None if it was typed recently or came with this request."""
    if is_recent(request):
        return None
    return answer(request, account, question, lambda request, _account: sign_in.note_password(request))


def answer(
    request: HttpRequest,
    account: Account,
    ask_for_it: Callable[[HttpRequest, PasswordAgainForm | None], HttpResponse],
    when_right: Callable[[HttpRequest, Account], None],
) -> HttpResponse | None:
    """Call `when_right` and return None if the password of `account` came with this request; otherwise ask for it."""
    if FIELD not in request.POST:
        return ask_for_it(request, None)
    form = PasswordAgainForm(request.POST)
    if form.is_valid():
        try:
            found = sign_in.check(request, account.name, form.cleaned_data[FIELD])
        except sign_in.TooMany:
            form.add_error(FIELD, errors.too_many_text())
            return errors.as_too_many(ask_for_it(request, form))
        if found is not None:
            when_right(request, found)
            return None
        form.add_error(FIELD, _("This password is wrong. Try again."))
    return ask_for_it(request, form)


def repeated(request: HttpRequest) -> list[tuple[str, str]]:
    """Return the fields of the form that was sent, in its order."""
    left_out = OF_THE_PAGE | {FIELD}
    return [(name, value) for name, values in request.POST.lists() if name not in left_out for value in values]


def question(request: HttpRequest, form: PasswordAgainForm | None = None) -> HttpResponse:
    """Return a page that asks for the password, with the errors of `form`.

    The page repeats the fields of the form that was sent. It sends them to the same address together with the password,
    so nothing that was typed is lost, and nothing is stored meanwhile.
    """
    shown: dict[str, Any] = {
        "form": form or PasswordAgainForm(),
        "fields": repeated(request),
    }
    return render(request, "password/password_again.html", shown, status=400 if form else 200)
