"""How does the demo's collector come to know gates, machines and people? In one process, before it runs.

``python -m fabgate.demo.furnish`` reads what is wanted from its standard input, as JSON, and prints for each gate where
its secrets are. It does what the verbs of ``fabgate collector`` do, for the price of one start.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fabgate import badge
from fabgate.collector.base import environ
from fabgate.collector.processes import start
from fabgate.demo import tables
from fabgate.demo.people import CARDS, LOSER, MINOR
from fabgate.errors import FabgateError

ACTOR: Final = "demo"
#: The account of whoever opens the wall: no password opens it, only the demo's own link.
ACCOUNT: Final = "demo"


def main() -> int:
    """Do it; return the exit code."""
    wanted = json.load(sys.stdin)
    try:
        database = environ.read(os.environ, need_site=True).database
        had_tables = tables.lay(database)
        start.prepare()
        if not had_tables:
            tables.keep(database)
        sys.stdout.write(json.dumps(_furnish(wanted)))
    except FabgateError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _furnish(wanted: dict[str, Any]) -> dict[str, Any]:
    # Models can be imported only once Django is set up.
    from django.db import transaction  # noqa: PLC0415

    with transaction.atomic():
        made = {place["gate"]: _place(place) for place in wanted["places"]}
        _people(Path(wanted["members"]))
        _account(wanted["lang"])
    return made  # the web server builds the rosters when it starts


def _place(place: dict[str, Any]) -> dict[str, Any]:
    from fabgate.collector.db import audit  # noqa: PLC0415
    from fabgate.collector.machines import enrol_gate  # noqa: PLC0415
    from fabgate.collector.models import Machine  # noqa: PLC0415

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        enrol_gate.add(
            argparse.Namespace(name=place["gate"], machine=place["machine"], rules=[], new_token=False, json=True)
        )
    machine = Machine.objects.get(name=place["machine"])
    with audit.change(ACTOR, "machine.updated", machine):
        machine.title, machine.rules = place["title"], place["rules"]
        machine.save()
    found: dict[str, Any] = json.loads(said.getvalue())
    return found


def _people(file: Path) -> None:
    from django.conf import settings  # noqa: PLC0415

    from fabgate.collector.access import roster  # noqa: PLC0415
    from fabgate.collector.db import audit  # noqa: PLC0415
    from fabgate.collector.models import Badge, Member  # noqa: PLC0415
    from fabgate.collector.people.import_list import file as members_file  # noqa: PLC0415
    from fabgate.collector.people.import_list import store  # noqa: PLC0415

    store.write(store.prepare(members_file.read(file)), actor=ACTOR)
    minor = Member.objects.get(id=MINOR)
    with audit.change(ACTOR, "member.updated", minor):
        minor.minor = True
        minor.save()
    spelling, now = badge.parse(CARDS["lost"]), datetime.now(UTC)
    digest = badge.digest(spelling, roster.badge_key(settings.ENVIRONMENT))
    lost = Badge(spelling=str(spelling), digest=digest, member_id=LOSER, since=now)
    with audit.change(ACTOR, "badge.given", lost):
        lost.save()
    with audit.change(ACTOR, "badge.ended", lost):
        lost.end(Badge.LOST, ACTOR, now)


def _account(lang: str) -> None:
    from fabgate.collector.db import audit  # noqa: PLC0415
    from fabgate.collector.models import Account  # noqa: PLC0415

    account = Account(name=ACCOUNT, display_name="Demo", role=Account.MANAGER, lang=lang)
    account.set_unusable_password()
    with audit.change(ACTOR, "account.added", account):
        account.save()


if __name__ == "__main__":
    sys.exit(main())
