"""Signing in, setting a password with a one-time link, and signing out."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import logout
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from fabgate.collector.faces.pages import errors
from fabgate.collector.faces.pages.access_control import back_to, see_other
from fabgate.collector.faces.pages.signin.forms import FirstManagerForm, NewPasswordForm, SignInForm
from fabgate.collector.ground.base import called
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Account, OneTimeLink, SignIn
from fabgate.collector.members.accounts import known_browsers, links, manage
from fabgate.collector.members.accounts import sign_in as signing_in


@sensitive_post_parameters("password")
def sign_in(request: HttpRequest) -> HttpResponse:
    """Show the form, or sign in and redirect to the requested page."""
    back = back_to(request)
    if request.method == "GET" and request.user.is_authenticated:
        return see_other(back)
    form = SignInForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            account = signing_in.check(request, form.cleaned_data["name"], form.cleaned_data["password"])
        except signing_in.TooMany:
            return errors.too_many(request)
        if account is not None:
            signing_in.enter(request, account)
            return known_browsers.remember(request, see_other(back), account)
        text = _("Username or password is wrong. Try again, or ask a manager for a new link.")
        if not Account.has_manager():
            text = _(
                "Username or password is wrong. There is no manager yet: the command “%(command)s”, run on the"
                " collector's computer, prints a link for the first manager."
            ) % {"command": called.command("first-link")}
        form.add_error(None, text)
    status = 200 if request.method == "GET" else 400
    return render(request, "signin/sign_in.html", {"form": form, "next": back}, status=status)


def sign_out(request: HttpRequest) -> HttpResponse:
    """End this sign-in."""
    SignIn.objects.filter(pk=request.session.get("sign_in") or 0).delete()
    logout(request)
    return see_other(reverse("sign-in"))


@sensitive_post_parameters("password")
def welcome(request: HttpRequest, token: str) -> HttpResponse:
    """Let the holder of a one-time link set a password: the first manager, an invited person, or one who forgot theirs."""
    link = OneTimeLink.open(token)
    if link is None:
        text = _("This link was used already, or has expired. Ask a manager for a new link.")
        if not Account.has_manager():
            text = _(
                "This link was used already, or has expired. There is no manager yet: to print a new link, run"
                " “%(command)s” on the collector's computer."
            ) % {"command": called.command("first-link")}
        return errors.page(request, 404, _("This link has expired"), text)
    account = link.account or Account(role=Account.MANAGER)
    is_first = link.account is None
    form = (FirstManagerForm if is_first else NewPasswordForm)(
        account, request.POST if request.method == "POST" else None
    )
    if request.method == "POST" and form.is_valid():
        _let_in(request, link, account, form)
        return known_browsers.remember(request, see_other(reverse("home")), account)
    status = 200 if request.method == "GET" else 400
    shown = {"form": form, "is_first": is_first, "link": link, "named": account}
    return render(request, "signin/welcome.html", shown, status=status)


def _let_in(request: HttpRequest, link: OneTimeLink, account: Account, form: NewPasswordForm) -> None:
    with transaction.atomic():
        list(Account.objects.select_for_update(no_key=True).filter(pk=account.pk))  # before its links, as elsewhere
        if not links.use(link, actor=account.name) or (link.account is None and Account.has_manager()):
            raise errors.Conflict(_("This link has just been used. Sign in, or ask a manager for a new one."))
        if link.account is None:
            with audit.change(account.name, "account.added", account, reason=link.purpose):
                account.set_password(form.cleaned_data["password"])
                account.save()
        else:
            manage.set_password(account, form.cleaned_data["password"], reason=link.purpose)
        signing_in.enter(request, account)
    messages.success(request, _("Your password is set. Welcome!"))
