"""Which member is meant by what somebody types into a form: by their number, or by their name?"""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _

from fabgate.collector.models import Member
from fabgate.collector.pages.use.names import Several, find
from fabgate.collector.people.display_names import numbered

#: Letters of a name with its number behind it.
LONGEST: Final = 330


class MemberField(forms.CharField):
    """A member, or nobody where it is left empty."""

    def __init__(self, **more: Any) -> None:
        super().__init__(max_length=LONGEST, required=False, **more)

    def clean(self, value: Any) -> Member | None:
        """Return who is meant. Raises ValidationError as ``meant`` does."""
        typed = str(super().clean(value)).strip()
        return meant(typed) if typed else None


def written(member: Member | None) -> str:
    """Return what stands in a form for somebody who is in it: the name, and the number by which they are meant."""
    if member is None:
        return ""
    return numbered(member.name, member.pk) if member.name else member.pk


def meant(typed: str) -> Member:
    """Return the member who is meant (names.find). Raises ValidationError: nobody, or several."""
    found = find(typed, groups=False)
    if not found:
        raise forms.ValidationError(_("No member has the number or the name “%(typed)s”.") % {"typed": typed[:64]})
    if len(found) > 1:
        raise Several(found)
    return Member.objects.get(pk=found[0][0])
