"""Fills a collector with two months of a workshop, before its web server starts, and lists the addresses of its pages.

``python -m tests.browser.sample_data`` fills the collector that the environment names, and prints as JSON an address for
every route that a person can open. It fails for a route that needs values and has none here, so that no new page is missed.
With ``--unbilled``, billing has not been started, and no page is listed.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from fabgate.collector.ground.base import key_files
from fabgate.collector.processes import start

#: The names of two accounts, and the password of all.
PASSWORD: Final = "three green chairs"
MANAGER: Final = "maya"
MEMBER: Final = "zoe"
UNBILLED: Final = "--unbilled"
#: Routes that answer with something other than a page: a stream, a file, a redirect, or part of a page.
NO_PAGES: Final = {
    *("home", "floor-events", "wall-now"),
    *("people-import-template", "people-import-trainings-template", "use-export-csv", "use-export-xlsx"),
    *("people-credit-pdf", "month-credits-csv", "use-complete-pdf", "month-csv", "month-xlsx"),
    *("month-statement-pdf", "month-statement-csv", "month-archive", "my-statement-pdf", "my-statement-csv"),
}
#: Routes of simulated workshops only, with the addresses that are checked there.
WALL: Final = {"wall": "/wall", "wall-enter": "/enter/used-up"}
#: The account that opens a page instead of the manager; "" for none.
OPENED_BY: Final = {"sign-in": "", "welcome": "", "display": ""}


def main() -> None:
    """Fill the collector and print its pages."""
    start.prepare()
    json.dump(fill_unbilled() if UNBILLED in sys.argv else fill(), sys.stdout)


def fill() -> dict[str, Any]:
    """Fill the collector that Django is set up for; return its addresses, names and password."""
    _people_and_machines()
    _recent_refusals()
    _pages_used()
    _second_card()
    _plans_change()
    _billing()
    _verified()
    _charged()
    return {"pages": _pages(), "no_pages": _no_pages(), "names": _names(), "password": PASSWORD}


def _charged() -> None:
    """Charge everything, as the worker does."""
    from fabgate.collector.money.billing.charges import refresh

    refresh.refresh_all()


def fill_unbilled() -> dict[str, Any]:
    """Fill the collector with people, machines and sessions only."""
    _people_and_machines()
    return {"pages": [], "no_pages": {}, "names": [], "password": PASSWORD}


def _people_and_machines() -> None:
    # Models can be imported only once Django is set up.
    from fabgate.collector.ground.db import audit
    from fabgate.collector.ground.models import Account, Machine, Member
    from tests.collector.faces.pages import workshop

    workshop.open_for_business(sessions=200)
    for name, role, shown, member in (
        (MANAGER, Account.MANAGER, "Maya Roussel", None),
        ("karim", Account.DESK, "Karim Benali", None),
        ("ines", Account.TRAINER, "Inès Moreau", "m-4"),
        ("tom", Account.ACCOUNTANT, "Tom Vasseur", None),
        (MEMBER, Account.MEMBER, "Zoé Müller", "m-1"),
    ):
        account = Account(name=name, role=role, display_name=shown)
        account.member = Member.objects.get(pk=member) if member else None
        account.set_password(PASSWORD)
        with audit.change("first-link", "account.added", account):
            account.save()
    laser = Machine.objects.get(name="laser")
    with audit.change(MANAGER, "machine.updated", laser):
        laser.note = "Lens cleaned every Monday."
        laser.save()


def _recent_refusals() -> None:
    """Add a drill with three recent refusals: an unknown badge, a missing training, a payment due."""
    from django.conf import settings

    from fabgate.collector.ground.models import Gate, Machine
    from fabgate.collector.members.machines import presets
    from fabgate.collector.recording.intake.store import Store
    from tests.collector.faces.pages import workshop
    from tests.collector.gates import Journal

    machine = Machine(name="drill", title="Drill press", category="wood")
    presets.apply(machine, "bench-tool")
    machine.save()
    Gate.objects.create(name="drill-1", machine=machine, token_hash="x" * 64)
    own = settings.ENVIRONMENT.gate_directory("drill-1")
    own.mkdir(parents=True)
    key_files.write_secret(own / "seal.keys", key_files.new_key("s1"))
    now = datetime.now(UTC)
    journal = Journal(gate="drill-1", site=settings.ENVIRONMENT.site)
    messages = [journal.write("gate.started", time=now - timedelta(days=1), version="0.1.0.dev1056+gcb507f52")]
    for minutes, number, reason in ((48, 7, "payment-due"), (19, 20, "training-missing"), (4, 0, "unknown-badge")):
        who = (
            {"badge": "c0ffee" + "0" * 58}
            if not number
            else {"member": f"m-{number}", "badge": workshop._digest(number)}
        )
        messages.append(journal.write("access.refused", time=now - timedelta(minutes=minutes), reasons=[reason], **who))
    messages += [
        journal.state(state="idle"),
        journal.status(version="0.1.0.dev1056+gcb507f52", reader="ok", synced=True),
    ]
    Store(settings.ENVIRONMENT.site).store(messages, now)


def _second_card() -> None:
    """Let two devices use the keys of the laser's gate, and a third one the keys that it had before; cut the welder's off."""
    from django.db import transaction

    from fabgate.collector.ground.models import BrokerAccount, Gate
    from fabgate.collector.members.machines.keys import clones, revoke_gate

    gate, now = Gate.objects.get(name="laser-1"), datetime.now(UTC)
    with transaction.atomic():
        clones.keys_ended(gate, Gate.hash_of("old"), now - timedelta(days=40))
    first, second = "3f0c9d52-5d0e-4c5b-9a43-0c8b5a0a7f11", "b81e77aa-92f4-4f0e-8a50-6d9f5c3e2d70"
    for hours, boot, address in ((30, first, "192.168.1.20"), (3, second, "192.168.1.66"), (1, first, "192.168.1.20")):
        clones.fetched(gate, boot, address, now - timedelta(hours=hours))
    clones.refused(gate.name, "old", "192.168.1.67", now - timedelta(minutes=50))
    stolen = revoke_gate.revoke("weld-1", actor=MANAGER)
    BrokerAccount.objects.create(gate=stolen, asked_at=now, confirmed_at=now)


def _pages_used() -> None:
    """Add what people do on pages: a loan, a group, opening hours, a block, a correction, a key, a command."""
    from fabgate import badge
    from fabgate.collector.ground.db import audit
    from fabgate.collector.ground.models import (
        ApiKey,
        Badge,
        Gate,
        Group,
        Member,
        Opening,
        Order,
        SpecialDay,
        UsageSession,
    )
    from fabgate.collector.members.people import badges, blocks
    from fabgate.collector.recording.sessions import corrections

    now = datetime.now(UTC)
    loan = badges.Card.spelled(badge.parse("em-hex:0A00B1C2D3"))
    badges.assign(
        loan,
        Member.objects.get(pk="m-3"),
        actor="karim",
        kind=Badge.LOAN,
        number="L-07",
        until=badges.end_of(blocks.today()),
    )
    school = Group(name="Collège Jean Moulin, 3e B", kind=Group.CLASS)
    with audit.change(MANAGER, "group.added", school):
        school.save()
        school.members.set(Member.objects.filter(pk__in=["m-13", "m-26", "m-39"]))
    badges.assign(
        badges.Card.spelled(badge.parse("04F2B2C3D4E580")), school, actor="karim", kind=Badge.CLASS, number="C-1"
    )
    _payers()
    blocks.block_member(Member.objects.get(pk="m-5"), "payment-due", now.date() + timedelta(days=20), actor="karim")
    closed = {(now + timedelta(days=days)).isoweekday() for days in (3, 4)}  # today is never closed
    Opening.objects.create(days=sorted({1, 2, 3, 4, 5, 6, 7} - closed), start=time(9), to=time(21, 30))
    SpecialDay.objects.create(day=now.date() + timedelta(days=30), note="Inventory")
    ApiKey.make("Invoices", ["sessions:read"], made_by=None, expires_at=now + timedelta(days=365))
    long = UsageSession.objects.filter(machine__name="cnc-mill", reason="badge").order_by("-ended_at").first()
    assert long is not None
    corrections.correct(long.pk, "purpose", "maintenance", author=MANAGER, reason="Spindle bearing was replaced")
    laser = Gate.objects.get(name="laser-1")
    given = {"id": "order-1", "gate": laser, "command": "identify", "actor": "karim", "at": now, "until": now}
    Order.objects.create(**given, outcome="done", answered_at=now)


def _verified() -> None:
    """Add a night in which the books were found altered, after a restore."""
    from fabgate.collector.ground.models import Verification

    session = "01975c3e-7a2f-7cc0-8000-5f4dcc3b5aa7"
    at, head = datetime.now(UTC) - timedelta(hours=7), f"5120:{'9f0c6a27' * 8}"
    changed = {"row": session, "problem": "changed", "column": "counted_ms", "found": "1", "wanted": "5400000"}
    Verification.objects.create(
        began_at=at,
        ended_at=at,
        findings=64,
        shown=[
            {"table": "usagesession", **changed},
            {"table": "change", "row": "numbers 5101 to 5120", "problem": "missing", "column": "", "found": None}
            | {"wanted": "they were deleted, or an older copy of the database was put back"},
        ],
        compared={"entry": 2_013_482, "usagesession": 1_000_000, "change": 5120},
        notes=[{"note": "restored", "head": head, "at": at.isoformat()}, {"note": "no-head", "head": "", "at": ""}],
        head=head,
    )


def _plans_change() -> None:
    """Add two plans, and a person with an earlier plan and one to come."""
    from fabgate.collector.ground.models import Member, Plan
    from fabgate.collector.members.people import blocks
    from fabgate.collector.money.billing import member_plans

    Plan.objects.create(name="Student", free_minutes=120)
    Plan.objects.create(name="Company", discount_percent=10)
    person, today = Member.objects.get(pk="m-5"), blocks.today()
    for plan, days in (("Student", -300), ("Company", -40), ("", 30)):
        member_plans.set_plan(person, plan, today + timedelta(days=days), actor=MANAGER)


def _billing() -> None:
    """Start billing two months ago, with rules that are over, in force and to come; machines for metal have none."""
    from django.conf import settings

    from fabgate.collector.ground.models import Machine, Plan, Workshop
    from fabgate.collector.members.people import blocks
    from fabgate.collector.money.billing import closing, member_plans, rule_store, terms
    from fabgate.collector.money.billing.charges import decisions
    from fabgate.collector.money.billing.tariffs import typed_rule
    from fabgate.collector.money.billing.vat import rates

    this = blocks.today().replace(day=1)  # where the site is
    last = (this - timedelta(days=1)).replace(day=1)
    found = terms.start(
        "EUR", (last - timedelta(days=1)).replace(day=1), settings.TIME_ZONE, includes_vat=True, actor=MANAGER
    )
    rates.set_rate("", Decimal(20), actor=MANAGER)  # that of the closed month; "S20" of a later rule has none yet
    student = Plan.objects.get(name="Student")
    member_plans.set_plans(dict.fromkeys(["m-1", "m-2", "m-7"], student.name), found.first_month, actor=MANAGER)
    laser = Machine.objects.get(name="laser")
    for machine, category, plan, since, typed in (
        (laser, "", None, found.first_month, "price=0.10 grace_s=60 vat_code=V20"),
        (laser, "", None, last, "price=0.12 grace_s=60 minimum=1 peak='mon-fri 17:00-22:00 0.25' daily_cap=15"),
        (laser, "", student, last, "price=0.08 grace_s=60"),
        (laser, "", None, this + timedelta(days=62), "price=0.15 grace_s=60 minimum=1 vat_code=S20"),
        (None, "wood", None, found.first_month, "price=0.05 step_s=900"),
        (None, "3d", None, found.first_month, "price=0.02 basis=running session_fee=0.50"),
    ):
        mistakes: list[str] = []
        rule = typed_rule.read(shlex.split(typed), found.digits, mistakes)
        assert rule is not None, mistakes
        rule_store.add(rule_store.unsaved((machine, category, plan), since, rule), MANAGER)
    rates.set_rate("V20", Decimal(20), actor=MANAGER)
    account = {"iban": "FR7630006000011234567890189", "account_holder": "Les Amis de la Gravière", "due_days": 30}
    Workshop.objects.create(name="Atelier des Deux-Rives", address="12 rue de la Charité\n69002 Lyon", **account)
    closing.close(found.first_month, datetime.now(UTC), actor=MANAGER, reason="The first month was a trial")
    decisions.add_line("m-1", "Plywood, 9 mm", 1250, day=last, author=MANAGER)
    _sinks(f"{found.first_month:%Y-%m}")
    _prepaid(this)
    _contests()


def _contests() -> None:
    """Contest a final charge, and a line and a credit of m-1; one of them is answered."""
    from fabgate.collector.ground.models import Charge, ClosedMonth, ManualLine, Member, PrepaidEntry
    from fabgate.collector.money.billing import contests

    final = Charge.objects.filter(month=ClosedMonth.objects.get().month, amount_minor__gt=0)
    charge = final.filter(payer__in=Member.objects.values("pk")).order_by("-amount_minor", "pk")[0]
    line = ManualLine.objects.filter(payer="m-1").latest("pk")
    credit = PrepaidEntry.objects.filter(payer="m-1", kind="credit", taken_back_by=None).latest("pk")
    for kind, key, who, words in (
        ("session", charge.session, charge.payer, "I switched off at four. Someone else continued with my badge."),
        ("line", str(line.pk), "m-1", "I took one sheet, not two."),
        ("entry", str(credit.pk), "m-1", "The cheque was 40."),
    ):
        one = contests.contest(kind, key, words, Member.objects.get(pk=who), author=MEMBER)
    contests.answer(one.pk, "kept", "The bank credited 20.", author=MANAGER)


def _sinks(month: str) -> None:
    """Add a folder that has its month, and a program that is away and has refused something before."""
    from django.conf import settings

    from fabgate.collector.ground.models import Charge, Sink, SinkLetter
    from fabgate.collector.money.billing.sinks import config, engine

    now, data = datetime.now(UTC), settings.ENVIRONMENT.data
    (data / "books").mkdir()
    (data / "shop.secret").write_text("whsec_" + "c2VjcmV0" * 4)
    config.path().write_text(
        f"books: {{driver: files, from: {month}, folder: books}}\n"
        f"shop: {{driver: webhook, from: {month}, url: 'http://127.0.0.1:9/hook', secret_file: shop.secret}}\n"
    )
    for one in config.load():
        engine.deliver(one, lambda: now)
    shop = Sink.objects.get(name="shop")
    states = ((SinkLetter.DEAD, "422 Unprocessable Content: unknown tax code"), (SinkLetter.HELD, "no-reference"))
    charges = Charge.objects.filter(month=f"{month}-01").order_by("pk")[:2]
    for charge, (state, why) in zip(charges, states, strict=True):
        shop.cursor = f"{charge.month}/c/{charge.pk}"
        shop.save(update_fields=["cursor"])
        shop.letters.create(
            key=charge.pk,
            place=shop.cursor,
            month=charge.month,
            payer=charge.payer,
            amount=charge.amount_minor,
            state=state,
            why=why,
            at=now,
        )


def _prepaid(this: date) -> None:
    """Let three people prepay: one has credit, one has little, and one changed their mind."""
    from fabgate.collector.ground.models import BillingTerms
    from fabgate.collector.money.billing.charges import decisions
    from fabgate.collector.money.billing.prepaid import ledger, modes
    from fabgate.collector.money.billing.prepaid.ledger import Paid

    BillingTerms.objects.update(low_credit_minor=500)
    now = datetime.now(UTC)
    for payer, paid in (
        ("m-1", [(5_000, Paid("card", "20261")), (20_000, Paid("cash")), (2_000, Paid("cheque", "BNP 7717"))]),
        ("m-5", [(1_000, Paid("cash", "20262"))]),
        ("m-12", [(4_250, Paid("transfer"))]),
    ):
        modes.set_mode(payer, this, prepays=True, actor=MANAGER)
        for amount, how in paid:
            ledger.credit(payer, amount, how, author="karim", now=now)
    wrong = ledger.PrepaidEntry.objects.get(amount_minor=20_000)
    ledger.take_back(wrong.pk, author=MANAGER, now=now, reason="Typed 200 instead of 20")
    ledger.refund("m-1", 1_000, Paid("cash", reason="Paid too much"), author=MANAGER, now=now)
    modes.set_mode("m-12", this, prepays=False, actor=MANAGER)
    decisions.add_line("m-5", "Filament", 700, day=(this - timedelta(days=1)).replace(day=1), author=MANAGER)
    _out_of_credit_if_accepted((this - timedelta(days=1)).replace(day=1), now)


def _out_of_credit_if_accepted(month: date, now: datetime) -> None:
    """Let a member contest the session that used up their credit."""
    from fabgate.collector.ground.models import Charge, Member, PrepaidChange, UsageSession
    from fabgate.collector.money.billing.charges import refresh
    from fabgate.collector.money.billing.prepaid import balances, ledger, modes
    from fabgate.collector.money.billing.prepaid.ledger import Paid
    from fabgate.collector.recording.sessions import corrections

    members = Member.objects.exclude(pk__in=PrepaidChange.objects.values("payer")).values("pk")
    charge = Charge.objects.filter(month=month, payer__in=members, plan="").order_by("-amount_minor", "pk")[0]
    modes.set_mode(charge.payer, month, prepays=True, actor=MANAGER)
    corrections.contest(UsageSession.objects.get(pk=charge.session), "My badge was lost then.", author=charge.payer)
    refresh.refresh_all()
    left = 1 - balances.of(charge.payer)
    ledger.credit(charge.payer, left, Paid("cash"), author="karim", now=now)


def _payers() -> None:
    """Add an organisation with references that pays for a class and for members, one that ended, and a paying member."""
    from fabgate.collector.ground.models import Group, Member, Payer
    from fabgate.collector.money.billing.paying import payers

    university = payers.add_organisation(
        Payer(
            name="Université Lumière Lyon 2",
            address="Service financier\n86 rue Pasteur\n69007 Lyon",
            email="factures@univ-lyon2.example",
            lang="fr",
            registration_number="196917751",
            vat_number="FR12196917751",
        ),
        actor=MANAGER,
    )
    payers.set_references(university, {"tryton": "4110042", "stripe": "cus_9s6XKzkNRiz8i3"}, actor=MANAGER)
    Member.objects.filter(pk__in=["m-7", "m-8", "m-20"]).update(payer=university)
    Group.objects.update(payer=university)
    payers.end(payers.add_organisation(Payer(name="Atelier du Parc SARL"), actor=MANAGER), actor=MANAGER)
    parent = payers.ensure(payers.of_member(Member.objects.get(pk="m-2")), actor=MANAGER)
    Member.objects.filter(pk="m-9").update(payer=parent)


def _pages() -> list[dict[str, str]]:
    from django.urls import NoReverseMatch, reverse

    from fabgate.collector.faces.pages import rights
    from fabgate.collector.ground.models import Account

    chosen = _chosen()
    found = []
    for route, right in rights.table().items():
        if (right.is_keyed and route != "display") or not right.get or route in NO_PAGES:
            continue
        parts, query = chosen.get(route, ({}, [""]))
        try:
            path = reverse(route, kwargs=parts)
        except NoReverseMatch as error:
            raise SystemExit(f"{route}: choose in tests/browser/sample_data.py what its page shows ({error})") from None
        who = OPENED_BY.get(
            route, MANAGER if right.may(Account.MANAGER, "GET") and not route.startswith("my-") else MEMBER
        )
        found += [{"route": route, "path": path + string, "as": who} for string in query]
    cut_off = {"route": "gates-one", "path": reverse("gates-one", args=["weld-1"]), "as": MANAGER}
    return [*found, cut_off, {"route": "not-found", "path": "/nowhere", "as": MANAGER}]


def _no_pages() -> dict[str, str]:
    from django.urls import reverse

    from fabgate.collector.faces.pages import rights
    from fabgate.collector.ground.models import ClosedMonth

    month = f"{ClosedMonth.objects.get().month:%Y-%m}"
    places: dict[str, dict[str, Any]] = {
        "people-credit-pdf": {"pk": 1},
        "month-archive": {"name": f"{month}.json"},
        "month-statement-pdf": {"pk": "m-1"},
        "month-statement-csv": {"pk": "m-1"},
        "my-statement-pdf": {"month": month},
        "my-statement-csv": {"month": month},
    }
    found = {route: reverse(route, kwargs=places.get(route)) for route in sorted(NO_PAGES & rights.table().keys())}
    return {
        route: f"{url}?month={month}" if route.startswith(("month-statement", "month-archive")) else url
        for route, url in found.items()
    }


def _names() -> list[str]:
    """Return names that people chose, which are never translated."""
    from fabgate.collector.ground.models import Machine, Member, Plan, Training

    categories = Member.objects.order_by("category").values_list("category", flat=True).distinct()
    named = [*Machine.objects.all(), *Training.objects.all(), *Plan.objects.all()]
    return [*map(str, named), *filter(None, categories)]


def _code() -> int:
    """Return the id of a new code with which a gate joins."""
    from fabgate.collector.members.machines import joins

    code = joins.make(
        "laser-9", "laser", build="standard", address="https://collector.lan", actor=MANAGER, now=datetime.now(UTC)
    )
    code.attempts.create(exchange="0" * 32, at=code.made_at, address="192.168.1.20", agreement="", state="wrong")
    return code.pk


def _chosen() -> dict[str, tuple[dict[str, Any], list[str]]]:
    """Return, by route, the values of its path and the query strings to check."""
    from django.utils import timezone

    from fabgate.collector.ground.models import (
        Account,
        ApiKey,
        ClosedMonth,
        Contest,
        Group,
        IssuedStatement,
        Machine,
        OneTimeLink,
        Payer,
        Plan,
        PrepaidChange,
        PrepaidEntry,
        Refusal,
        TariffRule,
        Training,
        UsageSession,
    )
    from fabgate.collector.members.accounts import links
    from fabgate.collector.members.people.import_list import uploads
    from fabgate.collector.money.billing.charges import refresh

    desk = Account.objects.get(name="karim")
    laser = Machine.objects.get(name="laser")
    own = UsageSession.objects.filter(used_by="m-1", reason="badge").order_by("-ended_at").first()
    doubtful = UsageSession.objects.filter(reason="power-loss").order_by("-ended_at").first()
    unknown = Refusal.objects.filter(member="").order_by("-at").first()
    assert own is not None
    assert doubtful is not None
    assert unknown is not None
    middle = timezone.localtime(own.started_at + (own.ended_at - own.started_at) / 2)
    moment = f"?machine={own.machine_id}&day={middle:%Y-%m-%d}&time={middle:%H:%M}"
    training = Training.objects.get(name="laser")
    group = Group.objects.get()
    on_laser = UsageSession.objects.filter(machine=laser, reason="badge").order_by("-ended_at").first()
    assert on_laser is not None
    contest = Contest.waiting().get(kind="session")
    coming = TariffRule.objects.order_by("-valid_from")[0]
    month = f"{timezone.localtime(on_laser.ended_at):%Y-%m}"
    tariff = "price=0.20&purposes=own&basis=on&step_s=60&peak-TOTAL_FORMS=1&peak-INITIAL_FORMS=0"
    tariff += "&peak-0-days=0&peak-0-days=4&peak-0-start=17:00&peak-0-end=00:00&peak-0-price=0.30"
    university = Payer.organisations().get(ended_on=None)
    return {
        "accounts-one": ({"pk": desk.pk}, [""]),
        "people-credit": ({"pk": "m-1"}, ["", f"?at={timezone.localdate() - timedelta(days=1):%Y-%m-%d}"]),
        "people-credit-add": ({"pk": "m-5"}, [""]),
        "people-credit-refund": ({"pk": "m-1"}, [""]),
        "people-credit-admit": ({"pk": PrepaidChange.objects.latest("pk").payer}, [""]),
        "people-credit-take-back": ({"pk": PrepaidEntry.objects.filter(kind="credit").earliest("pk").pk}, [""]),
        "floor-lock": ({"name": "laser"}, [""]),
        "display": ({"token": ApiKey.make("Entrance", ApiKey.DISPLAY, made_by=None, expires_at=None)[1]}, [""]),
        "gates-one": ({"name": "laser-1"}, [""]),
        "joins-one": ({"pk": _code()}, [""]),
        "machines-one": ({"name": laser.name}, [""]),
        "month": ({}, ["", f"?month={month}", f"?month={ClosedMonth.objects.get().month:%Y-%m}"]),
        "month-payer": ({"pk": on_laser.payer or on_laser.used_by}, [f"?month={month}"]),
        "month-session": ({"pk": on_laser.pk}, [""]),
        "month-waive": ({"pk": on_laser.pk}, [""]),
        "month-contest": ({"pk": contest.pk}, [""]),
        "my-contest": ({"kind": "line", "pk": int(Contest.waiting().get(kind="line").key)}, [""]),
        "month-line": ({"pk": on_laser.payer or on_laser.used_by}, [""]),
        "month-sink": ({"name": "shop"}, [""]),
        "month-statement": (
            {"pk": on_laser.payer or on_laser.used_by},
            [f"?month={month}", f"?month={ClosedMonth.objects.get().month:%Y-%m}"],
        ),
        "month-statements": ({}, [f"?month={ClosedMonth.objects.get().month:%Y-%m}"]),
        "month-statement-send": (
            {"pk": IssuedStatement.objects.order_by("payer")[0].payer},
            [f"?month={ClosedMonth.objects.get().month:%Y-%m}"],
        ),
        "my-statement": ({"month": month}, [""]),
        "month-close": ({}, [f"?month={refresh.open_book().open_month:%Y-%m}"]),
        "month-plans-edit": ({"pk": Plan.objects.get(name="Student").pk}, [""]),
        "month-tariffs-new": ({}, ["", f"?from={coming.pk}"]),
        "month-try": (
            {},
            [
                "",
                f"?{tariff}&kind=invented&start=2026-11-02T16:30&minutes=60",
                f"?{tariff}&kind=session&session={on_laser.pk}",
                f"?{tariff}&where=machine:laser&kind=month&month={month}",
            ],
        ),
        "my-minutes-contest": ({"pk": own.pk}, [""]),
        "people": ({}, ["", "?q=nobody+at+all"]),
        "people-one": ({"pk": "m-5"}, [""]),
        "people-edit": ({"pk": "m-5"}, [""]),
        "people-enrol": ({}, ["", f"?badge={unknown.badge}&q=zo"]),
        "people-group": ({"pk": group.pk}, [""]),
        "people-group-edit": ({"pk": group.pk}, [""]),
        "people-import-preview": ({"token": uploads.keep(_list())}, [""]),
        "people-import-trainings": ({"token": uploads.keep(_trainings_list())}, [""]),
        "people-leave": ({"pk": "m-3"}, [""]),
        "people-payer": ({"pk": "m-3"}, [""]),
        "people-paid-for": ({}, ["", "?q=zo"]),
        "people-payer-edit": ({"pk": university.pk}, [""]),
        "people-payer-one": ({"pk": university.pk}, [""]),
        "people-payers": ({}, ["", "?q=nobody+at+all"]),
        "people-tap": ({"pk": "m-3"}, ["?gate=laser-1"]),
        "people-training": ({"pk": training.pk}, [""]),
        "people-training-edit": ({"pk": training.pk}, [""]),
        "use-moment": ({}, ["", moment]),
        "use-session": ({"pk": doubtful.pk}, [""]),
        "welcome": ({"token": links.make(OneTimeLink.INVITE, desk, MANAGER)}, [""]),
    }


def _list() -> bytes:
    """Return a list of members with a new person, a changed name and plan, and a row with an error."""
    rows = (
        "id;name;badges;email;plan",
        "m-1;Zoé Müller;04:01:B2:C3:D4:E5:80;zoe@example.org;Student",
        "m-41;Jörg Weiß;04:29:B2:C3:D4:E5:80;jorg@example.org;Company",
        ";Nobody;;;",
    )
    return "\n".join(rows).encode()


def _trainings_list() -> bytes:
    """Return a list of trainings with new grants, one that is granted already, and a row with an error."""
    from fabgate.collector.ground.models import Grant, Member

    grants = Grant.objects.select_related("training").order_by("since")
    known = grants.filter(stage=Grant.AUTONOMOUS, until=None, revoked_on=None).first()
    assert known is not None
    trained = Grant.objects.filter(training__name="laser").values("member")
    one, other = Member.objects.filter(left_on=None).exclude(pk__in=trained).order_by("pk")[:2]
    rows = (
        "id;training;since;stage;until;trainer",
        f"{known.member_id};{known.training.name};{known.since:%d/%m/%Y};;;",
        f"{one.pk};laser;03/09/2026;with a supervisor;;",
        f"{one.pk};laser;17/09/2026;autonomous;31/12/2027;m-1",
        f"{other.pk};laser;17/09/2026;;;",
        f"{other.pk};lazer;17/09/2026;;;",
    )
    return "\n".join(rows).encode()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fabgate.collector.settings")
    main()
