"""Shows the sinks, and resumes them, sends items again or skips them: ``sinks`` and the verbs that begin with ``sink-``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from datetime import date
from itertools import islice
from typing import Any, Final

from fabgate.collector.cli import text_table
from fabgate.collector.cli.billing.month import month_of
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Sink, SinkLetter
from fabgate.collector.money.billing.sinks import decisions, status
from fabgate.collector.money.billing.sinks.status import Status

_STATES: Final = {
    status.OK: "up to date",
    status.LATER: "next attempt later",
    status.RESTORED: "paused: run sink-reconcile",
    status.GONE: "not in sinks.yaml",
}
#: The most items that `sink-replay` lists in a terminal.
_MOST: Final = 200


def show(args: argparse.Namespace) -> int:
    """Print the state of the sinks; of one sink also the items that were not sent."""
    found = [status.named(args.name)] if args.name else list(status.everything())
    if args.json:
        json.dump([_as_json(one, with_letters=bool(args.name)) for one in found], sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    if not found:
        sys.stdout.write("no sinks are configured; docs/sinks explains sinks.yaml\n")
        return 0
    lines = [
        (one.row.name, _driver(one), _state(one), str(one.waiting), *(str(one.letters[state]) for state in _COUNTED))
        for one in found
    ]
    heads = ("sink", "driver", "state", "waiting", "no reference", "refused", "skipped")
    text_table.write([heads, *lines], sys.stdout, right=(3, 4, 5, 6))
    for one in found:
        if one.row.trouble:
            sys.stdout.write(f"{one.row.name}: {one.row.trouble}\n")
    if args.name:
        _list(decisions.left(found[0].row, *_COUNTED, SinkLetter.DUE))
    return 0


def reconcile(args: argparse.Namespace) -> int:
    """Resume a sink after a restore."""
    row = status.named(args.name).row
    decisions.reconcile(row, actor=audit.cli_actor(args.actor), reason=args.reason)
    sys.stdout.write(f"{row} resumes after the last item in the backup\n")
    return 0


def replay(args: argparse.Namespace) -> int:
    """List the items that would be sent again; with --sure, send them."""
    row = status.named(args.name).row
    first, last = month_of(args.first, "--from"), month_of(args.last, "--to") if args.last else None
    if not args.sure:
        return _preview(row, first, last)
    count = decisions.replay(row, first, last, actor=audit.cli_actor(args.actor), reason=args.reason or "")
    sys.stdout.write(f"{_items(count)} will be sent to {row} again\n")
    return 0


def retry(args: argparse.Namespace) -> int:
    """Send refused or skipped items again."""
    row = status.named(args.name).row
    count = decisions.retry(row, args.keys, actor=audit.cli_actor(args.actor), reason=args.reason)
    sys.stdout.write(f"{_items(count)} will be sent to {row} again\n")
    return 0


def skip(args: argparse.Namespace) -> int:
    """Skip items that were refused or have no reference."""
    row = status.named(args.name).row
    count = decisions.skip(row, args.keys, actor=audit.cli_actor(args.actor), reason=args.reason)
    sys.stdout.write(f"{_items(count)} skipped for {row}\n")
    return 0


_COUNTED: Final = (SinkLetter.HELD, SinkLetter.DEAD, SinkLetter.SKIPPED)


def _preview(row: Sink, first: date, last: date | None) -> int:
    letters = decisions.replayable(row, first, last)
    count = letters.count()
    _list(islice(letters.iterator(), _MOST))
    if count > _MOST:
        sys.stdout.write(f"and {count - _MOST} more\n")
    sys.stdout.write(
        f"{_items(count)} would be sent to {row} again, with the same keys; to send them, add --sure and --reason\n"
    )
    return 0


def _items(count: int) -> str:
    return f"{count} item{'' if count == 1 else 's'}"


def _list(letters: Iterable[SinkLetter]) -> None:
    lines = [
        (one.key, f"{one.month:%Y-%m}" if one.month else "", one.payer, str(one.amount), one.state, one.why)
        for one in letters
    ]
    if lines:
        text_table.write([("key", "month", "payer", "amount", "state", "why"), *lines], sys.stdout, right=(3,))


def _driver(one: Status) -> str:
    return one.configured.driver_name if one.configured else ""


def _state(one: Status) -> str:
    if one.state == status.LATER and one.row.next_at is not None:
        return f"next attempt at {one.row.next_at.isoformat(timespec='seconds')}"
    return "sends" if one.state == status.OK and one.waiting else _STATES[one.state]


def _as_json(one: Status, *, with_letters: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "sink": one.row.name,
        "driver": _driver(one),
        "state": one.state,
        "waiting": one.waiting,
        **{state: one.letters[state] for state in SinkLetter.STATES if state != SinkLetter.SENT},
        "cursor": one.row.cursor,
        "trouble": one.row.trouble,
        "next_at": one.row.next_at and one.row.next_at.isoformat(),
    }
    if with_letters:
        names = ("key", "payer", "session", "amount", "state", "why")
        rows = decisions.left(one.row, *_COUNTED, SinkLetter.DUE)
        found["letters"] = [
            {
                **{name: getattr(letter, name) for name in names},
                "month": letter.month and f"{letter.month:%Y-%m}",
                "at": letter.at.isoformat(),
            }
            for letter in rows
        ]
    return found
