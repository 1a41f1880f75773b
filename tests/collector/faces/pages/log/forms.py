"""A right form for each route that changes something."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any
from unittest import mock

from django.urls import reverse

from fabgate.collector.faces.pages.machines import calendar
from fabgate.collector.ground import mails
from fabgate.collector.ground.models import (
    Account,
    ApiKey,
    Badge,
    Block,
    Gate,
    Member,
    OneTimeLink,
    Opening,
    Plan,
    Sink,
    SinkLetter,
    TariffRule,
    Training,
    UsageSession,
)
from fabgate.collector.members.accounts import links
from fabgate.collector.members.people import blocks
from fabgate.collector.members.people.blocks import today
from fabgate.collector.members.people.import_list import uploads
from fabgate.collector.money.billing import closing, contests, terms
from fabgate.collector.money.billing.charges import decisions, refresh
from fabgate.collector.money.billing.prepaid import ledger, modes
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.conftest import PASSWORD
from tests.collector.faces.pages.counter import NEW, tapped, trained
from tests.collector.faces.pages.log.house import BROKEN, House
from tests.collector.faces.pages.machines.rules_form import typed
from tests.collector.paying import organisation

NEW_PASSWORD = "seven small boats"


def person(**more: str) -> dict[str, str]:
    return {"name": "Grace Hopper", "lang": "en", "grace_days": "0", "level": "user", **more}


def rules(house: House) -> dict[str, str]:
    return typed(house.machine(), price_hint="0.20 €/min")


def _grant() -> dict[str, str]:
    training = str(Training.objects.get(name="laser").pk)
    return {"training": training, "stage": "autonomous", "since": str(today()), "trainer": "m-1"}


def welcome_first(house: House) -> Any:
    Account.objects.all().delete()  # so that somebody has to be the first one
    token = links.make(OneTimeLink.FIRST, None, "start")
    return house.post("welcome", {"name": "maya", "display_name": "Maya", "password": NEW_PASSWORD}, token=token)


def _invited(house: House) -> Any:
    token = links.make(OneTimeLink.INVITE, house.account("desk"), "manager")
    return house.post("welcome", {"password": NEW_PASSWORD}, token=token)


def _mailed(house: House) -> Any:
    desk = house.account("desk", email="desk@example.org")
    return house.post("accounts-mail", {"token": links.make(OneTimeLink.RESET, desk, "manager")}, pk=desk.pk)


def _written(house: House) -> Any:
    using = {"state": "active", "session": "s-1", "session_member": "m-1", "state_since": datetime.now(UTC)}
    Gate.objects.filter(name="laser-1").update(**using, boot="b")
    return house.post("floor-write", {"gate": "laser-1"})


def _unlocked(house: House) -> Any:
    house.post("floor-lock", BROKEN, name="laser")
    return house.post("floor-unlock", {"lock": house.machine().lock_id}, name="laser")


def sign_out_others(house: House) -> Any:
    desk = house.account("desk")
    here, _other = house.browse(desk), house.browse(desk)
    return house.post("me-revoke", {"sign_in": "others"}, by=here)


def change_password(house: House) -> Any:
    desk = house.browse("desk")
    return house.post("me-password", {"old": PASSWORD, "password": NEW_PASSWORD}, by=desk)


def _spoken(house: House) -> Any:
    return house.post("language", {"language": "fr"})


def _revoked_key(house: House) -> Any:
    key, _token = ApiKey.make("Invoices", ["sessions:read"], made_by=None, expires_at=None)
    return house.post("accounts-keys-revoke", pk=key.pk)


def _revoked_link(house: House) -> Any:
    key, _token = ApiKey.make("Entrance", list(ApiKey.DISPLAY), made_by=None, expires_at=None)
    return house.post("floor-displays-revoke", pk=key.pk)


def _taken(house: House) -> Any:
    token = uploads.keep(b"id,name\nm-1,Ada King\n")
    seen = house.manager.get(reverse("people-import-preview", args=[token])).context["found"].fingerprint
    return house.post("people-import-preview", {"seen": seen}, token=token)


def _trainings_imported(house: House) -> Any:
    token = uploads.keep(b"id,training,since\nm-1,laser,2026-03-01\n")
    seen = house.manager.get(reverse("people-import-trainings", args=[token])).context["fingerprint"]
    return house.post("people-import-trainings", {"seen": seen}, token=token)


def _removed(house: House) -> Any:
    row = Opening.objects.create(days=[1], start="09:00", to="18:00")
    return house.post("machines-calendar-remove", {"kind": "weekly", "pk": row.pk})


def _late(house: House) -> Any:
    Opening.objects.create(days=[1, 2, 3, 4, 5, 6, 7], start="09:00", to="18:00")
    evening = datetime.combine(today(), time(18), UTC)  # in the small hours "tonight" is the day before
    with mock.patch.object(calendar, "_now", return_value=evening):
        return house.post("machines-calendar-tonight", {"to": "00:00"})


def _corrected(house: House) -> Any:
    pk = house.session()
    shown = house.manager.get(reverse("use-session", args=[pk])).context["form"].initial
    return house.post("use-session", {**shown, "purpose": "training", "reason": "a course"}, pk=pk)


def _settled(house: House) -> Any:
    review = corrections.contest(UsageSession.objects.get(pk=house.session()), "not me", author="zoe")
    return house.post("use-review", {"decision": "accepted", "review": [review.pk], "note": "as recorded"})


def _lifted(house: House) -> Any:
    blocks.block_member(Member.objects.get(pk="m-1"), "payment-due", None, actor="desk")
    return house.post("people-lift", {"block": Block.objects.get().pk}, pk="m-1")


def _changed_plan(house: House) -> Any:
    plan = Plan.objects.create(name="student")
    return house.post("people-plan", {"plan": plan.pk, "since": str(today())}, pk="m-1")


def _revoked(house: House) -> Any:
    trained("m-1")
    return house.post("people-revoke", {"training": house.training().pk, "reason": "mistake"}, pk="m-1")


def _undone(house: House) -> Any:
    house.post("people-new", person(id="m-4"))
    return house.post("people-undo", pk="m-4")


def _back(house: House) -> Any:
    Member.objects.filter(pk="m-1").update(left_on=today() - timedelta(days=9))
    return house.post("people-back", pk="m-1")


def _badge_of(member: str) -> int:
    return Badge.objects.get(member=member).pk


def start_billing(_house: House) -> None:
    terms.start("EUR", today(), "UTC", includes_vat=True, actor="maya")


def _rule_added(house: House) -> Any:
    start_billing(house)
    typed = {
        "since": str(today()),
        "price": "0.10",
        "purposes": ["own"],
        "peak-TOTAL_FORMS": 0,
        "peak-INITIAL_FORMS": 0,
    }
    return house.post("month-tariffs-new", typed)


def _rule_removed(house: House) -> Any:
    start_billing(house)
    rule = TariffRule.objects.create(valid_from=today() + timedelta(days=1), tariff={}, purposes=[])
    return house.post("month-tariffs-remove", pk=rule.pk)


def _plan_added(house: House) -> Any:
    start_billing(house)
    return house.post("month-plans-new", {"name": "student", "free_minutes": 30, "discount_percent": 0})


def _plan_changed(house: House) -> Any:
    start_billing(house)
    plan = Plan.objects.create(name="student")
    return house.post("month-plans-edit", {"free_minutes": 30, "discount_percent": 0}, pk=plan.pk)


def _vat_rate_set(house: House) -> Any:
    start_billing(house)
    TariffRule.objects.create(valid_from=today(), tariff={}, purposes=[], vat_code="S20")
    return house.post("month-vat", {"rate:S20": "5.5"})


def _left_out(house: House) -> Any:
    terms.start("EUR", today().replace(day=1), "UTC", includes_vat=True, actor="maya")
    letter = SinkLetter.objects.create(
        sink=Sink.objects.create(name="shop"), key="k", state=SinkLetter.DEAD, amount=100, at=datetime.now(UTC)
    )
    return house.post("month-sink", {"act": "skip", "chosen": letter.key, "reason": "by hand"}, name="shop")


def _prepays(house: House) -> int:
    """Let a member prepay and pay something in; return the number of the entry."""
    terms.start("EUR", today(), "UTC", includes_vat=True, actor="maya")
    modes.set_mode("m-1", today(), prepays=True, actor="maya")
    return ledger.credit("m-1", 500, Paid("cash"), author="kim", now=datetime.now(UTC)).entry.pk


_PAID = {"amount": "3", "method": "card", "till_number": "", "form_key": "0e9b2f4c-7d3c-4f7e-9b0a-5a3f4a1c2d6e"}


def _credited(house: House) -> Any:
    _prepays(house)
    return house.post("people-credit-add", _PAID, pk="m-1")


def _refunded(house: House) -> Any:
    _prepays(house)
    return house.post("people-credit-refund", {**_PAID, "reason": "left"}, pk="m-1")


def _admitted(house: House) -> Any:
    """A member's credit is used up by a session that they contest."""
    billing.start()
    billing.rule("price=1")
    modes.set_mode("m-1", billing.FIRST, prepays=True, actor="maya")
    ledger.credit("m-1", 1, Paid("cash"), author="kim", now=datetime.now(UTC))
    corrections.contest(UsageSession.objects.get(pk=house.session()), "not me", author="m-1")
    return house.post("people-credit-admit", {"sure": "1", "reason": "the badge was lost"}, pk="m-1")


def _taken_back(house: House) -> Any:
    return house.post("people-credit-take-back", {"sure": "1", "reason": "typed wrongly"}, pk=_prepays(house))


def _prepaying(house: House) -> Any:
    _prepays(house)
    return house.post("month-prepaid", {"who": "", "prepays": "yes", "since": f"{today():%Y-%m}"})


def _warning(house: House) -> Any:
    _prepays(house)
    return house.post("month-prepaid", {"low": "5"})


def _statement_mailed(house: House, route: str, **places: Any) -> Any:
    start_billing(house)
    month = refresh.open_book().open_month
    decisions.add_line("m-1", "Plywood", 1_250, day=today(), author="maya")
    Member.objects.filter(pk="m-1").update(email="zoe@example.org")
    closing.close(month, datetime.now(UTC) + timedelta(days=99), actor="maya", reason="a test")
    with mock.patch.object(mails, "can_send", return_value=True), mock.patch.object(mails, "send", return_value=[""]):
        return house.post(route, {"sure": "1"}, query=f"?month={month:%Y-%m}", **places)


def _workshop(house: House) -> Any:
    start_billing(house)
    return house.post("month-workshop", {"name": "Atelier des Deux-Rives", "address": "Lyon"})


def _month_closed(house: House) -> Any:
    month = (today().replace(day=1) - timedelta(days=1)).replace(day=1)
    terms.start("EUR", month, "UTC", includes_vat=True, actor="maya")
    refresh.refresh_all()
    return house.post("month-close", {"sure": "1", "month": f"{month:%Y-%m}", "reason": "the gates are new"})


def _waived(house: House) -> Any:
    start_billing(house)
    return house.post("month-waive", {"sure": "1", "reason": "a fault"}, pk=house.session())


def _line_added(house: House) -> Any:
    start_billing(house)
    return house.post("month-line", {"sure": "1", "text": "Plywood", "day": f"{today()}", "amount": "12.50"}, pk="m-1")


def _line_removed(house: House) -> Any:
    start_billing(house)
    line = decisions.add_line("m-1", "Plywood", 1_250, day=today(), author="maya")
    return house.post("month-line-remove", pk=line.pk)


def _line_contested(house: House) -> Any:
    start_billing(house)
    line = decisions.add_line("m-1", "Plywood", 1_250, day=today(), author="maya")
    return house.post("my-contest", {"words": "not mine"}, by=house.as_member(), kind="line", pk=line.pk)


def _contest_answered(house: House) -> Any:
    start_billing(house)
    line = decisions.add_line("m-1", "Plywood", 1_250, day=today(), author="maya")
    one = contests.contest("line", str(line.pk), "not mine", Member.objects.get(pk="m-1"), author="zoe")
    return house.post("month-contest", {"sure": "1", "decision": "reversed", "answer": "Sorry"}, pk=one.pk)


#: One right form for each route; of a route that does several things, one for each.
SENT: dict[str, tuple[Callable[[House], Any], ...]] = {
    "welcome": (welcome_first, _invited),
    "language": (_spoken,),
    "me-password": (change_password,),
    "me-revoke": (sign_out_others,),
    "my-minutes-lost": (lambda h: h.post("my-minutes-lost", {"badge": _badge_of("m-1")}, by=h.as_member()),),
    "my-minutes-contest": (
        lambda h: h.post("my-minutes-contest", {"words": "not me"}, pk=h.session(), by=h.as_member()),
    ),
    "my-contest": (_line_contested,),
    "floor-write": (_written,),
    "floor-lock": (lambda h: h.post("floor-lock", BROKEN, name="laser"),),
    "floor-unlock": (_unlocked,),
    "people-new": (lambda h: h.post("people-new", person(id="m-4")),),
    "people-edit": (lambda h: h.post("people-edit", person(), pk="m-1"),),
    "people-enrol": (
        lambda h: h.post("people-enrol", {"member": "m-3", "kind": "personal"}, query=f"?badge={tapped(NEW)}"),
    ),
    "people-give": (lambda h: h.post("people-give", {"typed": NEW}, pk="m-3"),),
    "people-lend": (lambda h: h.post("people-lend", {"typed": NEW, "number": "L1", "until": str(today())}, pk="m-3"),),
    "people-badge-end": (lambda h: h.post("people-badge-end", {"reason": "lost"}, pk=_badge_of("m-1")),),
    "people-block": (lambda h: h.post("people-block", {"reason": "payment-due"}, pk="m-1"),),
    "people-lift": (_lifted,),
    "people-plan": (_changed_plan,),
    "people-grant": (lambda h: h.post("people-grant", _grant(), pk="m-1"),),
    "people-revoke": (_revoked,),
    "people-undo": (_undone,),
    "people-leave": (lambda h: h.post("people-leave", pk="m-1"),),
    "people-back": (_back,),
    "people-import-preview": (_taken,),
    "people-import-trainings": (_trainings_imported,),
    "people-matrix": (lambda h: h.post("people-matrix", {**_grant(), "member": ["m-1", "m-2"]}),),
    "people-training-new": (lambda h: h.post("people-training-new", {"title": "Welding"}),),
    "people-training-edit": (lambda h: h.post("people-training-edit", {"title": "Laser II"}, pk=h.training().pk),),
    "people-group-new": (lambda h: h.post("people-group-new", {"name": "Class 3B", "kind": "class"}),),
    "people-group-edit": (lambda h: h.post("people-group-edit", {"name": "3C", "kind": "class"}, pk=h.group().pk),),
    "people-payer": (lambda h: h.post("people-payer", {"payer": "m-1"}, pk="m-2"),),
    "people-payer-new": (lambda h: h.post("people-payer-new", {"name": "Université Lumière"}),),
    "people-payer-edit": (
        lambda h: h.post("people-payer-edit", {"address": "1 rue de Lyon"}, pk="m-1"),
        lambda h: h.post("people-payer-edit", {"references": "stripe: cus_9"}, pk="m-1"),
    ),
    "people-payer-end": (
        lambda h: h.post("people-payer-end", {"over": "1"}, pk=organisation().pk),
        lambda h: h.post("people-payer-end", {"over": "0"}, pk=organisation(ended_on=today()).pk),
    ),
    "people-group-payer": (lambda h: h.post("people-group-payer", {"payer": "m-1"}, pk=h.group().pk),),
    "people-group-badge": (lambda h: h.post("people-group-badge", {"typed": NEW}, pk=h.group().pk),),
    "people-group-end": (lambda h: h.post("people-group-end", {"over": "1"}, pk=h.group().pk),),
    "use-session": (_corrected,),
    "use-review": (_settled,),
    "people-credit-add": (_credited,),
    "people-credit-refund": (_refunded,),
    "people-credit-admit": (_admitted,),
    "people-credit-take-back": (_taken_back,),
    "month-prepaid": (_prepaying, _warning),
    "month-start": (
        lambda h: h.post("month-start", {"currency": "EUR", "vat": "included", "first": f"{today():%Y-%m}"}),
    ),
    "month-tariffs-new": (_rule_added,),
    "month-tariffs-remove": (_rule_removed,),
    "month-plans-new": (_plan_added,),
    "month-plans-edit": (_plan_changed,),
    "month-vat": (_vat_rate_set,),
    "month-sink": (_left_out,),
    "month-workshop": (_workshop,),
    "month-statements": (lambda h: _statement_mailed(h, "month-statements"),),
    "month-statement-send": (lambda h: _statement_mailed(h, "month-statement-send", pk="m-1"),),
    "month-close": (_month_closed,),
    "month-waive": (_waived,),
    "month-line": (_line_added,),
    "month-line-remove": (_line_removed,),
    "month-contest": (_contest_answered,),
    "machines-new": (lambda h: h.post("machines-new", {"name": "drill", "preset": "saw"}),),
    "machines-one": (lambda h: h.post("machines-one", {"title": "Laser II"}, name="laser"),),
    "machines-rules": (lambda h: h.post("machines-rules", rules(h), name="laser"),),
    "machines-preset": (lambda h: h.post("machines-preset", {"preset": "laser"}, name="laser"),),
    "machines-retire": (lambda h: h.post("machines-retire", {"retired": "1"}, name="laser"),),
    "machines-trainings": (lambda h: h.post("machines-trainings", {"trainings": []}, name="laser"),),
    "gates-cut-off": (lambda h: h.post("gates-cut-off", name="laser-1"),),
    "machines-gate-move": (
        lambda h: h.post("machines-gate-move", {"moved": Gate.objects.get(name="saw-1").pk}, name="laser"),
    ),
    "machines-calendar-weekly": (
        lambda h: h.post("machines-calendar-weekly", {"days": ["1"], "start": "09:00", "to": "18:00"}),
    ),
    "machines-calendar-special": (lambda h: h.post("machines-calendar-special", {"day": str(today())}),),
    "machines-calendar-tonight": (_late,),
    "machines-calendar-remove": (_removed,),
    "accounts-new": (lambda h: h.post("accounts-new", {"name": "karim", "role": "desk"}),),
    "accounts-one": (
        lambda h: h.post("accounts-one", {"display_name": "Karim", "role": "desk"}, pk=h.account("desk").pk),
        lambda h: h.post("accounts-one", {"active": "0"}, pk=h.account("desk").pk),
    ),
    "accounts-link": (lambda h: h.post("accounts-link", pk=h.account("desk").pk),),
    "accounts-mail": (_mailed,),
    "accounts-keys": (
        lambda h: h.post("accounts-keys", {"name": "Bills", "scopes": ["sessions:read"], "lasts": "90"}),
    ),
    "accounts-keys-revoke": (_revoked_key,),
    "floor-displays": (lambda h: h.post("floor-displays", {"name": "Entrance", "lang": "en", "names": "on"}),),
    "floor-displays-revoke": (_revoked_link,),
}
