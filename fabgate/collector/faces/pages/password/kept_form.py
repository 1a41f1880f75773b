"""Keeps what was typed in a form that was sent after its sign-in had ended, or with an outdated CSRF token.

The answer is a page that repeats the fields, as the question for the password does (password_again.py): nothing is
stored. Each form has a signed field that says for which account its page was made, and when. Without it, a form of
another site could be sent in the name of a person who only meant to sign in. It is kept for the same account only.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Final

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from fabgate.collector.faces.pages import errors, language
from fabgate.collector.faces.pages.password import password_again
from fabgate.collector.faces.pages.password.password_again import MADE_FOR, PasswordAgainForm
from fabgate.collector.ground.models import Account
from fabgate.collector.members.accounts import sign_in

#: What was typed in a page that is older than this is not kept.
LASTS: Final = timedelta(days=1)
#: The most characters of names and values that are repeated.
MOST: Final = 256 * 1024
#: Fields that are secret. A form that has one of them is not kept at all, nor is one with a file.
SECRETS: Final = frozenset({"old", "password", "token"})
_SALT: Final = "fabgate.made-for"
#: What Django says of a form that another site may have sent.
_FROM_ELSEWHERE: Final = ("Origin", "Referer")


def made_for(account: Account) -> str:
    """Return the value of the signed field, for a page that is made for `account` now."""
    return signing.dumps(account.pk, salt=_SALT)


def typed_by(request: HttpRequest) -> Account | None:
    """Return who typed what this form contains, or None if it cannot be kept, or nothing was typed."""
    try:
        account = signing.loads(request.POST.get(MADE_FOR, ""), salt=_SALT, max_age=LASTS)
    except signing.BadSignature:
        return None
    fields = password_again.repeated(request)
    size = sum(len(name) + len(value) for name, value in fields)
    is_secret = bool(request.FILES) or not SECRETS.isdisjoint(name for name, _value in fields)
    if settings.ENVIRONMENT.simulated or is_secret or not 0 < size <= MOST:
        return None
    return Account.objects.filter(pk=account, is_active=True).first()


def sign_in_again(request: HttpRequest, account: Account) -> HttpResponse | None:
    """Return a page that asks for the password of `account`; None if it came with this request: they are signed in."""
    language.use(account.lang)
    return password_again.answer(request, account, partial(_question, account), sign_in.enter)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form with a wrong or missing CSRF token: a page that sends it again, if we know who typed it."""
    account = None if reason.startswith(_FROM_ELSEWHERE) else typed_by(request)
    is_someone_else = request.user.is_authenticated and request.user != account
    if account is None or is_someone_else:
        return errors.csrf_failure(request, reason)
    language.use(account.lang)
    return _question(account, request)


def _question(account: Account, request: HttpRequest, form: PasswordAgainForm | None = None) -> HttpResponse:
    """Return the page that repeats the fields; without the password if that person is signed in."""
    is_signed_in = request.user == account
    shown = {
        "form": None if is_signed_in else form or PasswordAgainForm(),
        "fields": password_again.repeated(request),
        "made_for": request.POST[MADE_FOR],
        "who": account,
    }
    return render(request, "password/kept_form.html", shown, status=400 if form else 403)
