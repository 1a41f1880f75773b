"""Does the log still say what the tables say, after honest acts of many people have crossed each other?

The acts are done by the pages and the functions of the program, in random order. `verify` must find nothing after each
few of them, and a value that is changed without the program at the end.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import hashers
from django.db import models
from django.test import Client
from django.urls import reverse

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import (
    Account,
    ApiKey,
    Badge,
    Block,
    Change,
    Collector,
    Gate,
    Group,
    Journal,
    Machine,
    Member,
    OneTimeLink,
    Opening,
    Payer,
    Plan,
    SpecialDay,
    TariffRule,
    Training,
)
from fabgate.collector.members.accounts import links
from fabgate.collector.members.people import badges
from fabgate.collector.members.people.blocks import today
from fabgate.collector.members.people.import_list import uploads
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid import modes
from fabgate.collector.money.billing.vat import rates
from fabgate.collector.processes.verify import audit_head, run
from fabgate.collector.processes.verify.tables import logged
from fabgate.collector.recording.intake.store import Store
from fabgate.errors import UsageError
from tests.collector import gates, postgresql
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.log.forms import rules
from tests.collector.faces.pages.log.house import BROKEN, House
from tests.collector.processes.verify.histories import texts
from tests.collector.processes.verify.tampering import other, put
from tests.support.baseline import log_the_rest

pytestmark = pytest.mark.usefixtures("house")

CARDS = [f"04{n:02}B2C3D4E580" for n in range(1, 7)]
NAMES = ["Robots", "Sewing", "3B", "Atelier d'été"]
CATEGORIES = ["adult", "student", ""]
#: How many acts are between two verifications, and how often.
ACTS, TIMES = 8, 8
OLD_PASSWORD = "an older password"

Act = Callable[["Workshop"], Any]


class Workshop(House):
    """The workshop at the counter, and a choice by chance of who and what is meant."""

    is_compared = False

    def __init__(self, browse: Any, account: Any, chance: random.Random) -> None:
        super().__init__(browse, account)
        self.chance = chance
        self.store = Store("lyon")

    def some(self, model: type[models.Model], **wanted: Any) -> Any:
        """Return the id of a row by chance; that of none if there is none."""
        pks = list(model._base_manager.filter(**wanted).order_by("pk").values_list("pk", flat=True))
        nothing = "none" if isinstance(model._meta.pk, models.CharField) else 0
        return self.chance.choice(pks) if pks else nothing

    def several(self, model: type[models.Model]) -> list[str]:
        pks = sorted(map(str, model._base_manager.values_list("pk", flat=True)))
        return self.chance.sample(pks, self.chance.randrange(min(4, len(pks) + 1)))

    def machine_name(self) -> str:
        return Machine.objects.get(pk=self.some(Machine)).name

    def one_of(self, *values: Any) -> Any:
        return self.chance.choice(values)


def person(w: Workshop, **more: Any) -> dict[str, Any]:
    said = {"name": f"Person {w.chance.randrange(99)}", "lang": w.one_of("en", "fr"), "grace_days": "0"}
    said |= {"level": w.one_of("user", "supervisor"), "category": w.one_of(*CATEGORIES), "machines": w.several(Machine)}
    return {**said, **({"minor": "on"} if w.chance.randrange(2) else {}), **more}


def imported(w: Workshop) -> Any:
    lines = ["id,name,category,payer,badge,machines"]
    for pk in w.chance.sample(["m-1", "m-2", "m-3", "m-7", "m-8"], 3):
        card = w.one_of("", *CARDS)
        lines.append(f"{pk},Import {w.chance.randrange(99)},{w.one_of(*CATEGORIES)},{w.one_of('', 'm-1')},{card},saw")
    token = uploads.keep("\n".join([*lines, ""]).encode())
    seen = w.manager.get(reverse("people-import-preview", args=[token])).context
    found = seen and seen.get("found")
    new = [one.row.id for one in found.new] if found else []
    added = w.chance.sample(new, w.chance.randint(0, len(new))) if found and found.asks_for_each else ["all"]
    return w.post("people-import-preview", {"seen": found.fingerprint if found else "", "add": added}, token=token)


def seen_by_ingest(w: Workshop) -> Any:
    """A gate that the collector does not know reports, and refuses a badge."""
    journal = gates.Journal(gate=f"new-{w.chance.randrange(9)}", boot=f"boot-{w.chance.randrange(10**9)}")
    if Journal.objects.filter(gate__name=journal.gate).exists():
        return
    journal.write("gate.started", version="1")
    journal.write("access.refused", badge="d9", reasons=["unknown-badge"])
    w.store.store(journal.messages(), gates.NOON)


def session(w: Workshop) -> Any:
    number = w.chance.randrange(10**9)
    journal = gates.Journal(gate=w.one_of("laser-1", "saw-1"), boot=f"boot-{number}")
    journal.write("gate.started", version="1")
    journal.start(f"s-{number}", w.one_of("m-1", "m-2"))
    journal.end(f"s-{number}", 60_000, w.one_of("m-1", "m-2"))
    w.store.store(journal.messages(), gates.NOON)


def signed_in_with_an_older_hash(w: Workshop) -> Any:
    """A hash that an older version made is replaced when its owner signs in."""
    account = Account.objects.get(name="old")
    weak = hashers.get_hasher("argon2")
    weak.time_cost = 1
    with audit.change("old", "account.password", account):
        account.password = weak.encode(OLD_PASSWORD, "salt" * 4)
        account.save(update_fields=["password"])
    browser = Client(headers={"host": "localhost"}, SERVER_NAME="localhost")
    return browser.post("/sign-in", {"name": "old", "password": OLD_PASSWORD})


def invited(w: Workshop) -> Any:
    name = f"guest{w.chance.randrange(5)}"
    w.post("accounts-new", {"name": name, "role": w.one_of("desk", "trainer", "auditor")})
    if (found := Account.objects.filter(name=name).first()) is None or not w.chance.randrange(2):
        return None
    token = links.make(OneTimeLink.RESET, found, "manager")
    browser = Client(headers={"host": "localhost"}, SERVER_NAME="localhost")
    return w.post("welcome", {"password": "seven small boats"}, by=browser, token=token)


def role(w: Workshop) -> Any:
    pk = w.some(Account, name__startswith="guest")
    said = {"display_name": f"Guest {w.chance.randrange(9)}", "role": w.one_of("desk", "maintainer", "trainer")}
    return w.post("accounts-one", {**said, "member": w.one_of("", "m-1")}, pk=pk) if pk else None


def payer(w: Workshop) -> Any:
    if w.chance.randrange(2):
        return w.post("people-payer", {"payer": w.one_of("m-1", "", w.some(Payer))}, pk=w.some(Member))
    found = payers.add_organisation(Payer(name=w.one_of(*NAMES)), actor="maya")
    return payers.set_references(found, {"odoo": str(w.chance.randrange(9))}, actor="maya")


def payer_edited(w: Workshop) -> Any:
    said = {"address": f"{w.chance.randrange(9)} rue Neuve", "name": w.one_of(*NAMES)}
    return w.post("people-payer-edit", said, pk=w.some(Payer))


def lifted(w: Workshop) -> Any:
    found = Block.objects.filter(lifted_at=None).order_by("pk").first()
    return w.post("people-lift", {"block": found.pk}, pk=found.member_id) if found else None


def ended_payer(w: Workshop) -> Any:
    pk = w.some(Payer, member=None, group=None)
    return w.post("people-payer-end", {"over": w.one_of("0", "1")}, pk=pk) if pk != "none" else None


def rate(w: Workshop) -> Any:
    if w.chance.randrange(3):
        return rates.set_rate("S20", Decimal(w.chance.randrange(2, 25)), actor="maya")
    return rates.remove("S20", actor="maya")


def rule(w: Workshop) -> Any:
    machine = w.one_of("", w.machine_name())
    since = today() + timedelta(days=w.chance.randrange(20))
    return billing.rule(f"price=0.{w.chance.randrange(10, 90)}", since, machine=machine)


def plan(w: Workshop) -> Any:
    values = {"free_minutes": w.chance.randrange(90), "discount_percent": 0}
    if pk := w.some(Plan):
        w.post("month-plans-edit", values, pk=pk)
    return w.post("month-plans-new", {**values, "name": w.one_of("student", "club", "flat")})


def moved(w: Workshop) -> Any:
    return w.post("machines-gate-move", {"moved": w.some(Gate)}, name=w.machine_name())


def calendar(w: Workshop) -> Any:
    match w.chance.randrange(3):
        case 0:
            return w.post(
                "machines-calendar-weekly", {"days": w.one_of(["1"], ["2", "3"]), "start": "09:00", "to": "18:00"}
            )
        case 1:
            return w.post("machines-calendar-special", {"day": str(today() + timedelta(days=w.chance.randrange(9)))})
    kind, model = w.one_of(("weekly", Opening), ("special", SpecialDay))
    return w.post("machines-calendar-remove", {"kind": kind, "pk": w.some(model)})


def group(w: Workshop) -> Any:
    said = {"name": w.one_of(*NAMES), "kind": "class", "people": w.several(Member), "machines": w.several(Machine)}
    pk = w.some(Group)
    if pk and w.chance.randrange(3):
        return w.post("people-group-edit", said, pk=pk)
    return w.post("people-group-new", said)


def training(w: Workshop) -> Any:
    said = {
        "title": f"Training {w.chance.randrange(9)}",
        "machines": w.several(Machine),
        "trainers": w.several(Account),
    }
    if w.chance.randrange(3):
        return w.post("people-training-edit", said, pk=w.some(Training))
    return w.post("people-training-new", said)


def machine(w: Workshop) -> Any:
    said = {"title": f"Machine {w.chance.randrange(9)}", "category": w.one_of("wood", "laser", "")}
    if w.chance.randrange(3):
        return w.post("machines-one", said, name=w.machine_name())
    return w.post("machines-new", {**said, "name": w.one_of("drill", "lathe"), "preset": w.one_of("saw", "")})


def locked(w: Workshop) -> Any:
    found = Machine.objects.get(pk=w.some(Machine))
    if found.lock_id:
        return w.post("floor-unlock", {"lock": found.lock_id}, name=found.name)
    return w.post("floor-lock", BROKEN, name=found.name)


def grant(w: Workshop) -> Any:
    said = {
        "training": w.some(Training),
        "stage": "autonomous",
        "since": str(today()),
        "trainer": w.one_of("m-1", "m-2"),
    }
    if w.chance.randrange(2):
        return w.post("people-matrix", {**said, "member": w.several(Member)})
    return w.post("people-grant", said, pk=w.some(Member))


def key(w: Workshop) -> Any:
    if (pk := w.some(ApiKey)) and w.chance.randrange(2):
        is_link = ApiKey.objects.get(pk=pk).is_display
        return w.post("floor-displays-revoke" if is_link else "accounts-keys-revoke", pk=pk)
    if w.chance.randrange(2):
        return w.post("floor-displays", {"name": f"key{w.chance.randrange(9)}", "lang": "en", "names": "on"})
    return w.post("accounts-keys", {"name": f"key{w.chance.randrange(9)}", "scopes": ["sessions:read"], "lasts": "90"})


def planned(w: Workshop) -> Any:
    since = today() + timedelta(days=w.chance.randrange(9))
    return w.post("people-plan", {"plan": w.one_of("", w.some(Plan)), "since": str(since)}, pk=w.some(Member))


def badge_gone(w: Workshop) -> Any:
    pk = w.some(Badge, ended_at=None)
    return badges.end(Badge.objects.get(pk=pk), w.one_of(Badge.LOST, Badge.RETURNED), actor="maya") if pk else None


#: The acts; those that cross most are there more than once.
DONE: list[Act] = [
    *(lambda w: w.post("people-new", person(w, id=f"m-{w.chance.randrange(4, 9)}")),) * 2,
    *(lambda w: w.post("people-edit", person(w), pk=w.some(Member)),) * 3,
    *(lambda w: w.post("people-undo", pk=w.some(Member)),) * 3,
    *(imported,) * 2,
    *(lambda w: w.post("people-give", {"typed": w.one_of(*CARDS)}, pk=w.some(Member)),) * 3,
    lambda w: w.post("people-group-badge", {"typed": w.one_of(*CARDS, "0477B2C3D4E580")}, pk=w.some(Group)),
    *(badge_gone,) * 2,
    lambda w: w.post("people-block", {"reason": w.one_of("payment-due", "conduct")}, pk=w.some(Member)),
    lifted,
    lambda w: w.post("people-leave", pk=w.some(Member)),
    lambda w: w.post("people-back", pk=w.some(Member, left_on__isnull=False) or "m-1"),
    *(grant,) * 2,
    lambda w: w.post(
        "people-revoke", {"training": w.some(Training), "reason": "x"}, pk=w.some(Member, grants__isnull=False)
    ),
    *(training,) * 2,
    *(group,) * 3,
    lambda w: w.post("people-group-end", {"over": w.one_of("0", "1")}, pk=w.some(Group)),
    lambda w: w.post("people-group-payer", {"payer": w.some(Payer)}, pk=w.some(Group)),
    *(payer,) * 2,
    ended_payer,
    *(payer_edited,) * 2,
    *(machine,) * 2,
    lambda w: w.post("machines-rules", rules(w), name="laser"),
    lambda w: w.post("machines-preset", {"preset": w.one_of("laser", "saw")}, name=w.machine_name()),
    lambda w: w.post("machines-retire", {"retired": w.one_of("0", "1")}, name=w.machine_name()),
    *(lambda w: w.post("machines-trainings", {"trainings": w.several(Training)}, name=w.machine_name()),) * 2,
    lambda w: w.post(
        "joins-new", {"gate": f"new-{w.chance.randrange(9)}", "machine": w.machine_name(), "build": "bench"}
    ),
    *(moved,) * 2,
    *(locked,) * 2,
    calendar,
    *(invited,) * 2,
    *(role,) * 2,
    lambda w: w.post("accounts-one", {"active": w.one_of("0", "1")}, pk=w.some(Account, name__startswith="guest")),
    lambda w: w.post("accounts-link", pk=w.some(Account, name__startswith="guest")),
    lambda w: w.post("language", {"language": w.one_of("en", "fr")}),
    key,
    signed_in_with_an_older_hash,
    seen_by_ingest,
    session,
    rate,
    *(rule,) * 2,
    lambda w: w.post("month-tariffs-remove", pk=w.some(TariffRule)),
    *(plan,) * 2,
    *(planned,) * 2,
    lambda w: modes.set_mode(w.some(Payer), today(), prepays=bool(w.chance.randrange(2)), actor="maya"),
    lambda w: w.post("month-workshop", {"name": w.one_of(*NAMES), "address": "Lyon"}),
]


@pytest.mark.parametrize("seed", range(2 if postgresql.SERVER else 4))
def test_verify_finds_nothing_after_acts_that_cross_each_other(house, browse, account, mail_server, seed):
    mail_server()
    Journal.objects.all().delete()  # of which there are no entries
    Collector.objects.update_or_create(id=1, defaults={"collector": "c", "site": "lyon", "rolled_tz": "UTC"})
    audit_head.keep_up(house.data)
    w = Workshop(browse, account, random.Random(seed))
    account("trainer", "old")
    log_the_rest()
    billing.start()
    for _time in range(TIMES):
        done = []
        for _act in range(ACTS):
            act = w.chance.choice(DONE)
            before = Change.objects.count()
            try:
                answer = act(w)
            except UsageError as error:
                answer = error
            done.append((getattr(act, "__name__", ""), answer, Change.objects.count() - before))
            assert getattr(answer, "status_code", 0) != 500, done
        report = run.run(house.data)
        assert texts(report) == [], done
    assert len(set(Change.objects.exclude(actor="start").values_list("verb", flat=True))) >= 15
    named_after_a_change_without_the_program(w, house.data)


def named_after_a_change_without_the_program(w: Workshop, data: Any) -> None:
    filled = [(table, model) for table, model in logged.tables() if model._base_manager.exists()]
    table, model = w.chance.choice([one for one in filled if one[0] not in {"collector", "prepaidentry", "workshop"}])
    texts_of = [
        field
        for field in model._meta.concrete_fields
        if field.name in logged.columns(model)
        and isinstance(field, (models.CharField, models.TextField))
        and not (field.primary_key or field.unique or field.choices)
    ]
    if not texts_of:
        table, model = "member", Member
        texts_of = [Member._meta.get_field("note")]
    field, pk = w.chance.choice(texts_of), w.some(model)
    before = model._base_manager.filter(pk=pk).values_list(field.attname, flat=True).get()
    put(table, field.column, pk, f"{other(before or 'a')}"[:1] if not before else other(before))
    assert (table, field.name) in {(one.table, one.column) for one in run.run(data).findings}


def test_every_act_is_done(house, browse, account, mail_server):
    """An act that is always refused would prove nothing."""
    mail_server()
    billing.start()
    account("trainer", "old")
    w = Workshop(browse, account, random.Random(1))
    left = {id(act): act for act in DONE}
    for _time in range(25):
        for act in [*left.values(), *w.chance.sample(DONE, 5)]:  # others too: one may open what another closed
            before = Change.objects.count()
            try:
                act(w)
            except UsageError:
                continue
            if Change.objects.count() > before or act is session:
                left.pop(id(act), None)
    assert [act.__code__.co_firstlineno for act in left.values()] == []
