"""API keys: the list, creating one, which is shown once, and revoking one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, cast

from django import forms
from django.contrib import messages
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.api.programs import interface
from fabgate.collector.faces.pages import errors
from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.lists.sorting import Sorting
from fabgate.collector.ground.models import ApiKey
from fabgate.collector.members.accounts import manage
from fabgate.collector.money.billing import terms
from fabgate.errors import UsageError

#: Scope -> label.
SCOPES: Final = {
    interface.SESSIONS_READ: gettext_lazy("Read sessions and their corrections, with names"),
    interface.CHARGES_READ: gettext_lazy("Read charges and statements, with names and amounts"),
}
#: Scope -> what a program with it asks for first.
_FIRST: Final = {interface.SESSIONS_READ: "sessions?after=0", interface.CHARGES_READ: "charges?after=0"}
#: Validity in days -> label; "until it is revoked" is not the default.
LASTS: Final = [
    ("90", gettext_lazy("three months")),
    ("365", gettext_lazy("a year")),
    ("1095", gettext_lazy("three years")),
    ("", gettext_lazy("until it is revoked")),
]


class KeyForm(forms.Form):
    """A new key."""

    name = LineField(
        label=gettext_lazy("Program name"),
        max_length=120,
        help_text=gettext_lazy("Such as “Invoices (Dolibarr)”, so that everyone knows which program uses the key."),
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Permissions"),
        choices=list(SCOPES.items()),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": gettext_lazy("Choose at least one permission.")},
    )
    lasts = forms.ChoiceField(label=gettext_lazy("Valid for"), choices=LASTS, required=False, initial="365")

    def __init__(self, *args: Any, **named: Any) -> None:
        """Offer money only where there is some; never chosen beforehand."""
        super().__init__(*args, **named)
        self.fields["scopes"].initial = [interface.SESSIONS_READ]
        if terms.started() is None:
            offered = [(scope, label) for scope, label in SCOPES.items() if scope != interface.CHARGES_READ]
            cast("forms.MultipleChoiceField", self.fields["scopes"]).choices = offered


def keys(request: HttpRequest) -> HttpResponse:
    """List the keys; create one, whose token is shown in this response only."""
    form = KeyForm(request.POST if request.method == "POST" else None)
    shown: dict[str, Any] = {"form": form}
    status = 200 if request.method == "GET" else 400
    if request.method == "POST" and form.is_valid():
        if found := _make(request, form.cleaned_data):
            made, token = found
            asks = [_FIRST[scope] for scope in made.scopes]
            shown = {"form": KeyForm(), "made": made, "token": token, "asks": asks}
            status = 200
        else:
            text = _(
                "An active key with this name already exists; it was shown when it was created. Revoke it, or choose another name."
            )
            form.add_error("name", text)
            status = 409
    sorting = Sorting(request.GET, _SORTS)
    every = ApiKey.objects.select_related("made_by").order_by(_LIVING, "-created_at")
    rows = [_row(key) for key in every if not key.is_display]  # those have a page of their own
    shown |= {"keys": sorting.sorted(rows, _SORTS), "sorting": sorting}
    return render(request, "keys/keys.html", shown, status=status)


_LIVING: Final = F("revoked_at").asc(nulls_first=True)
#: Column -> its value, in the list of keys.
_SORTS: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    "program": lambda row: row["key"].name,
    "state": lambda row: ("works", "over", "revoked").index(row["state"]),
    "until": lambda row: row["key"].expires_at,
    "-used": lambda row: row["key"].last_used_at,
    "-created": lambda row: row["key"].created_at,
}


def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Revoke a key."""
    key = get_object_or_404(ApiKey, pk=pk)
    try:
        manage.revoke(key, actor=account_of(request).name)
    except UsageError:
        raise errors.Conflict(_("This key has already been revoked.")) from None
    messages.success(request, _("The key “%(name)s” no longer works.") % {"name": key.name})
    return see_other(reverse("accounts-keys"))


def _make(request: HttpRequest, typed: dict[str, Any]) -> tuple[ApiKey, str] | None:
    expires_at = timezone.now() + timedelta(days=int(typed["lasts"])) if typed["lasts"] else None
    return manage.make_key(typed["name"], typed["scopes"], made_by=account_of(request), expires_at=expires_at)


def _row(key: ApiKey) -> dict[str, Any]:
    is_over = key.expires_at is not None and key.expires_at <= timezone.now()
    state = "revoked" if key.revoked_at else "over" if is_over else "works"
    return {"key": key, "scopes": [SCOPES.get(scope, scope) for scope in key.scopes], "state": state}
