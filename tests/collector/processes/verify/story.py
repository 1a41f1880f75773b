"""Books of a workshop with gates, people and money: something of each kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from fabgate import wire
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import (
    Admission,
    Collector,
    Contest,
    Gate,
    Group,
    Hole,
    Machine,
    ManualLine,
    Member,
    Payer,
    Quarantine,
    Review,
    UsageSession,
)
from fabgate.collector.money.billing import contests, member_plans, terms
from fabgate.collector.money.billing.charges import decisions, refresh
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid import ledger, modes
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.money.billing.vat import rates
from fabgate.collector.processes.verify import (
    audit_head,
)
from fabgate.collector.recording.intake.store import Store
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages import billing
from tests.collector.gates import NOON, Journal
from tests.collector.processes.verify.histories import ZONE
from tests.collector.processes.verify.people import write_people
from tests.support.baseline import log_the_rest


def write_books(home: Path) -> None:  # noqa: PLR0915 (a long story, told in order)
    """Two gates with sessions of every kind, a gap, a fork, corrections, reviews, and what they cost."""
    Collector.objects.create(id=1, collector="c", site="lyon", rolled_tz=ZONE)
    audit_head.keep_up(home)  # as the first start does
    for name in ("laser-1", "saw-1", "mill-1"):
        Gate.objects.create(name=name, machine=Machine.objects.create(name=name))
    for n in range(3):
        Member.objects.create(id=f"m-{n}", category="adult")
    log_the_rest()
    store, laser, saw = Store("lyon"), Journal(gate="laser-1"), Journal(gate="saw-1", boot="boot-2")
    laser.write("gate.started", version="1")
    for n in range(3):
        laser.start(f"s-{n}", f"m-{n}")
        laser.progress(f"s-{n}", 1000 * n, f"m-{n}", running_ms=500 * n)
        laser.end(f"s-{n}", 2000 * n, f"m-{n}", running_ms=900 * n, energy_wh=7 * n, running_unknown_ms=n)
    laser.start("s-open")
    laser.write("access.refused", badge="d9", reasons=["unknown-badge"])
    laser.write("access.refused", badge="d1", member="m-1", reasons=["no-training", "outside-hours"])
    saw.synced = False
    saw.write("gate.started", version="1")
    saw.write("access.refused", badge="d2", member="m-2", reasons=["blocked"])
    saw.start("t-0")
    saw.end("t-0", 4000)
    saw.synced = True
    saw.write("clock.synced")
    saw.start("t-1")
    saw.end("t-1", 60_000, reason="power-loss", uncertainty_ms=90_000)
    saw.start("t-2")
    saw.end("t-2", 60_000, reason="power-loss", uncertainty_ms=90_000)
    saw.write("gate.started", version="1")
    messages = saw.messages()
    store.store(laser.messages(), NOON)
    store.store([*messages[:6], *messages[7:]], NOON + timedelta(minutes=1))
    store.store([messages[6]], NOON + timedelta(minutes=2))
    forked = saw.fork(mark=3)
    forked.write("gate.started", version="1")
    store.store(forked.messages(), NOON + timedelta(minutes=3))
    new = Journal(gate="laser-1", boot="boot-3")
    new.write("gate.started", version="1", replaces=laser.name)
    store.store([new.message(1), new.status()], NOON + timedelta(minutes=4))
    lost = Journal(gate="laser-1", boot="boot-3")
    lost.write("gate.started", version="1", replaces=new.name)
    lost.write("clock.synced")
    lost.write("clock.synced")
    lost.bodies[-1] = b"{"  # what the gate wrote is not valid, and is kept in place of its number
    lost.write("clock.synced")
    store.store([lost.status(floor=2), *lost.messages(2)], NOON + timedelta(minutes=5))
    assert Quarantine.objects.filter(counts=True).count() == 1
    assert Hole.objects.get(state=Hole.LOST).journal.name == lost.name
    mill = Journal(gate="mill-1", boot="boot-5")
    mill.write("gate.started", version="1")
    mill.write("access.refused", time=NOON + timedelta(hours=3), badge="d3", reasons=["unknown-badge"])  # clock ahead
    mill.boot, mill.boottime_ms, mill.synced = "boot-6", 0, False  # its clock is never set
    who = {"session": "v-0", "member": "m-1", "badge": "d1", "supervisor": "m-2"}
    mill.write("session.started", **who, basis=wire.Basis(kind="grant"), mode="tap", energised_from_ms=0)
    mill.end("v-0", 4000)
    mill.start("v-1")
    mill.end("v-1", 4000)
    store.store(mill.messages(), NOON + timedelta(minutes=6))
    corrections.correct("s-1", "time", "1500", author="maya", reason="the cut was short")
    corrections.correct("s-1", "payer", "m-0", author="maya", reason="the class pays")
    corrections.correct("s-2", "member", "m-0", author="bo", reason="wrong badge")
    corrections.correct("s-2", "purpose", "training", author="bo", reason="a course")
    corrections.contest(UsageSession.objects.get(pk="s-0"), "it was not me", author="m-0")
    corrections.accept(Review.objects.get(session="t-1"), author="maya", note="power cut")
    terms.start("EUR", NOON.date(), ZONE, includes_vat=True, actor="maya")
    modes.set_mode("m-0", datetime.now(UTC).date(), prepays=True, actor="maya")
    paid = Paid("cash", "4711")
    wrong = ledger.credit("m-0", 5_000, paid, author="kim", now=datetime.now(UTC), form="f-1").entry
    ledger.take_back(wrong.pk, author="maya", now=datetime.now(UTC), reason="typed 50 instead of 5")
    first = NOON.date().replace(day=1)
    billing.plan("student", "m-1", "m-2", free_minutes=0)
    member_plans.set_plans({"m-2": ""}, first + timedelta(days=9), actor="maya")
    billing.rule("price=0.10 minimum=1", since=first)
    billing.rule("price=0.10 minimum=1 peak='mon 17:00-22:00 0.25'", since=first, machine="laser-1", plan="student")
    school = payers.add_organisation(Payer(name="Lycée", address="1 rue Neuve", email="a@b.example"), actor="maya")
    payers.set_references(school, {"tryton": "C-7", "odoo": "77"}, actor="maya")
    group = Group(name="5b", kind="class")
    with audit.change("maya", "group.added", group):
        group.save()
    payers.ensure(payers.of_member(Member.objects.get(pk="m-1")), actor="maya")
    payers.ensure(Payer(id=group.roster_id, group=group), actor="maya")
    payers.end(payers.add_organisation(Payer(name="Club"), actor="maya"), actor="maya")
    rates.set_rate("S20", Decimal(2), actor="maya")
    rates.set_rate("S20", Decimal(20), actor="maya")
    rates.set_rate("", Decimal("5.5"), actor="maya")
    rates.remove("", actor="maya")
    write_people()
    refresh.refresh_all()
    decisions.waive("s-2", author="maya", reason="The machine was faulty")
    decisions.waive("t-1", author="maya", reason="by mistake")
    decisions.withdraw("t-1", author="maya", reason="it was another one")
    decisions.add_line("m-0", "Plywood, 9 mm", 1250, day=NOON.date(), author="bo", vat_code="S20", session="s-0")
    decisions.remove_line(
        decisions.add_line("m-0", "Glue", 300, day=NOON.date(), author="bo").pk, author="bo", reason="twice"
    )
    line = ManualLine.objects.get()
    decisions.add_line("m-0", "Plywood (reversal)", -50, day=NOON.date(), author="bo", reverses=line.pk)
    admission = Admission(payer="m-0", reason="It was not Ada", author="maya", at=datetime.now(UTC))
    with audit.change("maya", "prepaid.admitted", admission, reason=admission.reason):
        admission.save()
    for _number in range(2):
        one = contests.contest(Contest.LINE, str(line.pk), "I took less", Member.objects.get(pk="m-0"), author="m-0")
        contests.answer(one.pk, Contest.KEPT, "We measured it", author="maya")
    with audit.change("maya", "contest.erased", one):  # of a closed month, contests.erase_words does it
        Contest.objects.filter(pk=one.pk).update(words="", answer="", erased_at=datetime.now(UTC))
    audit_head.keep_up(home)
