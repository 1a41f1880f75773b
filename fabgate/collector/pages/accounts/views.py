"""Who has an account, what may they do, and how is somebody invited, helped back in, or switched off?"""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _

from fabgate.collector.accounts import manage as house
from fabgate.collector.db import audit, pulse
from fabgate.collector.models import Account, ApiKey, OneTimeLink
from fabgate.collector.pages import errors, stale_form
from fabgate.collector.pages.access_control import account_of, see_other
from fabgate.collector.pages.accounts import letters
from fabgate.collector.pages.accounts.forms import AccountForm, NewAccountForm
from fabgate.collector.pages.member_field import written
from fabgate.collector.people import mails
from fabgate.errors import UsageError


def accounts(request: HttpRequest) -> HttpResponse:
    """List the accounts, those that are switched off at the end."""
    rows = Account.objects.select_related("member").order_by("-is_active", "name")
    return render(request, "accounts/list.html", {"accounts": rows})


def new(request: HttpRequest) -> HttpResponse:
    """Make an account; its one-time link is shown in the answer and nowhere else."""
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
            text = _("Somebody has just made an account of this name. Its link was shown to them, once.")
            form.add_error("name", text)
            status = 409
        else:
            return _with_link(request, account, token)
    return render(request, "accounts/new.html", {"form": form}, status=status)


def link(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a one-time link for an account that is there; links made before open nothing more."""
    account = get_object_or_404(Account, pk=pk)
    with transaction.atomic():
        token = house.link_for(account, actor=account_of(request).name)
    return _with_link(request, account, token)


def mail(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a one-time link that was shown a moment ago to the account's own address."""
    account = get_object_or_404(Account, pk=pk)
    token = request.POST.get("token", "")
    found = OneTimeLink.open(token)
    if found is None or found.account_id != account.pk:
        text = _("It was used, or is too old, or a newer one was made. Make another one.")
        return errors.page(request, 404, _("This link opens nothing any more"), text)
    if not mails.can_send() or not account.email:
        raise UsageError(_("No mail server is set, or no e-mail address is known. Send the link yourself."))
    (problem,) = mails.send([letters.with_link(found, _address(request, token))])
    verb = "account.not-mailed" if problem else "account.mailed"
    audit.record(account_of(request).name, verb, account, reason=problem[:200], after={"email": account.email})
    about = {"name": account, "email": account.email, "why": problem}
    if problem:
        messages.error(request, _("The link could not be sent to %(email)s: %(why)s.") % about)
    else:
        messages.success(request, _("The link for %(name)s was sent to %(email)s.") % about)
    return _with_link(request, account, token, is_sent=not problem)


def one(request: HttpRequest, pk: int) -> HttpResponse:
    """Show an account; change it, or switch it off and on."""
    account = get_object_or_404(Account.objects.select_related("member"), pk=pk)
    if request.method == "POST" and request.POST.get("active") in {"0", "1"}:
        return _switch(request, account, is_active=request.POST["active"] == "1")
    form = AccountForm(initial=_shown(account)) if request.method == "GET" else _saved(request, account)
    if form is None:
        messages.success(request, _("Saved."))
        return see_other(reverse("accounts-one", args=[pk]))
    context = {"form": form, "one": account, "keys": ApiKey.living().filter(made_by=account).order_by("name")}
    return render(request, "accounts/one.html", context, status=form.status)


def _saved(request: HttpRequest, account: Account) -> AccountForm | None:
    """Save what was typed; return the form where it cannot be."""
    with transaction.atomic():
        row = stale_form.held(account)
        form = AccountForm(request.POST, initial=_shown(row))
        if form.is_overtaken() or not form.is_valid():
            return form
        with audit.change(account_of(request).name, "account.updated", row):
            for name in ("display_name", "email", "role", "member"):
                setattr(row, name, form.cleaned_data[name])
            # Only these: a password that was set meanwhile holds.
            row.save(update_fields=["display_name", "email", "role", "member"])
        _keep_a_manager()
    return None


def _shown(account: Account) -> dict[str, str]:
    shown = {"display_name": account.display_name, "email": account.email, "role": account.role}
    return {**shown, "member": written(account.member)}


def _switch(request: HttpRequest, account: Account, *, is_active: bool) -> HttpResponse:
    actor = account_of(request).name
    with transaction.atomic():
        account = stale_form.held(
            account
        )  # before its keys, as whoever saves it has it: or each would wait for the other
        if is_active:
            with audit.change(actor, "account.activated", account):
                account.is_active = True
                account.save(update_fields=["is_active"])
        else:
            chosen = set(request.POST.getlist("key"))
            for key in ApiKey.living().filter(made_by=account):
                if str(key.pk) in chosen:
                    house.revoke(key, actor=actor, reason="account.deactivated")
            house.switch_off(account, actor=actor)
        _keep_a_manager()
    text = _("%(name)s can sign in again.") if is_active else _("%(name)s cannot sign in any more, from now on.")
    messages.success(request, text % {"name": account})
    return see_other(reverse("accounts-one", args=[account.pk]))


def _keep_a_manager() -> None:
    """Undo what would leave nobody to let people in; called last inside the transaction."""
    pulse.lock()  # two who take the role from each other: the second looks when the first is done
    if not Account.has_manager():
        raise errors.Conflict(_("Nobody would be manager any more. Make somebody else manager first."))


def _address(request: HttpRequest, token: str) -> str:
    # The address of this very request: whoever is told it reaches the collector the way that the manager does.
    address = request.build_absolute_uri(reverse("welcome", args=[token]))
    return address.replace("http://", "https://", 1) if settings.ENVIRONMENT.https else address


def _with_link(request: HttpRequest, account: Account, token: str, *, is_sent: bool = False) -> HttpResponse:
    rows = Account.objects.select_related("member").order_by("-is_active", "name")
    shown = {"accounts": rows, "link": _address(request, token), "link_of": account}
    if mails.can_send() and account.email and not is_sent:
        shown["mail_token"] = token
    return render(request, "accounts/list.html", shown)
