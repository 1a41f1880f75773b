"""``authority-turn``: another authority takes the place of the one in force, and no gate needs a visit.

It has two steps (docs/decisions/0151). Each run looks at the files, and does the step that is next, so a kill needs no
code of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from fabgate.collector.setup import paths, run
from fabgate.collector.setup.authority import authority
from fabgate.collector.setup.authority.authority import Authority
from fabgate.collector.setup.authority.files import TRUSTED_FOR, Files
from fabgate.collector.setup.authority.names import Address, Names
from fabgate.collector.setup.site import Site
from fabgate.collector.setup.steps.broker import RenewedBroker
from fabgate.collector.setup.steps.certificates import Certificates
from fabgate.computer import Computer
from fabgate.errors import FabgateError, UsageError

Say = Callable[[str], None]
_VERB = "sudo fabgate-collector authority-turn"


def turn(
    computer: Computer,
    addresses: Sequence[Address],
    *,
    names: Sequence[str] = (),
    is_now: bool = False,
    drops: bool = False,
    say: Say,
) -> int:
    """Do the next step; return 0, or 1 if gates lack the new authority.

    `names` are those for which a new authority is valid beside the names of now. `is_now`: do not wait for
    gates. `drops`: once the new authority signs, drop the one before at once.
    Raises UsageError before the first change, and FabgateError and OSError for a step that failed.
    """
    run.as_root(computer, "authority-turn")
    with run.alone(computer):
        site = run.site_of(computer, addresses)
        files, now = Certificates(computer, site).files(), computer.now()
        made = files.load(now)
        if made is None:
            raise UsageError(f"found no authority in {paths.ETC}/authority, wanted one: sudo fabgate-collector setup")
        waiting = files.next(now)
        if waiting is None and (until := files.trusted_until()):
            run.do([Certificates(computer, site), RenewedBroker(computer)], say)  # what a kill left undone
            return _end(files, made, until, drops=drops, say=say)
        if drops:
            raise UsageError(
                f"found --drop, wanted it once a new authority signs and the one before is trusted: {_VERB}"
            )
        if waiting is None:
            return _begin(files, made, site, names, now, say)
        if names:
            raise UsageError(
                f"found --name, but an authority waits already, and its names cannot change; leave out --name, or remove"
                f" {paths.ETC}/authority/next.pem to begin again"
            )
        files.publish(made)  # the first step may have been killed before
        lacking = _lacking(computer)
        if lacking and not is_now:
            say("These gates do not report the new authority yet, and could not connect once it signs:")
            _list(lacking, say)
            say(f"Switch them on, and see that each has its newest roster: fabgate-collector gates. Then: {_VERB}")
            say("A gate that is gone does not count once it is revoked: fabgate-collector gate-revoke GATE")
            say(f"Not to wait for them: {_VERB} --now. Each of them then needs a visit.")
            return 1
        files.turn(now)
        run.do([Certificates(computer, site), RenewedBroker(computer)], say)
        say(f"The new authority signs. Gates trust the one before for {TRUSTED_FOR.days} more days.")
        if lacking:
            say(
                "These gates need a visit: make a code for each (fabgate-collector join-code GATE --replace), and there run"
            )
            say(f"sudo fabgate join {site.names.hosts[0]}")
            _list(lacking, say)
        return 0


def _begin(files: Files, made: Authority, site: Site, names: Sequence[str], now: datetime, say: Say) -> int:
    hosts = dict.fromkeys((*site.names.hosts, *names))
    fresh = authority.make(site.name, Names(tuple(hosts), site.names.addresses), now)
    files.store_next(fresh)
    files.publish(made)
    say(f"A new authority is made, for {', '.join(hosts)} and the local network. It does not sign yet.")
    say("Gates learn it from their next roster, within some minutes. Phones and computers need its certificate:")
    say(f"http://{site.names.hosts[0]} offers both. Its SHA-256:")
    run.say_fingerprint(authority.fingerprint(fresh.certificate), say)
    say(f"When they have it, let it sign: {_VERB}")
    return 0


def _end(files: Files, made: Authority, until: datetime, *, drops: bool, say: Say) -> int:
    if not drops:
        say(f"The new authority signs already. The one before stays trusted until {until:%Y-%m-%d}.")
        say(
            f"To drop it today: {_VERB} --drop. After that, a collector from an older copy reaches no gate without a visit."
        )
        return 0
    files.drop()
    files.publish(made)
    say("The authority that signed before is dropped. Gates learn it from their next roster.")
    return 0


def _lacking(computer: Computer) -> list[dict[str, Any]]:
    """Return the gates that have not reported each authority. Raises FabgateError where that cannot be asked."""
    answer = computer.run(paths.PROGRAM, "gates", "--json")
    if answer.code:
        raise FabgateError(f"found no answer to which gates know the authority; nothing was changed: {answer.said}")
    return [row for row in json.loads(answer.out) if row["has_authorities"] is False]


def _list(rows: Sequence[dict[str, Any]], say: Say) -> None:
    for row in rows:
        heard = f"last heard {row['seen_at'][:10]}" if row["seen_at"] else "not heard yet"
        say(f"  - {row['gate']}: {'no machine, so no roster' if row['machine'] is None else heard}")
