"""The arguments of ``sinks``, and of the verbs that begin with ``sink-``."""

from __future__ import annotations

from typing import Final

from fabgate.collector.cli.arguments import shared

_SINKS: Final = (
    "Sinks are programs that receive charges or usage; they are configured in sinks.yaml (docs/sinks). With NAME, the verb"
    " also lists the items that were not sent: refused, without a reference of the payer, or skipped."
)
_RECONCILE: Final = (
    "After a restore, all sinks are paused, because the programs may have received items that the backup does not contain."
    " No item is stored twice there: programs recognise its key, or are asked first."
)
_REPLAY: Final = (
    "Use it only if the program has lost items. Without --sure, the verb lists the items and sends nothing."
)


def add_verbs(add: shared.Add) -> None:
    """Add the verbs by `add`."""
    sinks = add(
        "sinks", "billing.sinks", "print the state of each sink, and the items that were not sent", "show", about=_SINKS
    )
    sinks.add_argument("name", metavar="NAME", nargs="?", help="only this sink, with the items that were not sent")
    shared.as_json(sinks)
    reconcile = add(
        "sink-reconcile",
        "billing.sinks",
        "resume a sink after a restore",
        "reconcile",
        about=_RECONCILE,
        example="books --reason 'Restored after the disk failed'",
    )
    replay = add(
        "sink-replay",
        "billing.sinks",
        "send items of closed months again to a sink that has lost them",
        "replay",
        about=_REPLAY,
        example="books --from 2027-01",
    )
    retry = add(
        "sink-retry",
        "billing.sinks",
        "send refused items again",
        "retry",
        example="shop --reason 'The tax code is known there now'",
    )
    skip = add(
        "sink-skip",
        "billing.sinks",
        "skip refused items",
        "skip",
        example="shop 01975c3e-7a2f-7cc0-8000-5f4dcc3b5aa7 --reason 'Entered by hand'",
    )
    for verb in (reconcile, replay, retry, skip):
        verb.add_argument("name", metavar="NAME", help="the sink, as in sinks.yaml")
        verb.add_argument("--reason", required=verb is not replay, metavar="TEXT", help="why")
        shared.actor(verb)
    replay.add_argument("--from", dest="first", required=True, metavar="MONTH", help="the first month, such as 2027-01")
    replay.add_argument("--to", dest="last", metavar="MONTH", help="the last month (default: the newest)")
    replay.add_argument("--sure", action="store_true", help="send the items")
    retry.add_argument(
        "keys", nargs="*", metavar="KEY", help="only the items with these keys ('sinks NAME' lists them)"
    )
    skip.add_argument("keys", nargs="*", metavar="KEY", help="only the items with these keys ('sinks NAME' lists them)")
