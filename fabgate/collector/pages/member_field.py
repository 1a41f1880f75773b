"""Which member is meant by what somebody types into a form: by their number, or by their name?"""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _

from fabgate.collector.fold import folded
from fabgate.collector.models import Member
from fabgate.collector.pages.who import numbered

#: Letters of a name with its number behind it.
LONGEST: Final = 330
#: So many are named where a name fits several.
_NAMED: Final = 6


class MemberField(forms.CharField):
    """A member, or nobody where it is left empty."""

    def __init__(self, **more: Any) -> None:
        super().__init__(max_length=LONGEST, required=False, **more)

    def clean(self, value: Any) -> Member | None:
        """Return who is meant. Raises ValidationError as ``meant`` does."""
        typed = str(super().clean(value)).strip()
        return meant(typed) if typed else None


def meant(typed: str) -> Member:
    """Return the member with that number; or with that whole name, without accents too; or whose name alone fits.

    A name with its number behind it, as pages show it, is that one's. Raises ValidationError: nobody, or several.
    """
    wanted, number = folded(typed), typed.rpartition("(")[2].removesuffix(")")
    for one in Member.objects.filter(pk__in={typed, number}):
        if typed == one.pk or wanted == folded(numbered(one.name, one.pk)):
            return one
    found = list(Member.objects.filter(folded=wanted).exclude(folded="")[: _NAMED + 1])
    if not found and wanted:
        rows = Member.objects.order_by("folded", "pk")
        for part in wanted.split():
            rows = rows.filter(folded__contains=part)
        found = list(rows[: _NAMED + 1])
    if not found:
        raise forms.ValidationError(_("No member has the number or the name “%(typed)s”.") % {"typed": typed[:64]})
    if len(found) > 1:
        some = ", ".join(numbered(one.name, one.pk) for one in found[:_NAMED])
        more = " …" if len(found) > _NAMED else ""
        raise forms.ValidationError(_("Whom of these: %(some)s%(more)s?") % {"some": some, "more": more})
    return found[0]
