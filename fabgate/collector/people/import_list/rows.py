"""What does one line of a members' file say? Its cells by column, read strictly: nothing is ever guessed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from openpyxl.utils import get_column_letter

from fabgate import badge, wire
from fabgate.collector.base.environ import LANGS
from fabgate.collector.models import Member
from fabgate.collector.people import names
from fabgate.collector.people.import_list.table import Missing
from fabgate.errors import UsageError

COLUMNS: Final = (
    *("id", "name", "badges", "lang", "level", "valid_until", "machines"),
    *("email", "category", "plan", "payer", "minor", "joined_on"),
)
#: What the columns are called in other languages; one that is not here is called the same there.
COLUMNS_IN: Final[Mapping[str, Mapping[str, str]]] = {
    "fr": {
        "id": "identifiant",
        "name": "nom",
        "lang": "langue",
        "level": "niveau",
        "valid_until": "valable_jusqu_au",
        "email": "courriel",
        "category": "catégorie",
        "plan": "formule",
        "payer": "payeur",
        "minor": "mineur",
        "joined_on": "membre_depuis",
    }
}
#: What else people call the columns.
_ALSO: Final = {
    "abonnement": "plan",
    "badge": "badges",
    "categorie": "category",
    "e-mail": "email",
    "e_mail": "email",
    "expiration": "valid_until",
    "language": "lang",
    "machine": "machines",
    "mail": "email",
    "paid_by": "payer",
    "payé_par": "payer",
    "valide_jusqu_au": "valid_until",
    **{said: name for names in COLUMNS_IN.values() for name, said in names.items()},
}
_YES: Final = frozenset({"1", "x", "yes", "y", "true", "oui", "o", "vrai"})
_NO: Final = frozenset({"", "0", "no", "n", "false", "non", "faux"})
#: The longest that the database keeps.
_LONGEST: Final = {"name": 120, "category": 60, "plan": 60}


@dataclass
class Row:
    """One member as the file has them; what is in no column of the file is empty here, and not to be stored."""

    line: int
    id: str
    name: str = ""
    lang: str = "en"
    level: str = "user"
    valid_until: date | None = None
    badges: list[badge.Badge] = field(default_factory=list)
    machines: list[str] = field(default_factory=list)
    email: str = ""
    category: str = ""
    plan: str = ""
    #: Who pays for them; None: they themselves.
    payer_id: str | None = None
    minor: bool = False
    joined_on: date | None = None


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a line; `also` is the line with which it has something in common that only one can have."""

    line: int
    text: str
    also: int | None = None

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


def called(column: str) -> str:
    """Return what a column is called in the language of whoever reads that."""
    return COLUMNS_IN.get(get_language() or "", {}).get(column, column)


def columns_of(header: Sequence[str], problems: list[str]) -> list[str]:
    """Return what each column is called here; add what is wrong with the header to `problems`."""
    columns = []
    for number, cell in enumerate(header, 1):
        if isinstance(cell, Missing):
            problems.append(no_value(get_column_letter(number), cell))
            continue
        spelled = "_".join(cell.strip().casefold().replace("'", " ").replace("\u2019", " ").split())
        name = _ALSO.get(spelled, spelled)
        if name in columns:
            problems.append(_("the column '%(name)s' is there twice") % {"name": called(name)})
        elif name not in COLUMNS:
            near = difflib.get_close_matches(spelled, [*COLUMNS, *_ALSO], 1)
            text = _("found the column '%(found)s'; did you mean '%(near)s'?")
            if not near:
                text = _("found the column '%(found)s'; wanted only %(wanted)s")
            said = {"found": names.shown(cell.strip()[:60]), "near": "".join(near)}
            problems.append(text % {**said, "wanted": ", ".join(map(called, COLUMNS))})
        columns.append(name)
    if "id" not in columns and not any(isinstance(cell, Missing) for cell in header):
        text = _("the column '%(name)s' is missing; wanted it, and of %(others)s what is to change")
        problems.append(text % {"name": called("id"), "others": ", ".join(map(called, COLUMNS[1:]))})
    return columns


def no_value(column: str, cell: Missing) -> str:
    """Return what is wrong with a cell that holds no value."""
    text = _("holds a formula without a value: open the file in a spreadsheet and save it, or type the value")
    if cell:
        text = _("holds the error %(found)s: mend it in a spreadsheet, or type the value")
    return f"{_('%(name)s:') % {'name': called(column)}} {text % {'found': names.shown(cell[:40])}}"


def row_of(line: int, values: dict[str, str], mistakes: list[Mistake]) -> Row:
    """Return what a line says of a member; add what is wrong with it to `mistakes`."""
    row = Row(line, values["id"], machines=_parts(values.get("machines", "")), email=values.get("email", ""))
    row.lang = values.get("lang", "").lower() or settings.ENVIRONMENT.lang
    row.level = values.get("level", "").lower() or row.level
    row.minor = values.get("minor", "").casefold() in _YES
    row.payer_id = values["payer"] if values.get("payer") not in (None, "", row.id) else None

    def wrong(column: str, text: str, **said: object) -> None:
        told = text % {"found": names.shown(values[column][:40]), **said}
        mistakes.append(Mistake(line, f"{_('%(name)s:') % {'name': called(column)}} {told}"))

    if not 0 < len(row.id) <= 64:
        empty = _("found nothing, wanted 1 to 64 characters")
        wrong("id", _("found '%(found)s', wanted 1 to 64 characters") if row.id else empty)
    elif row.id.startswith((wire.GROUP_PREFIX, "emergency:")):
        wrong("id", _("found '%(found)s', which would be taken for a group's or an emergency badge's"))
    if row.email and not _is_email(row.email):
        wrong("email", _("found '%(found)s', wanted an e-mail address or nothing"))
    for column, wanted in (("lang", LANGS), ("level", Member.LEVELS)):
        if getattr(row, column) not in wanted:
            wrong(column, _("found '%(found)s', wanted one of %(wanted)s"), wanted=", ".join(wanted))
    if values.get("minor", "").casefold() not in _YES | _NO:
        wrong("minor", _("found '%(found)s', wanted yes or no"))
    _texts(row, values, wrong)
    _days(row, values, wrong)
    for spelling in _parts(values.get("badges", "")):
        try:
            row.badges.append(badge.parse(spelling))
        except UsageError as error:
            mistakes.append(Mistake(line, f"{_('%(name)s:') % {'name': called('badges')}} {_why_not(spelling, error)}"))
    return row


def _texts(row: Row, values: dict[str, str], wrong: Callable[..., None]) -> None:
    lines = {column: names.line(values.get(column, "")) for column in _LONGEST}
    for column, text in {"id": row.id, **lines}.items():
        if sign := names.unseen(text):
            wrong(column, _("found %(sign)s, a sign that nobody sees; type it instead of copying it"), sign=sign)
    for column, longest in _LONGEST.items():
        setattr(row, column, lines[column])
        if len(lines[column]) > longest:
            wrong(column, _("found '%(found)s…', wanted at most %(most)d characters"), most=longest)


def _days(row: Row, values: dict[str, str], wrong: Callable[..., None]) -> None:
    for column in ("valid_until", "joined_on"):
        try:
            setattr(row, column, date.fromisoformat(values[column]) if values.get(column) else None)
        except ValueError:
            # 01/03/2027 is a day in March or in January: never guessed.
            wrong(column, _("found '%(found)s', wanted year-month-day, such as 2027-03-01"))


def _why_not(spelling: str, error: UsageError) -> str:
    """Return why something is no badge."""
    said = {"found": names.shown(spelling[:40])}
    if isinstance(error, badge.RandomUidError):
        text = _("%(found)s is a random UID: a phone, or a card that makes up a new one each time; use another card")
        return text % said
    if isinstance(error, badge.AmbiguousError):
        ways = " / ".join(one for one, _reading, _card in error.readings)
        text = _("'%(found)s' is a number, and a number can be two different cards: write one of %(ways)s")
        return text % {**said, "ways": ways}
    return _("'%(found)s' is no badge: wanted such as 04:A1:B2:C3, with all 8, 14 or 20 digits") % said


def _is_email(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= 254


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]
