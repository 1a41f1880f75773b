"""A workshop as it is on a Wednesday evening: machines, people with accents in their names, two months of sessions.

What gates say goes through the store, as it does in life, so that sums, reviews and refusals come about by themselves.
"""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.test import Client

from fabgate import badge, wire
from fabgate.collector.ground.base.key_files import new_key, write_secret
from fabgate.collector.ground.models import (
    Account,
    Badge,
    Block,
    Gate,
    Grant,
    Machine,
    Member,
    Training,
)
from fabgate.collector.members.access import roster
from fabgate.collector.members.machines import presets
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.intake.store import Store
from tests.collector.gates import Journal

#: gate, machine, title, category, preset
MACHINES = (
    ("laser-1", "laser", "Laser cutter", "laser", "laser"),
    ("saw-1", "bandsaw", "Bandsaw", "wood", "saw"),
    ("saw-2", "table-saw", "Table saw", "wood", "saw"),
    ("lathe-1", "lathe", "Wood lathe", "wood", "bench-tool"),
    ("mill-1", "cnc-mill", "CNC mill", "metal", "cnc"),
    ("weld-1", "welder", "TIG welder", "metal", "bench-tool"),
    ("print-1", "printer-a", "3D printer A", "3d", "printer-3d"),
    ("print-2", "printer-b", "3D printer B", "3d", "printer-3d"),
)
NAMES = (
    "Zoé Müller-Østergård", "Ada Lovelace", "François Lefèvre", "Anaïs Bézier", "Bjørn Sørensen", "Chloé Dupré",
    "Dénes Kovács", "Élise Noël", "Fatima Zahra", "Gaël Le Goff", "Héloïse Petit", "Iñaki Etxeberria", "Jürgen Groß",
    "Karolína Nováková", "Léa Fournier", "Mårten Åkesson", "Nadège Roux", "Oğuz Öztürk", "Paweł Żuk", "Quentin Girard",
    "Renée Côté", "Søren Kjær", "Théo Blanc", "Ülkü Şahin", "Véronique Hervé", "Wiktoria Łęcka", "Xavier Peña",
    "Yaël Cohen", "Zdeněk Dvořák", "Aurélie Martin", "Benoît Faure", "Céline Garnier", "Damien Marchand", "Eloïse Chevalier",
    "Frédéric Lambert", "Grégoire Bonnet", "Hélène Rousseau", "Ismaël Diallo", "Jérôme Leclerc", "Åsa Lindström",
)  # fmt: skip
#: name, title, machines, what it wants first, days
TRAININGS = (
    ("safety", "Safety tour", (), None, None),
    ("laser", "Laser cutting", ("laser",), "safety", 730),
    ("saws", "Saws", ("bandsaw", "table-saw"), "safety", None),
    ("lathe", "Wood turning", ("lathe",), "safety", None),
    ("metal", "Metal workshop", ("cnc-mill", "welder"), "safety", 365),
    ("printing", "3D printing", ("printer-a", "printer-b"), None, None),
)
CATEGORIES = ("adult", "student", "school", "company", "")
MINUTE_MS = 60_000
#: How far back sessions go: on each day of the year some are in the month before the last one.
DAYS = 66


def open_for_business(now: datetime | None = None, *, sessions: int = 400, seed: int = 1) -> None:
    """Fill the database; `now` is this Wednesday evening."""
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    chance = random.Random(seed)
    _keys()
    _machines()
    _people(now)
    _badges(now)
    _gates_say(now, chance, sessions)
    roster.rebuild()
    _online(now)


class Workshop:
    """What was made, by the names under which tests speak of it."""

    @classmethod
    def open(cls, now: datetime | None = None, **more: int) -> Workshop:
        """Fill the database and return it."""
        open_for_business(now, **more)
        return cls()


def signed_in(role: str, **more: Any) -> Client:
    """Return a browser in which somebody of that role is signed in."""
    client = Client(headers={"host": "localhost"}, SERVER_NAME="localhost")
    client.force_login(Account.objects.filter(name=more.get("name") or role).first() or account(role, **more))
    return client


def account(role: str, *, name: str = "", member: str | None = None, **more: Any) -> Account:
    """Return an account of a role that can sign in (``client.force_login``)."""
    found = Account(name=name or role, role=role, display_name=more.pop("display_name", role.title()), **more)
    found.member = Member.objects.get(pk=member) if member else None
    found.set_unusable_password()
    found.save()
    return found


def gates_have_fetched(*names: str) -> None:
    """Let these gates, or all, report the roster that they were built last."""
    for gate in Gate.objects.filter(name__in=names) if names else Gate.objects.all():
        gate.reported_roster = gate.roster_version
        gate.save(update_fields=["reported_roster"])


def _keys() -> None:
    env = settings.ENVIRONMENT
    env.data.mkdir(parents=True, exist_ok=True)
    write_secret(env.badge_key_file, new_key("b1"))


def _machines() -> None:
    for gate, name, title, category, preset in MACHINES:
        machine = Machine(name=name, title=title, category=category)
        presets.apply(machine, preset)
        machine.save()
        Gate.objects.create(name=gate, machine=machine, token_hash="x" * 64)
        own = settings.ENVIRONMENT.gate_directory(gate)
        own.mkdir(parents=True, exist_ok=True)
        write_secret(own / "seal.keys", new_key("s1"))
    broken = Machine.objects.get(name="table-saw")
    broken.set_lock("idle", "Belt broken", "2027-01-14", by="maya", at=datetime.now(UTC) - timedelta(days=1))
    broken.save()


def _people(now: datetime) -> None:
    today = now.astimezone(ZoneInfo(settings.ENVIRONMENT.tz)).date()  # where the workshop is, as the pages count days
    for number, name in enumerate(NAMES, 1):
        Member.objects.create(
            id=f"m-{number}",
            name=name,
            lang="fr" if number % 3 else "en",
            email=f"m{number}@example.org",
            category=CATEGORIES[number % len(CATEGORIES)],
            minor=number % 13 == 0,
            valid_until=today + timedelta(days=20 * number - 100) if number % 4 else None,
            joined_on=today - timedelta(days=30 * number),
            level="maintainer" if number == 2 else "user",
        )
    wanted: dict[str, Training] = {}
    for name, title, machines, first, days in TRAININGS:
        found = Training.objects.create(
            name=name, title=title, prerequisite=wanted.get(first or ""), expires_after_days=days
        )
        found.machines.set(Machine.objects.filter(name__in=machines))
        wanted[name] = found
    stages = (Grant.AUTONOMOUS, Grant.AUTONOMOUS, Grant.SUPERVISED, Grant.INSTRUCTOR)
    for number in range(1, len(NAMES) + 1):
        held = ["safety", *(name for at, name in enumerate(wanted) if name != "safety" and (number + at) % 3)]
        for at, name in enumerate(held):
            Grant.objects.create(
                member_id=f"m-{number}",
                training=wanted[name],
                stage=Grant.AUTONOMOUS if name == "safety" else stages[(number + at) % len(stages)],
                since=today - timedelta(days=40 * (number % 20) + 1),
                trainer="Maya Roussel",
            )
    for number, reason in ((7, "payment-due"), (19, "suspended")):
        Block.objects.create(member_id=f"m-{number}", reason=reason, actor="maya", at=now - timedelta(days=3))


def spelling(number: int) -> badge.Badge:
    """Return the badge of member `number`."""
    return badge.parse(f"04{number:02X}B2C3D4E580")


def _badges(now: datetime) -> None:
    key = roster.badge_key(settings.ENVIRONMENT)
    for number in range(1, len(NAMES) + 1):
        carried = spelling(number)
        Badge.objects.create(
            spelling=str(carried),
            digest=badge.digest(carried, key),
            number=f"{1000 + number}",
            member_id=f"m-{number}",
            since=now - timedelta(days=200),
        )


def _gates_say(now: datetime, chance: random.Random, sessions: int) -> None:
    store = Store(settings.ENVIRONMENT.site)
    for at, (gate, *_rest) in enumerate(MACHINES):
        journal = Journal(gate=gate, site=settings.ENVIRONMENT.site)
        said: list[Received] = [journal.status(version="1.0.0", reader="ok", synced=True)]
        count = sessions // len(MACHINES)
        for one in range(count):
            hours = 24 * DAYS * (count - one) / count
            started = now - timedelta(hours=hours) - timedelta(minutes=chance.randrange(30))
            said += _session(journal, f"{gate}-{one}", started, chance)
            if one % 9 == 0:
                said.append(_refusal(journal, started + timedelta(hours=1), chance))
        if at % 3 == 0:
            said.append(_running(journal, f"{gate}-now", now - timedelta(minutes=17 + at), at))
            said.append(
                journal.state(
                    state="active",
                    session=f"{gate}-now",
                    member=f"m-{at + 1}",
                    since=now - timedelta(minutes=17 + at),
                    energised_ms=(17 + at) * MINUTE_MS,
                    running_ms=9 * MINUTE_MS,
                )
            )
        else:
            said.append(journal.state(state="idle"))
        said.append(journal.status(version="1.0.0", reader="ok", synced=True))
        for first in range(0, len(said), 200):
            store.store(said[first : first + 200], now)


def _session(journal: Journal, session: str, started: datetime, chance: random.Random) -> list[Received]:
    number = 1 + min(int(chance.expovariate(0.12)), len(NAMES) - 1)
    minutes = max(2, int(chance.gauss(45, 25)))
    who = {"session": session, "member": f"m-{number}", "badge": _digest(number)}
    ended: dict[str, Any] = {"reason": chance.choice(["badge"] * 6 + ["idle", "button", "limit"])}
    if chance.random() < 0.04:
        ended = {"reason": "power-loss", "uncertainty_ms": 90_000}
    elif journal.gate.startswith("laser"):  # the one with an energy meter
        ended["energy_wh"] = minutes * 12
    on_ms = minutes * MINUTE_MS + chance.randrange(MINUTE_MS)
    begin = journal.write("session.started", time=started, **who, basis=wire.Basis(kind="grant"), mode="tap")
    journal.boottime_ms += on_ms - 1000  # both clocks of a gate go at one pace
    end = journal.write(
        "session.ended",
        time=started + timedelta(milliseconds=on_ms),
        **who,
        energised_ms=on_ms,
        running_ms=int(minutes * MINUTE_MS * 0.6),
        **ended,
    )
    return [begin, end]


def _running(journal: Journal, session: str, started: datetime, at: int) -> Received:
    who = {"session": session, "member": f"m-{at + 1}", "badge": _digest(at + 1)}
    return journal.write("session.started", time=started, **who, basis=wire.Basis(kind="grant"), mode="tap")


def _refusal(journal: Journal, moment: datetime, chance: random.Random) -> Received:
    number = chance.randrange(1, len(NAMES))
    if chance.random() < 0.4:
        return journal.write(
            "access.refused",
            time=moment,
            badge=hashlib.sha256(b"stranger %d" % number).hexdigest(),
            reasons=["unknown-badge"],
        )
    reasons = chance.choice([["training-missing"], ["expired", "training-missing"], ["payment-due"]])
    return journal.write("access.refused", time=moment, badge=_digest(number), member=f"m-{number}", reasons=reasons)


def _digest(number: int) -> str:
    return badge.digest(spelling(number), roster.badge_key(settings.ENVIRONMENT))


def _online(now: datetime) -> None:
    """All gates are there and know their rosters; one fell silent at lunch."""
    gates_have_fetched()
    Gate.objects.update(online=True, seen_at=now)
    Gate.objects.filter(name="saw-1").update(online=False, seen_at=now - timedelta(hours=4))
