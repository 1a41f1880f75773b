"""Names values that the collector never writes: text in a column of dates, 7 in one that is true or false.

SQLite stores any value in any column. What Python cannot read, Django returns as NULL or as false, so a comparison of values
does not see it, but queries do. PostgreSQL checks types; only dates that Python does not have remain.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from django.apps import apps
from django.db import connection, models

from fabgate.collector.ground.db import audit
from fabgate.collector.processes.verify import guard
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.snapshot import PAGE

_TEXT: Final = "typeof({0}) <> 'text'"
_INTEGER: Final = "typeof({0}) <> 'integer'"
_CLOCK: Final = (
    "strftime('{1}', substr({0}, 1, {2})) IS NOT substr({0}, 1, {2})"
    " OR (length({0}) <> {2} AND (length({0}) <> {2} + 7 OR substr({0}, {2} + 1) NOT GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]'))"
)
#: Type of a field → what is wrong with a stored value, as SQL, and what is wanted.
_SQLITE: Final[dict[type[models.Field[Any, Any]], tuple[str, str]]] = {
    models.BooleanField: (f"{_INTEGER} OR {{0}} NOT IN (0, 1)", "0 or 1"),
    models.IntegerField: (_INTEGER, "a whole number"),
    models.DecimalField: ("typeof({0}) NOT IN ('integer', 'real')", "a number"),
    models.DateTimeField: (
        f"{_TEXT} OR {{0}} < '0001' OR {_CLOCK.replace('{1}', '%Y-%m-%d %H:%M:%S').replace('{2}', '19')}",
        "a date and time in UTC",
    ),
    models.DateField: (f"{_TEXT} OR {{0}} < '0001' OR date({{0}}) IS NOT {{0}}", "a date"),
    models.TimeField: (f"{_TEXT} OR {_CLOCK.replace('{1}', '%H:%M:%S').replace('{2}', '8')}", "a time"),
    models.JSONField: (f"{_TEXT} OR NOT json_valid({{0}})", "JSON"),
    models.BinaryField: ("typeof({0}) <> 'blob'", "bytes"),
    models.CharField: (_TEXT, "a text"),
    models.TextField: (_TEXT, "a text"),
}
_POSTGRESQL: Final[dict[type[models.Field[Any, Any]], tuple[str, str]]] = {
    models.DateTimeField: (
        "{0} < '0001-01-01 00:00+00' OR {0} >= '10000-01-01 00:00+00'",
        "a date between the years 1 and 9999",
    ),
    models.DateField: ("{0} < '0001-01-01' OR {0} >= '10000-01-01'", "a date between the years 1 and 9999"),
}


def check(report: Report) -> None:
    """Check every column of every table."""
    for model in apps.get_app_config("collector").get_models(include_auto_created=True):
        owner = model._meta.auto_created or model  # noqa: SLF001 (Django's name for it)
        assert isinstance(owner, type)
        guard.carry_out(report, owner.__name__.lower(), partial(_check, report, model, owner))


def _check(report: Report, model: type[models.Model], owner: type[models.Model]) -> None:
    found = list(_conditions(model))
    if not found:
        return
    meta = model._meta  # noqa: SLF001 (as above)
    hidden = {*audit.SECRETS, *getattr(model, "ERASABLE", ())}
    column = "name" if audit.has_own_name(model) else meta.pk.column
    as_text = "hex(quote({}))" if connection.vendor == "sqlite" else "CAST({} AS text)"
    values = [
        f"CASE WHEN {condition} THEN {as_text.format(_quoted(str(field.column)))} END"
        for field, condition, _wanted in found
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {as_text.format(_quoted(str(column)))}, {', '.join(values)} FROM {meta.db_table}"  # noqa: S608
            f" WHERE {' OR '.join(condition for _field, condition, _wanted in found)}"
        )
        while page := cursor.fetchmany(PAGE):
            for name, *texts in page:
                row = _plain(name) if owner is model else f"{meta.db_table}/{_plain(name)}"
                for (field, _condition, wanted), text in zip(found, texts, strict=True):
                    if text is not None:
                        shown = None if field.name in hidden else _plain(text)
                        report.changed(owner.__name__.lower(), row, field.attname, shown, wanted)


def _conditions(model: type[models.Model]) -> Iterator[tuple[models.Field[Any, Any], str, str]]:
    """Yield each column that can have a wrong value, the condition for that as SQL, and what is wanted."""
    known = _SQLITE if connection.vendor == "sqlite" else _POSTGRESQL
    for field in model._meta.concrete_fields:  # noqa: SLF001 (as above)
        if getattr(field, "generated", False):
            continue
        plain: Any = field
        while plain.remote_field is not None:
            plain = plain.target_field
        for kind, (condition, wanted) in known.items():
            if isinstance(plain, kind):
                name = _quoted(str(field.column))
                yield field, f"({name} IS NOT NULL AND ({condition.replace('{0}', name)}))", wanted
                break


def _quoted(column: str) -> str:
    return connection.ops.quote_name(column)


def _plain(text: str | None) -> str:
    """Return a value that was read as text; without the quotes of SQLite, and in hexadecimal digits, since it may not be UTF-8."""
    if text is None:
        return ""
    if connection.vendor == "sqlite":
        text = bytes.fromhex(text).decode("utf-8", "backslashreplace")
    return text[1:-1].replace("''", "'") if text.startswith("'") and text.endswith("'") else text
