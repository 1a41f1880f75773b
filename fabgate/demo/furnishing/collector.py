"""Fills the demo's collector with gates, machines, people and a history, in one process, before it runs.

``python -m fabgate.demo.furnishing.collector`` reads a ``Wanted`` as JSON from its standard input, and prints a ``Made``
for each gate. It does what several verbs of ``fabgate collector`` do, but starts only once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from fabgate import badge
from fabgate.badge.short_forms import SHORT_FORMS, read_names
from fabgate.collector.ground.base import environ
from fabgate.collector.processes import start
from fabgate.demo.furnishing import tables
from fabgate.demo.furnishing.people import CARDS, LOSER, MINOR
from fabgate.demo.furnishing.places import Made, Wanted, Workplace
from fabgate.errors import FabgateError

ACTOR: Final = "demo"
#: The account of the person who opens the wall: it has no password, only the demo's own link.
ACCOUNT: Final = "demo"


def main() -> int:
    """Fill the collector; return the exit code."""
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=Wanted)
    try:
        database = environ.read(os.environ, need_site=True).database
        had_tables = tables.lay(database)
        start.prepare()
        if not had_tables:
            tables.keep(database)
        made = _furnish(wanted)
        if wanted.today is not None:
            from fabgate.demo.furnishing.past import history as past  # noqa: PLC0415 (slow to import: only for a demo with a past)

            made = past.furnish(wanted, wanted.today, made)
        sys.stdout.write(msgspec.json.encode(made).decode())
    except FabgateError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _furnish(wanted: Wanted) -> dict[str, Made]:
    # Models can be imported only once Django is set up.
    from django.db import transaction  # noqa: PLC0415

    with transaction.atomic():
        _forms(wanted.places)
        made = {place.gate: _place(place, had_past=wanted.today is not None) for place in wanted.places}
        _people(Path(wanted.members))
        _account(wanted.lang)
    return made  # the web server builds the rosters when it starts


def _forms(places: Sequence[Workplace]) -> None:
    """Name the short forms that readers of these places give, as ``badge-forms`` does."""
    from django.conf import settings  # noqa: PLC0415

    from fabgate.collector.ground.db import audit  # noqa: PLC0415
    from fabgate.collector.ground.models import Collector  # noqa: PLC0415

    collector = Collector.get(settings.ENVIRONMENT.site)
    with audit.change(ACTOR, "collector.badge-forms", collector):
        given = {f"em:{place.fobs}" for place in places}
        collector.badge_forms = " ".join(read_names(given & SHORT_FORMS.keys()))
        collector.save(update_fields=["badge_forms"])


def _place(place: Workplace, *, had_past: bool) -> Made:
    from fabgate.collector.ground.db import audit  # noqa: PLC0415
    from fabgate.collector.members.machines import enrol_gate  # noqa: PLC0415

    entered = enrol_gate.enrol(place.gate, place.machine, actor=ACTOR)
    machine = entered.gate.machine
    assert machine is not None
    with audit.change(ACTOR, "machine.updated", machine):
        machine.title, machine.rules = place.title, (had_past and place.before) or place.rules
        machine.save()
    token, seal, badges = (str(entered.directory / name) for name in entered.FILES)
    return Made(token, seal, badges)


def _people(file: Path) -> None:
    from django.conf import settings  # noqa: PLC0415

    from fabgate.collector.ground.db import audit  # noqa: PLC0415
    from fabgate.collector.ground.models import Badge, Member  # noqa: PLC0415
    from fabgate.collector.members.access import roster  # noqa: PLC0415
    from fabgate.collector.members.people.import_list import file as members_file  # noqa: PLC0415
    from fabgate.collector.members.people.import_list import store  # noqa: PLC0415

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
    from fabgate.collector.ground.db import audit  # noqa: PLC0415
    from fabgate.collector.ground.models import Account  # noqa: PLC0415

    account = Account(name=ACCOUNT, display_name="Demo", role=Account.MANAGER, lang=lang)
    account.set_unusable_password()
    with audit.change(ACTOR, "account.added", account):
        account.save()


if __name__ == "__main__":
    sys.exit(main())
