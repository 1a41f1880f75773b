"""The columns of a list, in English or French, and the values below them. Each error is reported with its line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from openpyxl.utils import get_column_letter

from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.members.people import names
from fabgate.collector.members.people.import_list.dates import DateReader, reader
from fabgate.collector.members.people.import_list.table import Missing, Table
from fabgate.errors import UsageError


@dataclass(frozen=True, slots=True)
class Mistake:
    """An error in a line; `also` is another line that has the same number or badge."""

    line: int
    text: str
    also: int | None = None

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a list may have."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    dated: tuple[str, ...]
    translated: Mapping[str, Mapping[str, str]]
    also: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Return all columns."""
        return (*self.required, *self.optional)

    def title(self, column: str) -> str:
        """Return a column's title in the reader's language."""
        return self.translated.get(get_language() or "", {}).get(column, column)

    def name(self, title: str) -> str:
        """Return the column with this title, or the title itself in the spelling that is compared."""
        spelled = _spelled(title)
        return self._accepted().get(spelled, spelled)

    def header(self, header: Sequence[str], problems: list[str]) -> list[str]:
        """Return the columns of a header; append its errors to `problems`."""
        columns: list[str] = []
        for number, cell in enumerate(header, 1):
            if isinstance(cell, Missing):
                problems.append(self.missing_value(get_column_letter(number), cell))
                continue
            name = self.name(cell)
            if name in columns:
                problems.append(_("the column '%(name)s' appears twice") % {"name": self.title(name)})
            elif name not in self.names:
                problems.append(self._unknown(cell))
            columns.append(name)
        if not any(isinstance(cell, Missing) for cell in header):
            problems += [self._absent(name) for name in self.required if name not in columns]
        return columns

    def header_and_dates(self, table: Table, dates: str) -> tuple[list[str], DateReader]:
        """Return the columns of a table, and how its dates are read. Raises UsageError with a line for each error.

        `dates` is one of dates.ORDERS, and only counts where the dates are ambiguous.
        """
        problems: list[str] = []
        columns = self.header(table.header, problems)
        if problems:
            raise UsageError("\n".join(_("line 1: %(problem)s") % {"problem": problem} for problem in problems))
        places = [place for place, column in enumerate(columns) if column in self.dated]
        cells = [cells[place] for _line, cells in table.rows for place in places if place < len(cells)]
        return columns, reader(cells, chosen=dates, epoch=table.epoch)

    def missing_value(self, column: str, cell: Missing) -> str:
        """Return the error for a cell without a value."""
        text = _("contains a formula without a value: open the file in a spreadsheet and save it, or type the value")
        if cell:
            text = _("contains the error %(found)s: fix it in a spreadsheet, or type the value")
        return self.mistake(column, text % {"found": names.shown(cell[:40])})

    def mistake(self, column: str, text: str) -> str:
        """Return an error about a column."""
        return f"{_('%(name)s:') % {'name': self.title(column)}} {text}"

    def records(self, table: Table, columns: Sequence[str], mistakes: list[Mistake]) -> Iterator[Record]:
        """Yield the rows of a table, and append an error for each that has too many or too few fields."""
        for line, cells in table.rows:
            if len(cells) != len(columns):
                mistakes.append(Mistake(line, _field_count(cells, columns, table.separator)))
                continue
            values = dict(zip(columns, cells, strict=True))
            missing = {name: cell for name, cell in values.items() if isinstance(cell, Missing)}
            mistakes += [Mistake(line, self.missing_value(name, cell)) for name, cell in missing.items()]
            yield Record(line, {name: "" if name in missing else values[name].strip() for name in columns}, {*missing})

    def _accepted(self) -> dict[str, str]:
        translated = {title: name for titles in self.translated.values() for name, title in titles.items()}
        return {_spelled(title): name for title, name in {**self.also, **translated}.items()}

    def _unknown(self, cell: str) -> str:
        near = difflib.get_close_matches(_spelled(cell), [*self.names, *self._accepted()], 1)
        text = _("unknown column '%(found)s'; did you mean '%(near)s'?")
        if not near:
            text = _("unknown column '%(found)s'; possible columns: %(wanted)s")
        values = {"found": names.shown(cell.strip()[:60]), "near": "".join(near)}
        return text % {**values, "wanted": ", ".join(map(self.title, self.names))}

    def _absent(self, column: str) -> str:
        text = _("the column '%(name)s' is missing; add it, and any of these that you need: %(others)s")
        return text % {"name": self.title(column), "others": ", ".join(map(self.title, self.optional))}


@dataclass(frozen=True, slots=True)
class Record:
    """The values of a row by column. The values of `missing` columns are empty, because their cells have no value."""

    line: int
    values: dict[str, str]
    missing: set[str]


def _spelled(title: str) -> str:
    """Return a title in lower case, without accents, and with one ``_`` for spaces and signs: ``n_adherent``."""
    return "_".join(re.findall(r"[^\W_]+", folded(title).casefold()))


def _field_count(cells: Sequence[str], columns: Sequence[str], separator: str) -> str:
    text = ngettext(
        "found %(found)d field, wanted %(wanted)d, one for each column; put a field that contains %(separator)s in quotes",
        "found %(found)d fields, wanted %(wanted)d, one for each column; put a field that contains"
        " %(separator)s in quotes",
        len(cells),
    )
    return text % {"found": len(cells), "wanted": len(columns), "separator": separator}


#: What lists call a member's number.
_NUMBERS: Final = dict.fromkeys(
    (
        *("member", "number", "no", "n°", "member_number", "member_no", "membership_number", "member_id"),
        *("membre", "numéro", "num", "adhérent", "numéro_adhérent", "numéro_d_adhérent", "num_adhérent"),
        *("no_adhérent", "n°_adhérent", "n°_d_adhérent", "numéro_de_membre", "numéro_membre", "n°_membre"),
        *("n°_de_membre", "id_adhérent", "identifiant_adhérent"),
    ),
    "id",
)
MEMBERS: Final = Columns(
    required=("id",),
    optional=(
        *("name", "first_name", "badges", "lang", "level", "valid_until", "machines"),
        *("email", "category", "plan", "payer", "minor", "joined_on"),
    ),
    dated=("valid_until", "joined_on"),
    translated={
        "fr": {
            "id": "identifiant",
            "name": "nom",
            "first_name": "prénom",
            "lang": "langue",
            "level": "niveau",
            "valid_until": "membre_jusqu_au",
            "email": "e_mail",
            "category": "catégorie",
            "plan": "formule",
            "payer": "payeur",
            "minor": "mineur",
            "joined_on": "membre_depuis",
        }
    },
    also={
        "abonnement": "plan",
        "badge": "badges",
        "courriel": "email",
        "expiration": "valid_until",
        "given_name": "first_name",
        "language": "lang",
        "last_name": "name",
        "machine": "machines",
        "mail": "email",
        "nom_de_famille": "name",
        "paid_by": "payer",
        "payé_par": "payer",
        "surname": "name",
        "valable_jusqu_au": "valid_until",
        "valide_jusqu_au": "valid_until",
        **_NUMBERS,
    },
)
TRAININGS: Final = Columns(
    required=("id", "training", "since"),
    optional=("stage", "until", "trainer"),
    dated=("since", "until"),
    translated={
        "fr": {
            "id": "identifiant",
            "training": "formation",
            "since": "depuis",
            "stage": "niveau",
            "until": "jusqu_au",
            "trainer": "formateur",
        }
    },
    also={
        "date": "since",
        "from": "since",
        "le": "since",
        **_NUMBERS,
    },
)


def of_header(header: Sequence[str]) -> Columns:
    """Return the columns of the kind of list that has this header: a list with a column `training` is one of trainings."""
    is_of_trainings = any(TRAININGS.name(cell) == "training" for cell in header if not isinstance(cell, Missing))
    return TRAININGS if is_of_trainings else MEMBERS
