"""What are people called? Sessions keep ids; a page and an export show names, and an id only where none is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from fabgate import wire
from fabgate.collector.base.search_key import folded
from fabgate.collector.models import Group, Machine, Member
from fabgate.collector.pages.formatting import NOTHING
from fabgate.collector.people.display_names import called, numbered, told_apart, unlisted

#: So many people are named where a name fits several.
_NAMED: Final = 6


class Names:
    """The names of people and groups, by what sessions call them: of everybody, or of those who are asked for.

    Those who are asked for can be told from others of their name: then it has their number beside it.
    """

    def __init__(self, only: Iterable[str | None] | None = None, *, are_apart: bool = False) -> None:
        self._has_all = only is None
        if only is None:
            self._found = Member.names() | _groups()
        else:
            look_up = told_apart if are_apart else called
            self._found = {one: str(found) for one, found in look_up(filter(None, only)).items()}

    def __getitem__(self, who: str | None) -> str:
        """Return what somebody is called; their id where nobody says, a dash for nobody."""
        if not who:
            return NOTHING
        if who not in self._found:
            # A file may be of thousands of whom only a number is known: they are not asked for one by one.
            self._found[who] = str(unlisted(who) if self._has_all else called([who])[who])
        return self._found[who]


def find(typed: str, *, groups: bool = True) -> list[tuple[str, str]]:
    """Return (id, name) of who may be meant: the one with that id or that whole name, or else some whose name fits.

    A name with its id behind it, as pages show it where others have that name too, is that one's. Accents and capitals
    may be missing. `groups`: whether one of these may be meant too.
    """
    typed, wanted = typed.strip(), folded(typed)
    others = sorted(_groups().items()) if groups else []
    members = Member.objects.order_by("name", "id").values_list("id", "name")
    for who, name in [*members.filter(pk__in={typed, _id_behind(typed)}), *others]:
        if typed == who or wanted == folded(numbered(name, who)):
            return [(who, name or who)]
    if not wanted:
        return []
    exact = [*members.filter(folded=wanted), *(one for one in others if folded(one[1]) == wanted)]
    if exact:
        return exact
    for part in wanted.split():
        members = members.filter(folded__contains=part)
    fitting = [one for one in others if all(part in folded(one[1]) for part in wanted.split())]
    return [*members[: _NAMED + 1], *fitting]


def by_number(typed: Iterable[str]) -> dict[str, Member]:
    """Return who is meant by each of these that is a number, or a name with its number behind it; the others left out.

    As ``find`` has it, of many at once.
    """
    ids = {one: _id_behind(one) for one in typed}
    members = Member.objects.in_bulk({*ids, *ids.values()})
    found = {}
    for one, behind in ids.items():
        if one in members:
            found[one] = members[one]
        elif behind in members and folded(one) == folded(numbered(members[behind].name, behind)):
            found[one] = members[behind]
    return found


class Several(ValidationError):  # noqa: N818 (it names what happened)
    """More than one person may be meant: `found`, as ids and names."""

    def __init__(self, found: list[tuple[str, str]]) -> None:
        self.found = found[:_NAMED]
        some = ", ".join(numbered(name, who) for who, name in self.found)
        more = " …" if len(found) > _NAMED else ""
        super().__init__(_("Whom of these: %(some)s%(more)s?") % {"some": some, "more": more})


def one(typed: str) -> str:
    """Return the id of the one person who is meant. Raises ValidationError: nobody, or several."""
    found = find(typed)
    if not found:
        raise ValidationError(_("Nobody is called “%(typed)s”.") % {"typed": typed})
    if len(found) > 1:
        raise Several(found)
    return found[0][0]


def machines() -> dict[int, str]:
    """Return what each machine is called, by its row: its title, and its name behind one that another has too."""
    return titles(Machine.objects.only("name", "title"))


def titles(machines: Iterable[Machine]) -> dict[int, str]:
    """Return what each of all `machines` is called, in their order."""
    rows = list(machines)
    times = Counter(map(str, rows))
    return {row.pk: str(row) if times[str(row)] == 1 else numbered(str(row), row.name) for row in rows}


def _id_behind(typed: str) -> str:
    return typed.rpartition("(")[2].removesuffix(")")


def _groups() -> dict[str, str]:
    return {f"{wire.GROUP_PREFIX}{pk}": name for pk, name in Group.objects.values_list("id", "name")}
