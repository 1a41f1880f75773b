"""A form field for choosing a payer: a member or an organisation, by number or name."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages.forms.member_field import LONGEST
from fabgate.collector.faces.pages.words.names import Several, find
from fabgate.collector.ground.models import Payer
from fabgate.collector.members.people.display_names import numbered
from fabgate.collector.money.billing.paying import payers


class PayerField(forms.CharField):
    """A payer, which may not be stored yet; None if the field is empty."""

    def __init__(self, **more: Any) -> None:
        super().__init__(max_length=LONGEST, required=False, **more)

    def clean(self, value: Any) -> Payer | None:
        """Return the payer. Raises ValidationError like `find_payer`."""
        typed = str(super().clean(value)).strip()
        return find_payer(typed) if typed else None


def payer_text(payer: Payer | None) -> str:
    """Return the text that a form shows for a payer: name and number."""
    if payer is None:
        return ""
    return payer.pk if str(payer) == payer.pk else numbered(str(payer), payer.pk)


def find_payer(typed: str) -> Payer:
    """Return the member or organisation with this number or name.

    Raises ValidationError if none or several match, or if it is an organisation that ended.
    """
    found = find(typed, groups=False, organisations=True)
    if len(found) > 1:
        raise Several(found)
    payer = payers.get(found[0][0]) if found else None
    if payer is None:
        text = _("No member or organisation has the number or the name “%(typed)s”.")
        if find(typed, members=False):
            text = _("“%(typed)s” is a group, and a group pays only for itself. Enter a member or an organisation.")
        raise forms.ValidationError(text % {"typed": typed[:64]})
    if payer.ended_on is not None:
        raise forms.ValidationError(str(payers.Ended(payer)))
    return payer
