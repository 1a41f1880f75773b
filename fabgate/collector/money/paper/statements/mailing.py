"""Sends statements of closed months by e-mail, each once. One on which nothing is charged is not sent.

A mail is stored before it is sent. If the process ends in between, it stays *being sent* and is not sent again by itself:
nobody gets it twice. Who sends again does so on purpose.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from fabgate.collector.ground import mails
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.mails import Attachment, Mail
from fabgate.collector.ground.models import Charge, ClosedMonth, IssuedStatement, ManualLine, StatementMail
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.statements import read
from fabgate.collector.money.billing.statements.compose import Statement
from fabgate.collector.money.paper.statements import language, pdf, vat

log = logging.getLogger(__name__)
MAILED, NOT_MAILED = "statement.mailed", "statement.not-mailed"
#: How many mails are sent over one connection; the worker does its other work in between.
AT_ONCE: Final = 5
#: The key, what was before and what is after, for the audit log.
_Event = tuple[str, dict[str, str], dict[str, str]]
#: What keeps a statement from being sent again with the others of its month.
_DONE: Final = (StatementMail.WAITING, StatementMail.SENDING, StatementMail.SENT)


class Addressed(NamedTuple):
    """A statement, the e-mail address of its payer or "", and its newest mail."""

    statement: IssuedStatement
    email: str
    last: StatementMail | None
    #: Whether it has a session or a line: one without, of a payer who only paid in credit, is not sent.
    has_lines: bool

    @property
    def is_due(self) -> bool:
        """Return whether it can be sent and was not sent yet."""
        return self.has_lines and bool(self.email) and (self.last is None or self.last.state not in _DONE)

    @property
    def is_uncertain(self) -> bool:
        """Return whether its mail is being sent just now, or was when a process ended: it may have been sent."""
        return self.last is not None and self.last.state == StatementMail.SENDING


def of_month(month: date) -> list[Addressed]:
    """Return the statements of a closed month, by payer."""
    found = list(IssuedStatement.objects.filter(month=month, erased_at=None).defer("words").order_by("payer"))
    emails = payers.emails({row.payer for row in found})
    last = {
        mail.statement_id: mail
        for mail in StatementMail.objects.filter(statement__month=month).order_by("pk").iterator()
    }
    charged = _charged(month)
    return [Addressed(row, emails.get(row.payer, ""), last.get(row.pk), row.payer in charged) for row in found]


def of(month: date, payer: str) -> Addressed | None:
    """Return the statement of a payer; None while its month is open, and after its words were erased."""
    row = IssuedStatement.objects.filter(month=month, payer=payer, erased_at=None).first()
    if row is None:
        return None
    found = payers.get(payer)
    email = found.email_or_own if found else ""
    return Addressed(row, email, row.mails.order_by("pk").last(), payer in _charged(month, payer=payer))


def draft(statement: Statement, email: str) -> Mail:
    """Return the mail, in the language of the payer, with the statement as PDF."""
    shown = preview(statement, email)
    (file,) = shown.attachments
    return replace(shown, attachments=(replace(file, content=pdf.of(statement)),))


def preview(statement: Statement, email: str) -> Mail:
    """Return the mail with an empty file in the place of the PDF."""
    head = statement.head
    with translation.override(language.of(statement)):
        values = {
            "name": statement.payer_name,
            "month": date_format(head.month, "F Y"),
            "workshop": statement.words.workshop.get("name", ""),
            "amount": vat.whole(statement),
            "number": head.number,
        }
        subject = _("%(workshop)s: your statement for %(month)s") % values
        body = (
            _(
                "Hello %(name)s,\n\nAttached is your statement for %(month)s, number %(number)s. The total is"
                " %(amount)s.\n\nThis statement is not an invoice. If you find a mistake, reply to this"
                " e-mail.\n\n%(workshop)s\n"
            )
            % values
        )
    return Mail(email, subject, body, (Attachment(f"{head.file_name}.pdf", "application/pdf", b""),))


def queue(month: date, *, author: str) -> int:
    """Let the worker send all statements of a closed month that can be sent and were not; return how many."""
    with transaction.atomic():
        _lock(month)
        due = [one for one in of_month(month) if one.is_due]
        _store(due, StatementMail.WAITING, author)
    return len(due)


def send_one(month: date, payer: str, *, author: str) -> str:
    """Send a statement now, also if it was sent before; return why it could not be sent, in words, or ""."""
    with transaction.atomic():
        _lock(month)
        one = of(month, payer)
        if one is None or not one.email:
            return _("the payer has no e-mail address")
        if not one.has_lines:
            return _("nothing is charged on it")
        _store([one], StatementMail.SENDING, author)
        last = one.statement.mails.order_by("pk").last()
        assert last is not None
    return _deliver([last])[0]


def send_waiting(month: date | None = None) -> list[StatementMail]:
    """Send some of the mails that wait; return them, with what became of them. Without any it returns at once.

    If the server cannot be reached, all that wait have failed: a person sends them again.
    """
    if not mails.can_send():
        return []
    waiting = StatementMail.objects.filter(state=StatementMail.WAITING)
    if month is not None:
        waiting = waiting.filter(statement__month=month)
    if not waiting.exists():
        return []
    with transaction.atomic():
        taken = list(waiting.order_by("pk").select_for_update(of=("self",), no_key=True)[:AT_ONCE])
        StatementMail.objects.filter(pk__in=[mail.pk for mail in taken]).update(state=StatementMail.SENDING)
    problems = _deliver(taken)
    if reason := next((problem for problem in problems if isinstance(problem, mails.ServerProblem)), ""):
        _give_up(waiting, reason)
    return list(
        StatementMail.objects.filter(pk__in=[mail.pk for mail in taken]).select_related("statement").order_by("pk")
    )


def _lock(month: date) -> None:
    """Lock the mails of a month until the transaction ends."""
    list(ClosedMonth.objects.select_for_update(no_key=True).filter(pk=month))


def _store(chosen: Sequence[Addressed], state: str, author: str) -> None:
    at = datetime.now(UTC)
    StatementMail.objects.bulk_create(
        [StatementMail(statement=one.statement, email=one.email, state=state, at=at, author=author) for one in chosen],
        batch_size=200,
    )
    events: list[_Event] = [(audit.key_of(one.statement), {}, _details(one.statement, one.email)) for one in chosen]
    audit.record_many(author, MAILED, IssuedStatement, events)


def _deliver(taken: Sequence[StatementMail]) -> list[str]:
    """Send mails that are stored as being sent; store and return why each could not be sent, or ""."""
    drafts = [_drafted(mail) for mail in taken]
    sent = iter(mails.send([one for one in drafts if isinstance(one, Mail)]))
    problems = [next(sent) if isinstance(one, Mail) else one for one in drafts]
    with transaction.atomic():
        for mail, problem in zip(taken, problems, strict=True):
            mail.state, mail.problem = StatementMail.FAILED if problem else StatementMail.SENT, problem[:200]
            mail.save(update_fields=["state", "problem"])
            if problem:
                after = _details(mail.statement, mail.email)
                audit.record(mail.author, NOT_MAILED, mail.statement, reason=problem[:200], after=after)
    return problems


def _drafted(mail: StatementMail) -> Mail | str:
    """Return the mail as it is sent, or why it cannot be made. That is known before anything is sent: it has failed."""
    try:
        return draft(read.of(mail.statement.month, mail.statement.payer), mail.email)
    except Exception as error:
        log.exception("the statement %s cannot be made", mail.statement)
        return _("its PDF cannot be made (%(error)s)") % {"error": f"{type(error).__name__}: {error}"}


def _charged(month: date, **only: str) -> set[str]:
    """Return the payers who have a session or a line in a month."""
    tables = (model.objects.filter(month=month, **only) for model in (Charge, ManualLine))
    return {payer for found in tables for payer in found.order_by().values_list("payer", flat=True).distinct()}


def _give_up(waiting: Collection[StatementMail], problem: str) -> None:
    with transaction.atomic():
        left = list(StatementMail.objects.filter(pk__in=[mail.pk for mail in waiting]).select_related("statement"))
        for mail in left:
            mail.state, mail.problem = StatementMail.FAILED, problem[:200]
        StatementMail.objects.bulk_update(left, ["state", "problem"], batch_size=200)
        events: list[_Event] = [
            (audit.key_of(mail.statement), {}, _details(mail.statement, mail.email)) for mail in left
        ]
        audit.record_many(audit.WORKER, NOT_MAILED, IssuedStatement, events, reason=problem[:200])


def _details(statement: IssuedStatement, email: str) -> dict[str, str]:
    return {"month": statement.month.isoformat(), "payer": statement.payer, "email": email}
