"""Accounts: the list, invitations, one-time links, editing, and switching off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages import errors, rights
from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.accounts import letters
from fabgate.collector.faces.pages.accounts.forms import AccountForm, NewAccountForm
from fabgate.collector.faces.pages.forms import stale_form
from fabgate.collector.faces.pages.forms.member_field import member_text
from fabgate.collector.faces.pages.lists.sorting import Sorting
from fabgate.collector.faces.pages.password import password_again
from fabgate.collector.ground import mails
from fabgate.collector.ground.db import audit, member_lock, pulse
from fabgate.collector.ground.models import Account, ApiKey, OneTimeLink
from fabgate.collector.members.accounts import links
from fabgate.collector.members.accounts import manage as house
from fabgate.errors import UsageError


def accounts(request: HttpRequest) -> HttpResponse:
    """List the accounts, those switched off last, or in another order."""
    return render(request, "accounts/list.html", _listed(request))


def _listed(request: HttpRequest) -> dict[str, Any]:
    sorting = Sorting(request.GET, _SORTS, path=reverse("accounts"))
    rows = Account.objects.select_related("member").order_by("-is_active", "name")
    return {"accounts": sorting.sorted(rows, _SORTS), "sorting": sorting}


def _state(account: Account) -> int:
    """Return a sort number for the state in the list: can sign in, invited, no password, switched off."""
    if not account.is_active:
        return 3
    if account.has_usable_password():
        return 0
    return 2 if account.last_login else 1


#: Column -> its value, in the list of accounts.
_SORTS: Final[Mapping[str, Callable[[Account], Any]]] = {
    "name": str,
    "role": lambda account: str(account.get_role_display()),
    "member": lambda account: account.member and (account.member.name or account.member.pk),
    "-signed_in": lambda account: account.last_login,
    "state": _state,
}


def new(request: HttpRequest) -> HttpResponse:
    """Add an account; its one-time link is shown in this response only."""
    form = NewAccountForm(request.POST if request.method == "POST" else None)
    status = 200 if request.method == "GET" else 400
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data
        try:
            with transaction.atomic():
                account, token = house.invite(
                    typed["name"],
                    typed["role"],
                    actor=account_of(request).name,
                    display_name=typed["display_name"],
                    email=typed["email"],
                    member=typed["member"],
                )
        except house.Taken:
            text = _(
                "An account with this name has just been created. Its link was shown once, to the person who"
                " created the account."
            )
            form.add_error("name", text)
            status = 409
        else:
            return _with_link(request, account, token)
    return render(request, "accounts/new.html", {"form": form}, status=status)


def link(request: HttpRequest, pk: int) -> HttpResponse:
    """Create a one-time link for an account; earlier links stop working."""
    account = get_object_or_404(Account, pk=pk)
    with transaction.atomic():
        token = house.link_for(account, actor=account_of(request).name)
    return _with_link(request, account, token)


def mail(request: HttpRequest, pk: int) -> HttpResponse:
    """E-mail a one-time link that was just shown to the account's address."""
    account = get_object_or_404(Account, pk=pk)
    token = request.POST.get("token", "")
    found = OneTimeLink.open(token)
    if found is None or found.account_id != account.pk:
        text = _("The link was used, has expired, or was replaced by a newer one. Create another one.")
        return errors.page(request, 404, _("This link has expired"), text)
    if not mails.can_send() or not account.email:
        raise UsageError(
            _("No mail server is configured, or the account has no e-mail address. Send the link yourself.")
        )
    if account.role in rights.trusted_roles():
        password_again.require(request)  # before the mail is sent
    (problem,) = mails.send([letters.with_link(found, _address(request, token))])
    verb = "account.not-mailed" if problem else "account.mailed"
    audit.record(account_of(request).name, verb, account, reason=problem[:200], after={"email": account.email})
    about = {"name": account, "email": account.email, "why": problem}
    if problem:
        messages.error(request, _("The link could not be sent to %(email)s: %(why)s.") % about)
    else:
        messages.success(request, _("The link for %(name)s was sent to %(email)s.") % about)
    return _with_link(request, account, token, is_sent=not problem)


def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show and edit an account, or switch it off or on."""
    account = get_object_or_404(Account.objects.select_related("member"), pk=pk)
    if request.method == "POST" and request.POST.get("active") in {"0", "1"}:
        return _switch(request, account, is_active=request.POST["active"] == "1")
    form = AccountForm(initial=_shown(account)) if request.method == "GET" else _saved(request, account)
    if form is None:
        messages.success(request, _("Saved."))
        return see_other(reverse("accounts-one", args=[pk]))
    context = {"form": form, "one": account, "keys": ApiKey.valid().filter(made_by=account).order_by("name")}
    return render(request, "accounts/one.html", context, status=form.status)


def _saved(request: HttpRequest, account: Account) -> AccountForm | None:
    """Save the form. Return it if it has errors or conflicts, or None if it was saved."""
    concerned = AccountForm.members_named(request.POST)
    with transaction.atomic():
        member_lock.take(concerned)
        row = stale_form.locked(account)
        form = AccountForm(request.POST, initial=_shown(row))
        if form.has_conflicts() or not form.is_valid():
            return form
        role = row.role
        with audit.change(account_of(request).name, "account.updated", row):
            for name in ("display_name", "email", "role", "member"):
                setattr(row, name, form.cleaned_data[name])
            # Only these fields: the password may have been changed in the meantime.
            row.save(update_fields=["display_name", "email", "role", "member"])
        if row.role != role:
            # A link is made with the password, or without it, by the role of its account.
            links.close(row, actor=account_of(request).name)
        _keep_a_manager()
    return None


def _shown(account: Account) -> dict[str, str]:
    shown = {"display_name": account.display_name, "email": account.email, "role": account.role}
    return {**shown, "member": member_text(account.member)}


def _switch(request: HttpRequest, account: Account, *, is_active: bool) -> HttpResponse:
    actor = account_of(request).name
    with transaction.atomic():
        if is_active and account.member is not None:
            member_lock.take([account.member])
        account = stale_form.locked(account)  # before its keys, in the same order as _saved: no deadlock
        if is_active:
            with audit.change(actor, "account.activated", account):
                account.is_active = True
                account.save(update_fields=["is_active"])
        else:
            chosen = set(request.POST.getlist("key"))
            for key in ApiKey.valid().filter(made_by=account):
                if str(key.pk) in chosen:
                    house.revoke(key, actor=actor, reason="account.deactivated")
            house.switch_off(account, actor=actor)
        _keep_a_manager()
    text = _("%(name)s can sign in again.") if is_active else _("%(name)s can no longer sign in.")
    messages.success(request, text % {"name": account})
    return see_other(reverse("accounts-one", args=[account.pk]))


def _keep_a_manager() -> None:
    """Raise Conflict if no manager would remain. Call it last in the transaction."""
    pulse.lock()  # serialises two managers who remove each other's role
    if not Account.has_manager():
        raise errors.Conflict(_("At least one manager must remain. Make someone else manager first."))


def _address(request: HttpRequest, token: str) -> str:
    # Built from this request: the invited person reaches the collector by the same address as the manager.
    address = request.build_absolute_uri(reverse("welcome", args=[token]))
    return address.replace("http://", "https://", 1) if settings.ENVIRONMENT.https else address


def _with_link(request: HttpRequest, account: Account, token: str, *, is_sent: bool = False) -> HttpResponse:
    shown = {**_listed(request), "link": _address(request, token), "link_of": account}
    if mails.can_send() and account.email and not is_sent:
        shown["mail_token"] = token
    return render(request, "accounts/list.html", shown)
