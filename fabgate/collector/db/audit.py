"""How does a change get into the audit log? Every writer, be it a page, a command or the API, goes through here.

    with audit.made(actor, "member.updated", member, reason="moved house") as change:
        member.save()
        change.rosters = roster.versions(roster.rebuild(only_changed=True))

What is told is what the database held before and holds after; nothing changed, nothing told. It is one transaction:
either the change and its row are there, or neither is.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from operator import itemgetter
from typing import Any, Final

from django.db import models, transaction
from django.db.models.options import Options

from fabgate.collector.db import bulk, pulse, statements
from fabgate.collector.models import Change, Pulse

_CHANGE = """
INSERT INTO collector_change (at, actor, verb, kind, key, before, after, reason, rosters)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, '{}')"""

#: What is stored of objects, by id.
_Stored = Mapping[Any, Mapping[str, Any]]
#: Secrets, what stands for one, and what is only derived.
_UNTOLD: Final = frozenset({"password", "token_hash", "digest", "roster_version", "folded"})


#: Who did what no person did: the worker, and a process that starts. No account is called so.
WORKER: Final = "worker"
START: Final = "start"
#: With what the name of a person at the command line begins; no account's name does.
CLI: Final = "cli:"


def cli_actor(named: str | None) -> str:
    """Return who gives a command: the one who was named, or else this account."""
    return f"{CLI}{named or getpass.getuser()}"


@contextmanager
def made(actor: str, verb: str, obj: models.Model, *, reason: str = "") -> Iterator[Change]:
    """Write down what the block does to `obj`, which may be new and may get its id in the block."""
    with transaction.atomic():
        before = _stored([obj])
        change = Change(at=datetime.now(UTC), actor=actor, verb=verb, reason=reason)
        yield change
        change.before, change.after = _changed(obj, before, _stored([obj]))
        if change.before or change.after or change.rosters:
            _write(change, obj)


@contextmanager
def made_all(actor: str, verb: str, objects: Sequence[models.Model], *, reason: str = "") -> Iterator[None]:
    """Write down what the block does to each of `objects`, all of one model, as `made` does: a row for each that changed.

    What costs a few questions of the database for one object costs no more of them for a thousand.
    """
    with transaction.atomic():
        before, at = _stored(objects), datetime.now(UTC)
        yield
        after = _stored(objects)
        told = []
        for obj in objects:
            was, became = _changed(obj, before, after)
            if was or became:
                told.append((_meta(obj).model_name or "", key_of(obj), was, became))
        insert_changes(told, at, actor=actor, verb=verb, reason=reason)
        if told:
            pulse.pulse({Pulse.CHANGE: {""}}, at)


def note(
    actor: str,
    verb: str,
    obj: models.Model,
    *,
    reason: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Change:
    """Write down something that changed no field of `obj`, or more than its fields tell."""
    at = datetime.now(UTC)
    change = Change(at=at, actor=actor, verb=verb, reason=reason, before=before or {}, after=after or {})
    with transaction.atomic():
        _write(change, obj)
    return change


def key_of(obj: models.Model) -> str:
    """Return what the log calls an object: its name, where it has one of its own, or else its id."""
    field = _own_name(_meta(obj))
    return str(obj.pk if field is None else getattr(obj, field.name))


def fields_of(model: type[models.Model]) -> list[str]:
    """Return the names of the fields that a change of a model tells; those of other objects that it names last."""
    columns = [field.name for field in _told(_meta(model))]
    return columns + [many.name for many in _meta(model).many_to_many]


def _write(change: Change, obj: models.Model) -> None:
    change.kind, change.key = _meta(obj).model_name or "", key_of(obj)
    change.save()
    pulse.pulse({Pulse.CHANGE: {""}}, change.at)


def _changed(obj: models.Model, before: _Stored, after: _Stored) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what was, and what became, of the fields of an object that changed."""
    was, became = before.get(obj.pk, {}), after.get(obj.pk, {})
    changed = sorted(name for name in {*was, *became} if was.get(name) != became.get(name))
    return {name: was[name] for name in changed if name in was}, {
        name: became[name] for name in changed if name in became
    }


def _stored(objects: Sequence[models.Model]) -> _Stored:
    """Return what the database holds of objects of one model, as JSON has it, by their ids; of none where it has none."""
    pks = [obj.pk for obj in objects if obj.pk is not None]
    if not pks:
        return {}
    meta = _meta(objects[0])
    columns = {field.attname: field.name for field in _told(meta)}
    found: dict[Any, dict[str, Any]] = {}
    # Without an instance of each, which takes longer than all the rest.
    for pk, *values in statements.among(meta.base_manager.all(), "pk", pks, *columns):
        found[pk] = dict(zip(columns.values(), map(_plain, values), strict=True))
    for many in meta.many_to_many:
        for row in found.values():
            row[many.name] = []
        for pk, other in _others(many, pks):
            found[pk][many.name].append(other)
    return found


def _others(many: models.ManyToManyField[Any, Any], pks: Sequence[Any]) -> Iterator[tuple[Any, str]]:
    """Yield who of `pks` belongs together with what, as the log calls it; sorted by what."""
    own, other = many.m2m_field_name(), many.m2m_reverse_field_name()
    field = _own_name(_meta(many.related_model))
    called = f"{other}__{field.name}" if field is not None else other
    through = many.remote_field.through
    assert through is not None
    pairs = [(pk, str(name)) for pk, name in statements.among(_meta(through).base_manager.all(), own, pks, called)]
    yield from sorted(pairs, key=itemgetter(1))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, (date, datetime, time)) else value


def _told(meta: Options[Any]) -> list[models.Field[Any, Any]]:
    """Return the columns that are told; of a model that names them in `DECIDED`, those that a person decides."""
    decided = getattr(meta.model, "DECIDED", None)
    return [
        field
        for field in meta.concrete_fields
        if field.name not in _UNTOLD
        and not isinstance(field, models.BinaryField)
        and (decided is None or field.name in decided)
    ]


def _own_name(meta: Options[Any]) -> models.Field[Any, Any] | None:
    """Return the field that tells each object of a model from all others, as people call it."""
    return next((field for field in meta.concrete_fields if field.name == "name" and field.unique), None)


def _meta(obj: models.Model | type[models.Model]) -> Options[Any]:
    return obj._meta  # noqa: SLF001 (Django's name for it)


def insert_changes(
    rows: Iterable[tuple[str, str, Any, Any]], now: datetime, *, actor: str, verb: str, reason: str
) -> None:
    """Write (kind, key, before, after) into the audit log."""
    at = bulk.to_database()(now)
    bulk.many(
        _CHANGE,
        [
            (at, actor, verb, kind, key, json.dumps(before), json.dumps(after), reason)
            for kind, key, before, after in rows
        ],
    )
