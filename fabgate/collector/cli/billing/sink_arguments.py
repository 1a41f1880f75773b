"""The arguments of ``sinks`` and of the verbs that begin with ``sink-``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

_SINKS: Final = (
    "Sinks are programs that get charges or usage; sinks.yaml names them (docs/sinks). With a name, what the sink has not"
    " got is listed: refused for good, without a reference of the payer, or left out."
)
_RECONCILE: Final = (
    "After a restore, sinks send nothing until somebody says so, because they may have got more than the copy knows. What"
    " they have is not sent again: they know its key, or are asked first."
)
_REPLAY: Final = "Only if the sink has lost what it got. Without --sure it lists what would be sent, and sends nothing."


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs by `add`, which is that of verbs.py for the collector's subparsers."""
    sinks = add("sinks", "billing.sinks", "print what each sink got, and what not", "show", about=_SINKS)
    sinks.add_argument("name", metavar="NAME", nargs="?", help="only this sink, and what it has not got")
    sinks.add_argument("--json", action="store_true", help="print JSON")
    reconcile = add(
        "sink-reconcile",
        "billing.sinks",
        "let a sink go on after a restore",
        "reconcile",
        about=_RECONCILE,
        example="books --reason 'Restored after the disk failed'",
    )
    replay = add(
        "sink-replay",
        "billing.sinks",
        "send again what a sink got",
        "replay",
        about=_REPLAY,
        example="books --from 2027-01",
    )
    retry = add(
        "sink-retry",
        "billing.sinks",
        "send again what a sink refused",
        "retry",
        example="shop --reason 'The tax code is known there now'",
    )
    skip = add(
        "sink-skip",
        "billing.sinks",
        "leave out what a sink refused",
        "skip",
        example="shop 01975c3e-7a2f-7cc0-8000-5f4dcc3b5aa7 --reason 'Entered by hand'",
    )
    for verb in (reconcile, replay, retry, skip):
        verb.add_argument("name", metavar="NAME", help="the sink, as in sinks.yaml")
        verb.add_argument("--reason", required=verb is not replay, metavar="TEXT", help="why")
        verb.add_argument("--actor", metavar="NAME", help="who does it (default: the account of this computer)")
    replay.add_argument("--from", dest="first", required=True, metavar="MONTH", help="the first month, such as 2027-01")
    replay.add_argument("--to", dest="last", metavar="MONTH", help="the last month (default: all that follow)")
    replay.add_argument("--sure", action="store_true", help="send it")
    retry.add_argument("keys", nargs="*", metavar="KEY", help="only these, as 'sinks NAME' lists them")
    skip.add_argument("keys", nargs="*", metavar="KEY", help="only these, as 'sinks NAME' lists them")
