"""The money of the demo's workshop: tariffs, a school that pays, closed months, and Bob, who prepays.

Bob's credit does not cover another session at the laser: after it, the gates refuse him until the desk adds credit.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Machine, ManualLine, Member, Payer, Plan, PrepaidEntry, Workshop
from fabgate.collector.money.billing import closing, member_plans, rule_store, terms
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid import ledger, modes, standing
from fabgate.collector.money.billing.tariffs import typed_rule
from fabgate.collector.money.billing.vat import rates
from fabgate.demo.furnishing.past import dating, days
from fabgate.demo.furnishing.people import MEMBERS, REGULARS

#: The account of the volunteer who keeps the books.
ACCOUNTANT: Final = "amina"
#: The member whom the school sends.
PUPIL: Final = "m-6"
PREPAYING: Final = "m-2"
#: What Bob has left, in cents: less than a session at the laser costs.
LEFT_MINOR: Final = 80
#: By machine, as ``bill-rule`` takes them. A demo's sessions are short, so the grace time is, too.
TARIFFS: Final = {
    "laser": ("price=0.10", "peak=sat 10:00-18:00 0.15", "minimum=1.00", "grace_s=2"),
    "saw": ("price=0.05", "session_fee=0.50", "grace_s=2"),
    "printer": ("price=0.02", "daily_cap=4.00", "grace_s=2"),
}
#: No bank of France has the code 99999, so nobody can be paid by mistake; the check digits are right.
IBAN: Final = "FR7699999000010000001234537"
_TEXTS: Final = {
    "en": {
        "workshop": "Demo workshop (fictitious)",
        "student": "student",
        "material": "Plywood, 9 mm",
        "reason": "The contested session goes into the next month",
    },
    "fr": {
        "workshop": "Atelier de démonstration (fictif)",
        "student": "étudiant",
        "material": "Contreplaqué 9 mm",
        "reason": "La séance contestée passera au mois suivant",
    },
}


def school(opened: datetime) -> None:
    """Let a school pay for its pupil, before their sessions are played back: each keeps the payer of its day."""
    with dating.logged_at(opened):
        found = payers.add_organisation(
            Payer(
                name="Collège Voltaire",
                address="12 rue des Écoles\n69007 Lyon",
                email="intendance@voltaire.example",
                lang="fr",
            ),
            actor=ACCOUNTANT,
        )
        pupil = Member.objects.get(id=PUPIL)
        with audit.change(ACCOUNTANT, "member.updated", pupil):
            pupil.payer = payers.choose(found, actor=ACCOUNTANT)
            pupil.save()


def furnish(today: date, lang: str, opened: datetime) -> None:
    """Price the sessions that were played back, close the months that are over, and let Bob prepay this month."""
    texts = _TEXTS[lang or "en"]
    first = days.first_day(today).replace(day=1)
    with dating.logged_at(opened):
        digits = terms.start("EUR", first, str(dating.zone()), includes_vat=True, actor=ACCOUNTANT).digits
        rates.set_rate("", Decimal(20), actor=ACCOUNTANT)
        for name, parts in TARIFFS.items():
            typed = typed_rule.read(parts, digits, [])
            assert typed
            rule_store.add(rule_store.unsaved((Machine.objects.get(name=name), "", None), first, typed), ACCOUNTANT)
        _plan(texts["student"], first)
        _letterhead(texts["workshop"])
    while (after := terms.next_month(first)) <= today:
        _material(texts["material"], dating.moment(after - timedelta(days=1), time(17)))
        _close(first, _by_now(dating.moment(after, time(8))), texts["reason"])
        first = after
    _prepay(first, _by_now(dating.moment(max(first, today - timedelta(days=1)), time(14))))


def _by_now(at: datetime) -> datetime:
    """Return the moment, or now: on the first day of a month, some of them are today."""
    return min(at, datetime.now(UTC))


def _plan(name: str, first: date) -> None:
    plan = Plan(name=name, free_minutes=60, discount_percent=Decimal(20))
    with audit.change(ACCOUNTANT, "plan.added", plan):
        plan.save()
    students = [person.id for person in (*MEMBERS, *REGULARS) if person.category == "student"]
    member_plans.set_plans(dict.fromkeys(students, name), first, actor=ACCOUNTANT)


def _letterhead(name: str) -> None:
    """Enter who sends the statements, and how they are paid: a final one has a QR code."""
    row = Workshop(
        name=name,
        address="1 rue des Exemples\n69001 Lyon",
        contact="compta@atelier.example",
        iban=IBAN,
        due_days=30,
    )
    with audit.change(ACCOUNTANT, "workshop.updated", row):
        row.save()


def _material(text: str, at: datetime) -> None:
    """Charge Ada for a sheet of wood."""
    book, day = refresh.open_book(), at.astimezone(dating.zone()).date()
    line = ManualLine(
        month=book.charged_in(day), day=day, payer="m-1", text=text, amount_minor=1_250, author=ACCOUNTANT, at=at
    )
    with dating.logged_at(at), audit.change(ACCOUNTANT, "line.added", line):
        line.save()


def _close(first: date, at: datetime, reason: str) -> None:
    with dating.logged_at(at):
        closing.close(first, at, actor=ACCOUNTANT, reason=reason)


def _prepay(month: date, at: datetime) -> None:
    refresh.refresh_all()
    with dating.logged_at(at):
        modes.set_mode(PREPAYING, month, prepays=True, actor=ACCOUNTANT)
        ledger.credit(
            PREPAYING,
            LEFT_MINOR - standing.figures(PREPAYING).accepted_minor,
            ledger.Paid(PrepaidEntry.CARD, "K-0412"),
            author=days.SUPERVISOR,
            now=at,
        )
