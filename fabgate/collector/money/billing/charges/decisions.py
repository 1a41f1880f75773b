"""What a person decides about money: waiving a session, and lines for what is not a session."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import ManualLine, UsageSession, Waiver
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.charges import at_once, refresh
from fabgate.collector.money.billing.currencies import text as money
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.tariffs.typed_rule import LONGEST_VAT_CODE, is_vat_code
from fabgate.errors import UsageError

_LONGEST: Final = 200
#: The largest amount of a line, in minor units: more is a slip of the finger.
MOST_MINOR: Final = 10_000_000
#: The first day of a line: an earlier one is a slip of the finger.
EARLIEST: Final = date(2000, 1, 1)
#: Two equal lines within this time are asked about.
TWIN: Final = timedelta(minutes=1)


class TwinError(UsageError):
    """An equal line was added a moment ago: `line`."""

    def __init__(self, line: ManualLine) -> None:
        super().__init__(_("an identical line has already been added, by %(author)s") % {"author": line.author})
        self.line = line


def waive(session: str, *, author: str, reason: str) -> Waiver:
    """Let a session cost nothing. Raises UsageError if it has not ended, or is waived already.

    In a closed month its charge gets a reversal.
    """
    mistakes: list[str] = []
    reason = one_line(reason, "reason", mistakes)
    with transaction.atomic():
        terms.lock_charges()
        if not UsageSession.objects.filter(pk=session, reason__isnull=False).exists():
            mistakes.append(_("found no session '%(found)s' that has ended") % {"found": session[:64]})
        elif (held := Waiver.objects.filter(session=session).first()) is not None:
            values = {"author": held.author, "reason": held.reason}
            mistakes.append(_("the session has already been waived, by %(author)s: %(reason)s") % values)
        if mistakes:
            raise UsageError("\n".join(mistakes))
        waiver = Waiver(session=session, reason=reason, author=author, at=datetime.now(UTC))
        with audit.change(author, "session.waived", waiver, reason=reason):
            waiver.save()
        at_once.sessions([session])
    return waiver


def withdraw(session: str, *, author: str, reason: str) -> None:
    """Let a waived session cost again what it costs. Raises UsageError if it is not waived."""
    mistakes: list[str] = []
    reason = one_line(reason, "reason", mistakes)
    with transaction.atomic():
        terms.lock_charges()
        waiver = Waiver.objects.filter(session=session).first()
        if waiver is None:
            mistakes.append(_("the session '%(found)s' is not waived") % {"found": session[:64]})
        if mistakes or waiver is None:
            raise UsageError("\n".join(mistakes))
        with audit.change(author, "waiver.withdrawn", waiver, reason=reason):
            Waiver.objects.filter(pk=waiver.pk).delete()
        at_once.sessions([session])


def add_line(
    payer: str,
    text: str,
    amount_minor: int,
    *,
    day: date,
    author: str,
    session: str = "",
    vat_code: str = "",
    is_meant: bool = True,
    reverses: int | None = None,
) -> ManualLine:
    """Charge a payer for something else, in the month of its day; a negative amount is a reduction.

    If that month is closed, it is charged in the first open one.

    `reverses` is the number of a line of a closed month that it takes back: it is settled as that one was.

    Raises UsageError, and TwinError unless the line `is_meant` although an equal one was added a moment ago.
    """
    mistakes: list[str] = []
    found = terms.get()
    text = one_line(text, "text", mistakes)
    if not 0 < abs(amount_minor) <= MOST_MINOR:
        wanted = _("amount: found %(found)s, wanted an amount other than 0, at most %(most)s")
        shown = [money(amount, found.currency, found.digits) for amount in (amount_minor, MOST_MINOR)]
        mistakes.append(wanted % dict(zip(("found", "most"), shown, strict=True)))
    today = terms.today(found)
    if not EARLIEST <= day <= today:
        wanted = _("day: found %(found)s, wanted a day from %(first)s to %(last)s")
        mistakes.append(wanted % {"found": day, "first": EARLIEST, "last": today})
    if payers.get(payer) is None:
        mistakes.append(
            _("payer: found '%(found)s', wanted the id of a member, a group or an organisation") % {"found": payer[:64]}
        )
    if vat_code and reverses is None and not is_vat_code(vat_code):
        wanted = _(
            "VAT code: found '%(found)s', wanted at most %(most)d visible characters, without spaces around them"
        )
        mistakes.append(wanted % {"found": vat_code[:60], "most": LONGEST_VAT_CODE})
    if session and not UsageSession.objects.filter(pk=session).exists():
        mistakes.append(_("found no session '%(found)s'") % {"found": session[:64]})
    with transaction.atomic():
        terms.lock_charges()
        book = refresh.open_book()
        if mistakes:
            raise UsageError("\n".join(mistakes))
        line = ManualLine(
            month=book.charged_in(day),
            day=day,
            payer=payer,
            text=text,
            amount_minor=amount_minor,
            vat_code=vat_code,
            session=session,
            author=author,
            at=datetime.now(UTC),
            reverses=reverses,
        )
        if not is_meant and (twin := _twin(line)) is not None:
            raise TwinError(twin)
        with audit.change(author, "line.added", line):
            line.save()
    return line


def remove_line(pk: int, *, author: str, reason: str) -> None:
    """Remove a line of an open month. Raises UsageError; in a closed month, add a line that takes it back."""
    mistakes: list[str] = []
    reason = one_line(reason, "reason", mistakes)
    with transaction.atomic():
        terms.lock_charges()
        book = refresh.open_book()
        line = ManualLine.objects.filter(pk=pk).first()
        if line is None:
            mistakes.append(_("found no line with the number %(found)d") % {"found": pk})
        elif line.month < book.open_month:
            text = _("%(month)s is closed; to reverse this line, add another one of %(amount)s")
            found = terms.get()
            amount = money(-line.amount_minor, found.currency, found.digits)
            mistakes.append(text % {"month": f"{line.month:%Y-%m}", "amount": amount})
        if mistakes or line is None:
            raise UsageError("\n".join(mistakes))
        with audit.change(author, "line.removed", line, reason=reason):
            ManualLine.objects.filter(pk=pk).delete()


def _twin(line: ManualLine) -> ManualLine | None:
    """Return an equal line of a moment ago, as after a double click."""
    same = ManualLine.objects.filter(
        day=line.day, payer=line.payer, text=line.text, amount_minor=line.amount_minor, at__gte=line.at - TWIN
    )
    return same.order_by("-pk").first()


def one_line(text: str, name: str, mistakes: list[str]) -> str:
    """Return a text without line breaks; add a mistake if it is empty or longer than the database stores."""
    found = " ".join(text.split())
    if not 0 < len(found) <= _LONGEST:
        wanted = _("%(name)s: found %(found)d characters, wanted 1 to %(most)d")
        mistakes.append(wanted % {"name": name, "found": len(found), "most": _LONGEST})
    return found
