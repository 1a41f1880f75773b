"""A form field for choosing a member by number or name."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages.words.names import Several, find
from fabgate.collector.ground.models import Member
from fabgate.collector.members.people.display_names import numbered

#: Characters of a name followed by its number.
LONGEST: Final = 330


class MemberField(forms.CharField):
    """A member; None if the field is empty."""

    def __init__(self, **more: Any) -> None:
        super().__init__(max_length=LONGEST, required=False, **more)

    def clean(self, value: Any) -> Member | None:
        """Return the member. Raises ValidationError like `find_member`."""
        typed = str(super().clean(value)).strip()
        return find_member(typed) if typed else None


def member_text(member: Member | None) -> str:
    """Return the text that a form shows for a member: name and number."""
    if member is None:
        return ""
    return numbered(member.name, member.pk) if member.name else member.pk


def find_member(typed: str) -> Member:
    """Return the member with this number or name. Raises ValidationError if no member or several members match."""
    found = find(typed, groups=False)
    if not found:
        raise forms.ValidationError(_("No member has the number or the name “%(typed)s”.") % {"typed": typed[:64]})
    if len(found) > 1:
        raise Several(found)
    return Member.objects.get(pk=found[0][0])
