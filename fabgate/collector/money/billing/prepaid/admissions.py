"""Admissions: gates leave out the sessions of a payer that are in review, each until it is decided.

Only those that are in review at that moment: what a member contests later, or again, counts. So a contest never opens a machine.
"""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import transaction
from django.utils.translation import gettext as _

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Admission, Change
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.charges import at_once, decisions
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid import modes, standing
from fabgate.collector.money.billing.prepaid.ledger import Rebuild
from fabgate.errors import UsageError


def admit(payer: str, *, author: str, reason: str, rebuild: Rebuild | None = None) -> Change:
    """Let gates admit those a payer pays for, although sessions in review may have used up the credit.

    `rebuild` is called, because gates no longer refuse the payer. Raises UsageError if that is not so: the payer is not
    out of credit, or is also without the sessions in review; and for an invalid reason.
    """
    mistakes: list[str] = []
    reason = decisions.one_line(reason, "reason", mistakes)
    with transaction.atomic():
        terms.lock_charges()
        at_once.payer(payer)
        if payers.get(payer) is None:
            raise modes.unknown(payer)
        if not mistakes and not is_possible(payer):
            mistakes.append(
                _("this payer can be admitted only while the credit would be enough without the sessions in review")
            )
        if mistakes:
            raise UsageError("\n".join(mistakes))
        made = Admission(payer=payer, reason=reason, author=author, at=datetime.now(UTC))
        with audit.change(author, "prepaid.admitted", made, reason=reason) as change:
            made.save(force_insert=True)
            if rebuild is not None:
                change.rosters = dict(rebuild())
    return change


def is_possible(payer: str) -> bool:
    """Return whether gates refuse a payer only because of sessions in review."""
    found = standing.figures(payer)
    return standing.of([payer]).is_out(payer) and found.balance_minor + standing.overdraft_minor(payer) > 0
