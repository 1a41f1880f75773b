"""The arguments of the verbs that print and check records: sessions, usage, gates, missing and altered entries."""

from __future__ import annotations

import argparse
from typing import Final

from fabgate.collector.cli.arguments import shared

_MONTH: Final = "--from 2026-11-01 --to 2026-12-01"
_USAGE: Final = (
    "A session belongs to the period in which it ended. If the gate's clock was never synchronised, the latest possible"
    " end counts, and the session is shown as 'about'. Open sessions are listed separately. Times are h:mm:ss."
)
_SESSIONS: Final = (
    "Prints the sessions that ended in the period, in the order of their ends, then the open ones. '~' marks a time"
    " that is not exactly known: the session lies between not_before and not_after, which CSV and JSON contain, and"
    " counts by the latter. The true time lies between energised_ms and energised_ms + uncertainty_ms. The review"
    " column says why a person should check a session: journal-lost, time-above-clock, running-above-time,"
    " longer-than-allowed, before-first, overlap, no-start, restored-image, counter-above-end, uncertain, undated,"
    " earlier-holder, clock."
)
_HOLES: Final = (
    "Missing entries are lost: their gate no longer has them, or their journal has ended. Awaited entries are still on"
    " the gate, which sends them again. Quarantine holds messages that are not valid entries. The exit code is 1 if"
    " something is missing, else 0."
)
_GATES: Final = (
    "'entries' shows up to which number all entries of the gate are stored, and how many it has written; 'roster'"
    " whether the gate has the newest roster."
)
_VERIFY: Final = (
    "Computes entries, sessions, sums and the ledger again, and checks the seals of the audit log, while the collector"
    " runs. Prints each row and column that was altered, with what is stored, what it should be and what to do; and the"
    " head of the audit log, to write down. The exit code is 0 if nothing was altered, 6 if something was, and 1 if it"
    " cannot be checked. docs/verify.md says what is compared."
)


def add_verbs(add: shared.Add) -> None:
    """Add the verbs by `add`."""
    usage = add(
        "usage",
        "usage",
        "print who used which machine, and for how long",
        "show",
        about=_USAGE,
        example=_MONTH,
    )
    _period(usage, json_help="exact milliseconds, as JSON")
    sessions = add(
        "sessions",
        "sessions",
        "print each session, one a line",
        "show",
        about=_SESSIONS,
        example=_MONTH,
    )
    _period(sessions, json_help="exact milliseconds, one JSON object a line")
    holes = add(
        "holes",
        "gates",
        "print missing entries, and what is in quarantine",
        "show_gaps",
        about=_HOLES,
    )
    gates = add(
        "gates",
        "gates",
        "list the gates, and how far their entries are stored",
        "show",
        about=_GATES,
    )
    verify = add(
        "verify",
        "books.verify",
        "compare the books with what was recorded, and name what was altered",
        "verify",
        about=_VERIFY,
    )
    verify.add_argument(
        "--head", metavar="NUMBER:SEAL", help="a head of the audit log that you wrote down: check that it still has it"
    )
    verify.add_argument(
        "--confirm-head",
        action="store_true",
        help="say that no row of the audit log is missing although .audit-head is; the log keeps who said so",
    )
    verify.add_argument("--pdf", metavar="FILE", help="also write the result as PDF, for an auditor")
    verify.add_argument("--nightly", action="store_true", help="as the worker does: with a low priority, and no output")
    for verb in (holes, gates, verify):
        verb.add_argument("--json", action="store_true", help="everything that is known, as JSON")


def _period(verb: argparse.ArgumentParser, *, json_help: str) -> None:
    verb.add_argument("--from", dest="start", required=True, metavar="ISO", help="the first moment, such as 2026-11-01")
    verb.add_argument("--to", dest="end", required=True, metavar="ISO", help="the end, which is not included")
    verb.add_argument("--tz", metavar="NAME", help="time zone of dates without an offset (default: FABGATE_TZ)")
    form = verb.add_mutually_exclusive_group()
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="exact milliseconds, as CSV")
    form.add_argument("--json", dest="form", action="store_const", const="json", help=json_help)
