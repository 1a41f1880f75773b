"""Writes changes to the audit log. Pages, commands and the API all use it.

    with audit.change(actor, "member.updated", member, reason="moved house") as change:
        member.save()
        change.rosters = roster.versions(roster.rebuild(only_changed=True))

The entry compares the database before and after the block; if nothing changed, none is written. The change and its
entry are stored in one transaction. Entries are numbered and sealed (db/chains.py).
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from operator import itemgetter
from typing import Any, Final

from django.db import models, transaction
from django.db.models.options import Options

from fabgate.collector.db import bulk, chains, pulse, statements
from fabgate.collector.models import Change, Pulse

_CHANGE = """
INSERT INTO collector_change (at, actor, verb, kind, key, before, after, reason, rosters, number, seal)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
#: at, actor, verb, kind, key, before, after, reason, rosters (chains.CHANGES)
_Row = tuple[datetime, str, str, str, str, dict[str, Any], dict[str, Any], str, dict[str, Any]]

#: The stored values of objects, by id.
_Stored = Mapping[Any, Mapping[str, Any]]
#: Fields that are not logged: secrets, hashes of secrets, and derived values.
_NOT_LOGGED: Final = frozenset({"password", "token_hash", "digest", "roster_version", "folded"})


#: Actors that are not people: the worker, and a process that starts. No account has these names.
WORKER: Final = "worker"
START: Final = "start"
#: The verb of a restore from a copy (processes/restored_database.py).
RESTORED: Final = "collector.restored"
#: Prefix of an actor at the command line; no account's name has it.
CLI: Final = "cli:"


def cli_actor(named: str | None) -> str:
    """Return the actor of a command: the given name, or else the name of the system account."""
    return f"{CLI}{named or getpass.getuser()}"


_acting: ContextVar[str] = ContextVar("_acting", default=WORKER)


def acting() -> str:
    """Return whose change is being made, for what follows from it: the actor of `change`, or else the worker."""
    return _acting.get()


@contextmanager
def acting_as(actor: str) -> Iterator[None]:
    """Let `actor` be the author of what follows from the block."""
    token = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(token)


#: Takes the kind, the key, and the values before and after of a change.
Watch = Callable[[str, str, Mapping[str, Any], Mapping[str, Any]], None]
_watch: ContextVar[Watch | None] = ContextVar("_watch", default=None)


@contextmanager
def watched_by(watch: Watch) -> Iterator[None]:
    """Let `watch` see each change of the block before it is logged. What it raises undoes the change."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


@contextmanager
def change(actor: str, verb: str, obj: models.Model, *, reason: str = "") -> Iterator[Change]:
    """Log what the block changes in `obj`, which may be new and get its id in the block."""
    with transaction.atomic():
        before = _stored([obj])
        entry = Change(at=datetime.now(UTC), actor=actor, verb=verb, reason=reason)
        with acting_as(actor):
            yield entry
        entry.before, entry.after = _changed(obj, before, _stored([obj]))
        if entry.before or entry.after or entry.rosters:
            _write(entry, obj)


@contextmanager
def changes(actor: str, verb: str, objects: Sequence[models.Model], *, reason: str = "") -> Iterator[None]:
    """Log what the block changes in `objects`, all of one model: one entry for each object that changed.

    The number of queries does not depend on the number of objects.
    """
    with transaction.atomic():
        before, at = _stored(objects), datetime.now(UTC)
        yield
        after = _stored(objects)
        rows: list[_Row] = []
        for obj in objects:
            was, became = _changed(obj, before, after)
            if was or became:
                kind = _meta(obj).model_name or ""
                rows.append((at, actor, verb, kind, key_of(obj), was, became, reason, {}))
        if rows:
            _append(rows, at)


def record(
    actor: str,
    verb: str,
    obj: models.Model,
    *,
    reason: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    rosters: dict[str, Any] | None = None,
) -> Change:
    """Log an event that changes no field of `obj`, or more than its fields show."""
    at = datetime.now(UTC)
    values = {"before": before or {}, "after": after or {}, "rosters": rosters or {}}
    entry = Change(at=at, actor=actor, verb=verb, reason=reason, **values)
    with transaction.atomic():
        _write(entry, obj)
    return entry


def record_many(
    actor: str,
    verb: str,
    model: type[models.Model],
    events: Iterable[tuple[str, dict[str, Any], dict[str, Any]]],
    *,
    reason: str = "",
) -> None:
    """Log an event for each of several objects of `model`, given as (key, before, after)."""
    at, kind = datetime.now(UTC), _meta(model).model_name or ""
    rows: list[_Row] = [(at, actor, verb, kind, key, before, after, reason, {}) for key, before, after in events]
    with transaction.atomic():
        if rows:
            _append(rows, at)


def key_of(obj: models.Model) -> str:
    """Return what the log calls an object: its unique name if it has one, or else its id."""
    field = _own_name(_meta(obj))
    return str(obj.pk if field is None else getattr(obj, field.name))


def fields_of(model: type[models.Model]) -> list[str]:
    """Return the names of a model's fields that the log records; many-to-many fields are last."""
    columns = [field.name for field in _logged(_meta(model))]
    return columns + [many.name for many in _meta(model).many_to_many]


def as_logged(model: type[models.Model], pk: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a row as the log has them: of each text that can be erased (`ERASABLE`) only a digest."""
    texts = [name for name in getattr(model, "ERASABLE", ()) if values.get(name)]
    kind = _meta(model).model_name or ""
    return (
        {**values, **{name: chains.digest_of(values[name], kind, str(pk), name) for name in texts}} if texts else values
    )


def _write(entry: Change, obj: models.Model) -> None:
    entry.kind, entry.key = _meta(obj).model_name or "", key_of(obj)
    values = (entry.at, entry.actor, entry.verb, entry.kind, entry.key)
    _append([(*values, entry.before, entry.after, entry.reason, entry.rosters)], entry.at)


def _append(rows: Sequence[_Row], now: datetime) -> None:
    """Add rows to the log, under the pulse lock, so that their numbers and seals follow the order of commits."""
    if (watch := _watch.get()) is not None:
        for _at, _actor, _verb, kind, key, before, after, *_more in rows:
            watch(kind, key, before, after)
    pulse.under_lock(partial(_insert, rows))
    pulse.notify({Pulse.CHANGE: {""}}, now)


def _changed(obj: models.Model, before: _Stored, after: _Stored) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the old and new values of the fields that changed."""
    was, became = before.get(obj.pk, {}), after.get(obj.pk, {})
    changed = sorted(name for name in {*was, *became} if was.get(name) != became.get(name))
    return {name: was[name] for name in changed if name in was}, {
        name: became[name] for name in changed if name in became
    }


def _stored(objects: Sequence[models.Model]) -> _Stored:
    """Return the stored values of objects of one model as JSON values, by id; new objects are missing."""
    pks = [obj.pk for obj in objects if obj.pk is not None]
    if not pks:
        return {}
    meta = _meta(objects[0])
    columns = {field.attname: field.name for field in _logged(meta)}
    stored: dict[Any, dict[str, Any]] = {}
    # without model instances, which would take longer than everything else
    for pk, *values in statements.rows_among(meta.base_manager.all(), "pk", pks, *columns):
        stored[pk] = as_logged(meta.model, pk, dict(zip(columns.values(), map(_plain, values), strict=True)))
    for many in meta.many_to_many:
        for row in stored.values():
            row[many.name] = []
        for pk, other in _related(many, pks):
            stored[pk][many.name].append(other)
    return stored


def _related(many: models.ManyToManyField[Any, Any], pks: Sequence[Any]) -> Iterator[tuple[Any, str]]:
    """Yield (id, related object) of a many-to-many field, as the log calls it; sorted by the related object."""
    own, other = many.m2m_field_name(), many.m2m_reverse_field_name()
    field = _own_name(_meta(many.related_model))
    called = f"{other}__{field.name}" if field is not None else other
    through = many.remote_field.through
    assert through is not None
    pairs = [(pk, str(name)) for pk, name in statements.rows_among(_meta(through).base_manager.all(), own, pks, called)]
    yield from sorted(pairs, key=itemgetter(1))


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)  # a float could have another value
    return value.isoformat() if isinstance(value, (date, datetime, time)) else value


def _logged(meta: Options[Any]) -> list[models.Field[Any, Any]]:
    """Return the columns that are logged; if the model has `DECIDED`, only those."""
    decided = getattr(meta.model, "DECIDED", None)
    return [
        field
        for field in meta.concrete_fields
        if field.name not in _NOT_LOGGED
        and not isinstance(field, models.BinaryField)
        and (decided is None or field.name in decided)
    ]


def _own_name(meta: Options[Any]) -> models.Field[Any, Any] | None:
    """Return the unique field called `name`, if the model has one."""
    return next((field for field in meta.concrete_fields if field.name == "name" and field.unique), None)


def _meta(obj: models.Model | type[models.Model]) -> Options[Any]:
    return obj._meta  # noqa: SLF001 (Django's name for it)


def _insert(rows: Sequence[_Row]) -> None:
    time = bulk.to_database()
    links = chains.CHANGES.links(rows)
    bulk.many(
        _CHANGE, [(*(bulk.plain(value, time) for value in row), *link) for row, link in zip(rows, links, strict=True)]
    )
