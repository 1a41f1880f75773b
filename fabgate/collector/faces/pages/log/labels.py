"""Labels for the codes of the audit log. An unknown code is shown unchanged."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from typing import Any, Final

from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.money.paper.figures import NOTHING

VERBS: Final = {
    "account.activated": gettext_lazy("account switched on"),
    "account.added": gettext_lazy("account added"),
    "account.deactivated": gettext_lazy("account switched off"),
    "account.link": gettext_lazy("one-time link created"),
    "account.mailed": gettext_lazy("one-time link sent by mail"),
    "account.not-mailed": gettext_lazy("one-time link could not be sent by mail"),
    "account.password": gettext_lazy("password set"),
    "account.rehashed": gettext_lazy("password stored in a newer form"),
    "account.signed-out": gettext_lazy("browsers signed out"),
    "account.updated": gettext_lazy("account changed"),
    "badge.ended": gettext_lazy("badge assignment ended"),
    "badge.form-accepted": gettext_lazy("short form of a badge: no longer refused"),
    "badge.form-refused": gettext_lazy("short form of a badge: refused, because another badge has it, too"),
    "badge.given": gettext_lazy("badge assigned"),
    "badge.keyed": gettext_lazy("badge recorded under the new badge key"),
    "badge.lost": gettext_lazy("badge reported lost"),
    "badge.spelled": gettext_lazy("badge code recorded"),
    "billing.started": gettext_lazy("billing started"),
    "block.lifted": gettext_lazy("block lifted"),
    "block.set": gettext_lazy("blocked"),
    "books.verified": gettext_lazy("books checked: nothing was altered"),
    "collector.badge-forms": gettext_lazy("choice of accepted short forms of badges changed"),
    "collector.restored": gettext_lazy("database restored from a backup"),
    "collector.log-confirmed": gettext_lazy("confirmed that no row of the log is missing"),
    "contest.answered": gettext_lazy("contest answered"),
    "contest.erased": gettext_lazy("words of a contest erased"),
    "contest.opened": gettext_lazy("charge contested"),
    "data.exported": gettext_lazy("data exported"),
    "gate.join-code": gettext_lazy("code for joining created"),
    "gate.let-in": gettext_lazy("gate added"),
    "gate.moved": gettext_lazy("gate moved"),
    "gate.seen": gettext_lazy("gate seen for the first time"),
    "gate.renewed": gettext_lazy("token and seal key of the gate renewed"),
    "gate.revoked": gettext_lazy("gate cut off"),
    "grant.given": gettext_lazy("training granted"),
    "grant.revoked": gettext_lazy("training revoked"),
    "group.added": gettext_lazy("group added"),
    "group.begun": gettext_lazy("group reopened"),
    "group.ended": gettext_lazy("group closed"),
    "group.updated": gettext_lazy("group changed"),
    "hours.removed": gettext_lazy("hours removed"),
    "hours.set": gettext_lazy("hours set"),
    "key.made": gettext_lazy("key created"),
    "key.revoked": gettext_lazy("key revoked"),
    "link.closed": gettext_lazy("one-time link closed"),
    "link.made": gettext_lazy("one-time link recorded"),
    "link.used": gettext_lazy("one-time link used"),
    "machine.added": gettext_lazy("machine added"),
    "machine.locked": gettext_lazy("machine locked"),
    "machine.retired": gettext_lazy("machine retired"),
    "machine.returned": gettext_lazy("machine brought back"),
    "machine.unlocked": gettext_lazy("machine unlocked"),
    "machine.updated": gettext_lazy("machine changed"),
    "member.added": gettext_lazy("member added"),
    "member.back": gettext_lazy("member returned"),
    "member.imported": gettext_lazy("member imported"),
    "member.left": gettext_lazy("member left"),
    "member.mailed": gettext_lazy("mail to the member"),
    "member.not-mailed": gettext_lazy("mail to the member failed"),
    "line.added": gettext_lazy("line added"),
    "line.removed": gettext_lazy("line removed"),
    "member.plan": gettext_lazy("plan of a member changed"),
    "member.plan-cancelled": gettext_lazy("change of a member's plan cancelled"),
    "month.closed": gettext_lazy("month closed"),
    "statement.mailed": gettext_lazy("statement sent by e-mail"),
    "statement.not-mailed": gettext_lazy("statement could not be sent by e-mail"),
    "statement.erased": gettext_lazy("names in a statement erased"),
    "workshop.updated": gettext_lazy("workshop's details for statements changed"),
    "member.updated": gettext_lazy("member changed"),
    "payer.added": gettext_lazy("payer added"),
    "payer.begun": gettext_lazy("payer reopened"),
    "payer.ended": gettext_lazy("payer closed"),
    "payer.updated": gettext_lazy("payer changed"),
    "plan.added": gettext_lazy("plan added"),
    "plan.updated": gettext_lazy("plan changed"),
    "prepaid.admitted": gettext_lazy("admitted until sessions in review are decided"),
    "prepaid.credited": gettext_lazy("credit added"),
    "prepaid.mode": gettext_lazy("settlement changed"),
    "prepaid.refunded": gettext_lazy("credit refunded"),
    "prepaid.taken-back": gettext_lazy("wrong credit reversed"),
    "prepaid.warning": gettext_lazy("threshold for low credit changed"),
    "review.accepted": gettext_lazy("review settled"),
    "review.contested": gettext_lazy("session contested"),
    "review.corrected": gettext_lazy("review settled by a correction"),
    "review.favour": gettext_lazy("review settled in the member's favour"),
    "session.corrected": gettext_lazy("session corrected"),
    "session.waived": gettext_lazy("session waived"),
    "sink.added": gettext_lazy("program added"),
    "sink.reconciled": gettext_lazy("sending resumed after a restore"),
    "sink.replayed": gettext_lazy("sent again to a program"),
    "sink.retried": gettext_lazy("refused items sent again to a program"),
    "sink.skipped": gettext_lazy("items skipped for a program"),
    "tariff.added": gettext_lazy("tariff rule added"),
    "tariff.removed": gettext_lazy("tariff rule removed"),
    "training.added": gettext_lazy("training added"),
    "training.updated": gettext_lazy("training changed"),
    "vat-rate.added": gettext_lazy("VAT rate added"),
    "vat-rate.changed": gettext_lazy("VAT rate changed"),
    "vat-rate.removed": gettext_lazy("VAT rate removed"),
    "waiver.withdrawn": gettext_lazy("waiver withdrawn"),
}
KINDS: Final = {
    "account": gettext_lazy("account"),
    "admission": gettext_lazy("credit"),
    "apikey": gettext_lazy("key"),
    "collector": gettext_lazy("collector"),
    "badge": gettext_lazy("badge"),
    "billingterms": gettext_lazy("billing"),
    "block": gettext_lazy("block"),
    "closedmonth": gettext_lazy("closed month"),
    "contest": gettext_lazy("contest"),
    "gate": gettext_lazy("gate"),
    "grant": gettext_lazy("grant"),
    "group": gettext_lazy("group"),
    "machine": gettext_lazy("machine"),
    "manualline": gettext_lazy("line"),
    "issuedstatement": gettext_lazy("statement"),
    "workshop": gettext_lazy("workshop"),
    "member": gettext_lazy("member"),
    "onetimelink": gettext_lazy("one-time link"),
    "payer": gettext_lazy("payer"),
    "plan": gettext_lazy("plan"),
    "prepaidchange": gettext_lazy("settlement"),
    "prepaidentry": gettext_lazy("credit"),
    "review": gettext_lazy("review"),
    "sink": gettext_lazy("program"),
    "tariffrule": gettext_lazy("tariff rule"),
    "training": gettext_lazy("training"),
    "usagesession": gettext_lazy("session"),
    "vatrate": gettext_lazy("VAT rate"),
    "waiver": gettext_lazy("waiver"),
    "opening": gettext_lazy("opening hours"),
    "specialday": gettext_lazy("special day"),
}
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d\S*")


def verb(name: str) -> str:
    """Return the label of a verb."""
    return str(VERBS.get(name, name))


def kind(name: str) -> str:
    """Return the label of a kind of object."""
    return str(KINDS.get(name, name))


def value(found: Any) -> str:
    """Return a value as text."""
    if found is None or found in ("", [], {}):
        return NOTHING
    if isinstance(found, bool):
        return _("yes") if found else _("no")
    if isinstance(found, list) and all(isinstance(item, str | int) for item in found):
        return ", ".join(map(str, found))
    return _localized(found) if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _localized(text: str) -> str:
    """Return an ISO day or moment in the reader's format; any other text unchanged."""
    try:
        if _DAY.fullmatch(text):
            return formats.date_format(date.fromisoformat(text), "SHORT_DATE_FORMAT")
        if _MOMENT.fullmatch(text):
            return formats.date_format(timezone.localtime(datetime.fromisoformat(text)), "SHORT_DATETIME_FORMAT")
    except (ValueError, OverflowError):  # a note that looks like a date
        pass
    return text
