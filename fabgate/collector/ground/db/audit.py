"""Writes changes to the audit log. Pages, commands and the API all use it.

    with audit.change(actor, "member.updated", member, reason="moved house") as change:
        member.save()
        change.rosters = roster.versions(roster.rebuild(only_changed=True))

The entry compares the database before and after the block; if nothing changed, none is written. The change and its
entry are stored in one transaction. Entries are numbered and sealed (ground/db/chains.py).
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from operator import itemgetter
from typing import Any, Final

from django.db import connection, models, transaction
from django.db.models.options import Options

from fabgate.collector.ground.db import bulk, chains, pulse, statements
from fabgate.collector.ground.models import Change, Gate, Pulse

_CHANGE = """
INSERT INTO collector_change (at, actor, verb, kind, key, before, after, reason, rosters, number, seal)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
#: at, actor, verb, kind, key, before, after, reason, rosters (chains.CHANGES)
_Row = tuple[datetime, str, str, str, str, dict[str, Any], dict[str, Any], str, dict[str, Any]]

#: The stored values of objects, by id.
_Stored = Mapping[Any, Mapping[str, Any]]
#: Fields that are not logged, because they follow from others.
_NOT_LOGGED: Final = frozenset({"roster_version", "folded"})
#: Secrets, hashes of secrets and numbers of badges. The log has only a digest of each, under this name.
SECRETS: Final[Mapping[str, str]] = {"password": "password_seal", "token_hash": "token_seal", "digest": "digest_seal"}


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
        _lock([obj])
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
        _lock(objects)
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
    """Return the names of a model's fields that the log records, secrets included; many-to-many fields are last."""
    columns = [field.name for field in _logged(_meta(model))]
    return columns + [many.name for many in _meta(model).many_to_many]


def has_own_name(model: type[models.Model]) -> bool:
    """Return whether the log calls an object of this model by its name, which may change, instead of its id."""
    return _own_name(_meta(model)) is not None


def stored(
    model: type[models.Model], pks: Sequence[Any], *, fields: Sequence[str] | None = None
) -> dict[Any, dict[str, Any]]:
    """Return the stored values of the rows with these ids as the log has them; `fields`, or else all that are logged.

    Of each text that can be erased (`ERASABLE`) and of each secret (`SECRETS`) it has only a digest.
    """
    wanted = fields_of(model) if fields is None else fields
    return {pk: dict(values) for pk, values in _stored_rows(_meta(model), pks, wanted).items()}


def seals_of(obj: models.Model) -> dict[str, str]:
    """Return the digests of an object's secrets, as the log has them."""
    kind = _meta(obj).model_name or ""
    names = {field.name for field in _meta(obj).concrete_fields} & SECRETS.keys()
    return {
        SECRETS[name]: chains.digest_of(value, kind, str(obj.pk), name)
        for name in names
        if (value := getattr(obj, name))
    }


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
    changed = sorted(name for name in {*was, *became} if not is_same(was.get(name), became.get(name)))
    return {name: was[name] for name in changed if name in was}, {
        name: became[name] for name in changed if name in became
    }


def _lock(objects: Sequence[models.Model]) -> None:
    """Lock the rows of objects of one model, by id, so that no other transaction changes them before this one ends.

    A change of a many-to-many field locks no row by itself. Without the lock, "before" could be older than a change of
    another transaction, and a change back to it would be missing in the log. Rows of gates are locked after the pulse
    lock (ground/db/pulse.py): members/machines/enrol_gate.py changes them one after the other.
    """
    pks = [obj.pk for obj in objects if obj.pk is not None]
    if pks and connection.features.has_select_for_update and not isinstance(objects[0], Gate):
        rows = _meta(objects[0]).base_manager.filter(pk__in=pks).order_by("pk").select_for_update(no_key=True)
        list(rows.values_list("pk"))


def _stored(objects: Sequence[models.Model]) -> _Stored:
    """Return the stored values of objects of one model as JSON values, by id; new objects are missing."""
    pks = [obj.pk for obj in objects if obj.pk is not None]
    return _stored_rows(_meta(objects[0]), pks, fields_of(_meta(objects[0]).model)) if pks else {}


def _stored_rows(meta: Options[Any], pks: Sequence[Any], names: Collection[str]) -> dict[Any, dict[str, Any]]:
    columns = {field.attname: field.name for field in meta.concrete_fields if field.name in names}
    hidden = [name for name in (*SECRETS, *getattr(meta.model, "ERASABLE", ())) if name in columns.values()]
    kind = meta.model_name or ""
    found: dict[Any, dict[str, Any]] = {}
    # without model instances, which would take longer than everything else
    for pk, *values in statements.rows_among(meta.base_manager.all(), "pk", pks, *columns):
        row = dict(zip(columns.values(), map(plain, values), strict=True))
        for name in hidden:
            text = row[name]
            if name in SECRETS:
                del row[name]
            if text:
                row[SECRETS.get(name, name)] = chains.digest_of(text, kind, str(pk), name)
        found[pk] = row
    for many in meta.many_to_many:
        if many.name in names:
            for row in found.values():
                row[many.name] = []
            for pk, other in _related(many, list(found)):
                found[pk][many.name].append(other)
    return found


def _related(many: models.ManyToManyField[Any, Any], pks: Sequence[Any]) -> Iterator[tuple[Any, str]]:
    """Yield (id, related object) of a many-to-many field, as the log calls it; sorted by the related object."""
    own, other = many.m2m_field_name(), many.m2m_reverse_field_name()
    field = _own_name(_meta(many.related_model))
    called = f"{other}__{field.name}" if field is not None else other
    through = many.remote_field.through
    assert through is not None
    pairs = [(pk, str(name)) for pk, name in statements.rows_among(_meta(through).base_manager.all(), own, pks, called)]
    yield from sorted(pairs, key=itemgetter(1))


def is_same(one: Any, other: Any) -> bool:
    """Return whether two values of fields are the same as JSON, which Python's == does not say: false is not 0."""
    if one.__class__ is not other.__class__:
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return bool(one == other)


def plain(value: Any) -> Any:
    """Return a value of a field as JSON has it."""
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
