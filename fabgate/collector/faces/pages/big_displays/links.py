"""The links of big displays: the list, making one, which is shown once, and revoking one."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages import errors
from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.ground.models import ApiKey
from fabgate.collector.members.accounts import manage
from fabgate.errors import UsageError

_LIVING: Final = F("revoked_at").asc(nulls_first=True)


class LinkForm(forms.Form):
    """A new link."""

    name = LineField(
        label=gettext_lazy("Location"),
        max_length=120,
        help_text=gettext_lazy("Such as “Screen at the entrance”."),
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    lang = forms.ChoiceField(label=gettext_lazy("Language"), choices=settings.LANGUAGES)
    names = forms.BooleanField(
        label=gettext_lazy("Show first names"),
        help_text=gettext_lazy("First names of the people at machines, and of supervisors. Surnames are never shown."),
        required=False,
        initial=True,
    )


def links(request: HttpRequest) -> HttpResponse:
    """List the links; make one, which is shown in this response only."""
    form = LinkForm(request.POST if request.method == "POST" else None, initial={"lang": get_language()})
    shown: dict[str, Any] = {"form": form}
    status = 200 if request.method == "GET" else 400
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data
        scopes = ApiKey.DISPLAY if typed["names"] else (ApiKey.MACHINES,)
        if found := manage.make_key(typed["name"], scopes, made_by=account_of(request)):
            made, token = found
            address = request.build_absolute_uri(reverse("display", args=[token]))
            shown = {"form": LinkForm(initial={"lang": typed["lang"]}), "made": made}
            shown["link"] = f"{address}?lang={typed['lang']}"
            status = 200
        else:
            text = _("A link or key with this name already exists and works. Revoke it, or choose another name.")
            form.add_error("name", text)
            status = 409
    every = ApiKey.objects.select_related("made_by").order_by(_LIVING, "-created_at")
    shown["links"] = [{"key": key, "has_names": ApiKey.FIRST_NAMES in key.scopes} for key in every if key.is_display]
    return render(request, "big_displays/links.html", shown, status=status)


def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Revoke a link: its displays go blank within seconds."""
    key = get_object_or_404(ApiKey, pk=pk)
    if not key.is_display:
        raise Http404
    try:
        manage.revoke(key, actor=account_of(request).name)
    except UsageError:
        raise errors.Conflict(_("This link has already been revoked.")) from None
    messages.success(request, _("The link “%(name)s” no longer works.") % {"name": key.name})
    return see_other(reverse("floor-displays"))
