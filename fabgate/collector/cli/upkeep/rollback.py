"""The way back from an update: ``rollback``, and the copy that ``migrate --copy`` makes before the tables change."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import fabgate
from fabgate import installed
from fabgate.collector.cli.arguments.upkeep import BEFORE_UPDATE
from fabgate.collector.cli.upkeep.backup import ACCOUNTS
from fabgate.collector.ground.base import called, environ, logs
from fabgate.collector.processes.rollback import back, copying, versions
from fabgate.collector.processes.rollback.back import Prospect
from fabgate.collector.processes.rollback.copies import UpdateCopy
from fabgate.errors import UsageError

_STOP: Final = (
    "systemctl stop fabgate-collector.target fabgate-collector@ingest fabgate-collector@web fabgate-collector@worker"
)
_REPEAT: Final = (
    "Everybody has to sign in again, programs need new keys, and big displays new links. Make the changes again that"
    " `rollback` listed (lost.json), first those that keep somebody out: lost badges, blocks, inactive accounts, new tokens of gates, gates that were cut off."
)


def copy_before(env: environ.Environment, folder: Path) -> None:
    """Copy the collector to a folder before its tables change, and print where. Raises FabgateError."""
    made = copying.make(env, folder)
    more = "" if made.is_new else ", which was interrupted and goes on"
    sys.stdout.write(f"{made.path}: the collector from before this update{more}\n")
    sys.stdout.flush()


def refuse_without_copy(_env: environ.Environment) -> None:
    """Refuse to change the tables. Only `migrate` of a package does that, because it makes a copy first. Raises UsageError."""
    raise UsageError(
        f"found tables of a version before fabgate {fabgate.__version__}, wanted a copy of them before they change; run"
        f" `{called.command('migrate')}`, which makes it, then systemctl start fabgate-collector.target"
    )


def rollback(args: argparse.Namespace) -> int:
    """Say what going back to the newest copy would lose; with --yes go back."""
    env = environ.read(os.environ, need_site=True)
    logs.set_up(env.log, "")
    if args.yes:
        return _go(env, args.copies, as_json=args.json)
    prospect = back.look(env, args.copies)
    if args.json:
        _print_json(_as_json(prospect))
    else:
        sys.stdout.write("\n".join(_lines(prospect, args.copies)) + "\n")
    return 0


def _go(env: environ.Environment, folder: Path, *, as_json: bool) -> int:
    done = back.go(env, folder)
    if as_json:
        aside = str(done.aside) if done is not None and done.aside else None
        _print_json({"restored": done is not None, "copy": _copy_json(done.copy) if done else None, "aside": aside})
    elif done is None:
        sys.stdout.write(
            "The database has the tables of the copy already: there is nothing to go back from, and nothing was changed.\n"
        )
    else:
        sys.stdout.write(f"The collector is as it was on {_time(done.copy.at)}.\n")
        if done.aside:
            sys.stdout.write(
                f"What was there before is in {done.aside}: delete it once everything works: it has names and keys.\n"
            )
        if env.broker_control:
            sys.stdout.write(ACCOUNTS)
        sys.stdout.write(f"{_REPEAT}\nStart the collector: systemctl start fabgate-collector.target\n")
    return 0


def _lines(prospect: Prospect, folder: Path) -> Iterator[str]:
    from fabgate.collector.cli.upkeep import losses  # noqa: PLC0415 (it needs the models, which are ready only now)

    copy = prospect.copy
    yield f"The newest copy from before an update: {copy.path}"
    yield (
        f"It was made on {_time(copy.at)}, before fabgate {copy.after} changed the tables of"
        f" {f'fabgate {copy.before}' if copy.before else 'an earlier version, which is not known'}."
    )
    yield ""
    if prospect.lost is None:
        yield "The database has the same tables as this copy, so there is nothing to go back from: do not restore it."
        yield "An earlier version with these tables works with the database as it is now."
        return
    yield from losses.lines(prospect.lost, age_days=(datetime.now(UTC) - copy.at).days)
    yield ""
    yield "To go back (this list cannot be made afterwards, so its file comes first):"
    for number, command in enumerate(_next(prospect, folder), 1):
        yield f"  {number}. {command}"


def _next(prospect: Prospect, folder: Path) -> list[str]:
    """Return the commands to run next."""
    chosen = "" if str(folder) == BEFORE_UPDATE else f" --copies {folder}"
    earlier = [] if prospect.fits else [_installing(prospect.copy)]
    keep = f"{called.command(f'rollback{chosen} --json')} > lost.json"
    return [_STOP, keep, *earlier, called.command(f"rollback{chosen} --yes")]


def _installing(copy: UpdateCopy) -> str:
    command = versions.install(copy.before)
    return command if installed.package() else f"install fabgate {copy.before or 'of before'}: {command}"


def _as_json(prospect: Prospect) -> dict[str, Any]:
    lost = prospect.lost
    return {
        "copy": _copy_json(prospect.copy),
        "fits": prospect.fits,
        "needed": lost is not None,
        "lost": None if lost is None else asdict(lost),
    }


def _copy_json(copy: UpdateCopy) -> dict[str, Any]:
    return {"path": str(copy.path), "at": copy.at, "from": copy.before or None, "to": copy.after}


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n")


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _time(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d at %H:%M}"
