"""Reads one row of a list of members, strictly: wrong values are errors with their line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from fabgate import badge
from fabgate.collector.ground.base.environ import LANGS
from fabgate.collector.ground.models import Member, Plan
from fabgate.collector.ground.models.people import RESERVED_PREFIXES
from fabgate.collector.members.people import names
from fabgate.collector.members.people.import_list.columns import MEMBERS, Mistake
from fabgate.collector.members.people.import_list.dates import MONTH_FIRST, DateReader
from fabgate.days import FIRST, LAST, UnlikelyDay
from fabgate.errors import UsageError

_YES: Final = frozenset({"1", "x", "yes", "y", "true", "oui", "o", "vrai"})
_NO: Final = frozenset({"", "0", "no", "n", "false", "non", "faux"})
#: The most characters that the database stores.
_LONGEST: Final = {"name": 120, "category": 60, "plan": Plan.LONGEST_NAME}


@dataclass
class ImportedMember:
    """One member of the file. Fields without a column keep their defaults here and are not stored."""

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
    #: The name of a plan, or "".
    plan: str = ""
    #: The payer's id; None if the member pays.
    payer_id: str | None = None
    minor: bool = False
    joined_on: date | None = None


def parse_row(line: int, values: dict[str, str], dates: DateReader, mistakes: list[Mistake]) -> ImportedMember:
    """Return the member of a line; append its errors to `mistakes`."""
    row = ImportedMember(line, values["id"], machines=_parts(values.get("machines", "")), email=values.get("email", ""))
    row.lang = values.get("lang", "").lower() or settings.ENVIRONMENT.lang
    row.level = values.get("level", "").lower() or row.level
    row.minor = values.get("minor", "").casefold() in _YES
    row.payer_id = values["payer"] if values.get("payer") not in (None, "", row.id) else None

    def wrong(column: str, text: str, **named: object) -> None:
        column = column if column in values else "first_name"  # a list without surnames
        filled = text % {"found": names.shown(values[column][:40]), **named}
        mistakes.append(Mistake(line, MEMBERS.mistake(column, filled)))

    if not 0 < len(row.id) <= 64:
        empty = _("found nothing, wanted 1 to 64 characters")
        wrong("id", _("found '%(found)s', wanted 1 to 64 characters") if row.id else empty)
    elif row.id.startswith(RESERVED_PREFIXES):
        text = _(
            "found '%(found)s', which is reserved for groups, organisations and emergency badges; use another number"
        )
        wrong("id", text)
    if row.email and not _is_email(row.email):
        wrong("email", _("found '%(found)s', wanted an e-mail address or nothing"))
    for column, wanted in (("lang", LANGS), ("level", Member.LEVELS)):
        if getattr(row, column) not in wanted:
            wrong(column, _("found '%(found)s', wanted one of %(wanted)s"), wanted=", ".join(wanted))
    if values.get("minor", "").casefold() not in _YES | _NO:
        wrong("minor", _("found '%(found)s', wanted yes or no"))
    _texts(row, values, wrong)
    _days(row, values, dates, wrong)
    for spelling in _parts(values.get("badges", "")):
        try:
            row.badges.append(badge.parse(spelling))
        except UsageError as error:
            mistakes.append(Mistake(line, MEMBERS.mistake("badges", _why_not(spelling, error))))
    return row


def _texts(row: ImportedMember, values: dict[str, str], wrong: Callable[..., None]) -> None:
    lines = {column: names.line(values.get(column, "")) for column in _LONGEST}
    if first_name := names.line(values.get("first_name", "")):
        lines["name"] = f"{first_name} {lines['name']}".strip()
    for column, text in {"id": row.id, **lines}.items():
        if sign := names.unseen(text):
            wrong(column, _("found the invisible character %(sign)s; type the text instead of pasting it"), sign=sign)
    for column, longest in _LONGEST.items():
        setattr(row, column, lines[column])
        if len(lines[column]) > longest:
            wrong(column, _("found '%(found)s…', wanted at most %(most)d characters"), most=longest)


def _days(row: ImportedMember, values: dict[str, str], dates: DateReader, wrong: Callable[..., None]) -> None:
    for column in MEMBERS.dated:
        try:
            setattr(row, column, dates.read(values[column]) if values.get(column) else None)
        except ValueError as error:
            text, named = wanted_date(dates, error)
            wrong(column, text, **named)


def wanted_date(dates: DateReader, error: ValueError) -> tuple[str, dict[str, object]]:
    """Return the text for an error of `dates`, with ``%(found)s``, and its other values."""
    if isinstance(error, UnlikelyDay) and error.meant is not None:
        text = _("found '%(found)s', which would be in the year %(year)s; did you mean %(meant)s?")
        return text, {"year": f"{error.day.year:04}", "meant": dates.written(error.meant)}
    if isinstance(error, UnlikelyDay):
        text = _("found '%(found)s', wanted a day from %(first)s to %(last)s; leave the cell empty for no end")
        return text, {"first": FIRST, "last": LAST}
    if dates.order == MONTH_FIRST:
        return _("found '%(found)s', wanted a date such as 2026-12-31, or 12/31/2026 as in the other rows"), {}
    return _("found '%(found)s', wanted a date such as 2026-12-31 or 31/12/2026"), {}


def _why_not(spelling: str, error: UsageError) -> str:
    """Return the error for text that is not a badge."""
    named = {"found": names.shown(spelling[:40])}
    if isinstance(error, badge.RandomUidError):
        text = _("%(found)s is a random UID: a phone, or a card that sends a new number each time; use another card")
        return text % named
    if isinstance(error, badge.AmbiguousError):
        ways = " / ".join(one for one, _reading, _card in error.readings)
        text = _("'%(found)s' could mean several cards: write one of %(ways)s")
        return text % {**named, "ways": ways}
    text = _("found '%(found)s', wanted a badge such as 04:A1:B2:C3, with all 8, 14 or 20 digits")
    if example := badge.example(spelling):
        text = _("found '%(found)s', wanted a badge with all its digits, such as %(example)s")
    return text % {**named, "example": example}


def _is_email(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= 254


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]
