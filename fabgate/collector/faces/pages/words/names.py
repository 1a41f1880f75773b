"""Names of people, groups and machines. Sessions store ids; pages and exports show names if known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from django.core.exceptions import ValidationError
from django.db.models import BigIntegerField, Case, ExpressionWrapper, F, When
from django.utils.translation import gettext as _

from fabgate import wire
from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.ground.models import Gate, Group, Machine, Member, Payer
from fabgate.collector.members.people.display_names import names_of, numbered, unique_names, unknown_name
from fabgate.collector.money.paper.figures import NOTHING

#: How many people are listed if a name matches several.
_MAX_LISTED: Final = 6
#: Where a session or a refusal was: the machine's id, or the negative id of a gate that had none.
PLACE: Final = Case(
    When(machine=None, then=ExpressionWrapper(F("gate_id") * -1, output_field=BigIntegerField())),
    default=F("machine_id"),
    output_field=BigIntegerField(),
)


class Names:
    """The names of people, groups and organisations by id: of all, or `only` of some.

    With `are_apart`, people who share a name are shown with their number.
    """

    def __init__(self, only: Iterable[str | None] | None = None, *, are_apart: bool = False) -> None:
        self._has_all = only is None
        if only is None:
            self._names = Member.names() | _groups() | _organisations()
        else:
            look_up = unique_names if are_apart else names_of
            self._names = {key: str(who) for key, who in look_up(filter(None, only)).items()}

    def __getitem__(self, who: str | None) -> str:
        """Return a name; the id if no name is known, a dash for an empty id."""
        if not who:
            return NOTHING
        if who not in self._names:
            # an export may have thousands of unknown ids, so they are not looked up one by one
            self._names[who] = str(unknown_name(who) if self._has_all else names_of([who])[who])
        return self._names[who]


def find(
    typed: str, *, members: bool = True, groups: bool = True, organisations: bool = False
) -> list[tuple[str, str]]:
    """Return (id, name) pairs that match: an exact id or name, or else names that contain every word.

    "Name (id)", as pages show people who share a name, matches that id. Accents and case are ignored. `members`,
    `groups` and `organisations` are what is searched.
    """
    typed, key = typed.strip(), folded(typed)
    others = sorted((_groups() if groups else {}).items())
    others += sorted((_organisations() if organisations else {}).items())
    people = (Member.objects if members else Member.objects.none()).order_by("name", "id").values_list("id", "name")
    for who, name in [*people.filter(pk__in={typed, _id_behind(typed)}), *others]:
        if typed == who or key == folded(numbered(name, who)):
            return [(who, name or who)]
    if not key:
        return []
    exact = [*people.filter(folded=key), *(one for one in others if folded(one[1]) == key)]
    if exact:
        return exact
    for part in key.split():
        people = people.filter(folded__contains=part)
    matching = [one for one in others if all(part in folded(one[1]) for part in key.split())]
    return [*people[: _MAX_LISTED + 1], *matching]


def by_number(typed: Iterable[str]) -> dict[str, Member]:
    """Return the member for each text that is an id or "Name (id)"; other texts are left out.

    It is like ``find``, for many texts at once.
    """
    ids = {text: _id_behind(text) for text in typed}
    members = Member.objects.in_bulk({*ids, *ids.values()})
    matched = {}
    for text, behind in ids.items():
        if text in members:
            matched[text] = members[text]
        elif behind in members and folded(text) == folded(numbered(members[behind].name, behind)):
            matched[text] = members[behind]
    return matched


class Several(ValidationError):  # noqa: N818 (it names what happened)
    """More than one person matches: `matches`, as (id, name)."""

    def __init__(self, matches: list[tuple[str, str]]) -> None:
        self.matches = matches[:_MAX_LISTED]
        some = ", ".join(numbered(name, who) for who, name in self.matches)
        more = " …" if len(matches) > _MAX_LISTED else ""
        super().__init__(_("Several people match: %(some)s%(more)s.") % {"some": some, "more": more})


def resolve(typed: str, *, organisations: bool = False) -> str:
    """Return the id of the one person who matches. Raises ValidationError for none, Several for more than one."""
    matches = find(typed, organisations=organisations)
    if not matches:
        raise ValidationError(_("No one is called “%(typed)s”.") % {"typed": typed})
    if len(matches) > 1:
        raise Several(matches)
    return matches[0][0]


def people(ids: Iterable[str]) -> dict[str, str]:
    """Return the name of each person, group or organisation."""
    return {id_: str(who) for id_, who in names_of(ids).items()}


def places(found: Iterable[int]) -> dict[int, str]:
    """Return the name of each place, which is a machine or a gate without one."""
    named = {machine.pk: str(machine) for machine in Machine.objects.only("name", "title")}
    gates = Gate.objects.filter(pk__in=[-place for place in found if place < 0])
    return named | {-gate.pk: str(gate) for gate in gates}


def of_gates(gates: Sequence[str]) -> list[str]:
    """Return for each gate, by name, the machine by which people know it; the gate's own name without one."""
    rows = Gate.objects.filter(name__in=gates).select_related("machine")
    named = {gate.name: str(gate.machine or gate) for gate in rows}
    return [named.get(gate, gate) for gate in gates]


def machines() -> dict[int, str]:
    """Return the title of each machine by id, followed by its name if another machine has the same title."""
    return titles(Machine.objects.only("name", "title"))


def titles(machines: Iterable[Machine]) -> dict[int, str]:
    """Return the same for these `machines`, in their order."""
    rows = list(machines)
    times = Counter(map(str, rows))
    return {row.pk: str(row) if times[str(row)] == 1 else numbered(str(row), row.name) for row in rows}


def _id_behind(typed: str) -> str:
    return typed.rpartition("(")[2].removesuffix(")")


def _groups() -> dict[str, str]:
    return {f"{wire.GROUP_PREFIX}{pk}": name for pk, name in Group.objects.values_list("id", "name")}


def _organisations() -> dict[str, str]:
    return dict(Payer.organisations().values_list("pk", "name"))
