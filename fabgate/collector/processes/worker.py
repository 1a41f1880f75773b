"""The worker expires loans, grants and blocks, charges sessions, notifies gates, sends to sinks, and verifies the books.

It also keeps the accounts of the collector's own broker, where there is one.

``fabgate collector worker`` checks once a minute. A missed minute does no harm: the worker asks the database what is
due, and rosters contain the day on which a membership or a training ends, a person leaves or a suspension begins.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from datetime import UTC, date, datetime
from typing import Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction

from fabgate.collector.ground import authorities
from fabgate.collector.ground.db import audit, pulse
from fabgate.collector.ground.models import Badge, BillingTerms, Collector, Gate, Heartbeat, JoinCode, Pulse
from fabgate.collector.members.access import prices, roster
from fabgate.collector.members.access.billing_watch import BillingWatch
from fabgate.collector.members.accounts import sign_in
from fabgate.collector.members.people import blocks
from fabgate.collector.members.people.import_list import uploads
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.money.billing.sinks import sending
from fabgate.collector.money.paper.statements import mailing
from fabgate.collector.processes import nightly, restored_database
from fabgate.collector.processes.verify import audit_head
from fabgate.collector.recording.broker import announcing
from fabgate.collector.recording.broker.accounts.keeping import Keeping
from fabgate.collector.recording.intake import quarantine

log = logging.getLogger(__name__)

EVERY_S: Final = 60.0
#: How often charges follow the ledger, where billing was started: a session is charged within 5 s of its end.
CHARGES_EVERY_S: Final = 2.0
#: How long the thread of the sinks may take to end.
SINKS_END_S: Final = 5.0
#: And that of the broker's accounts.
ACCOUNTS_END_S: Final = 2.0


def run() -> None:
    """Run until SIGTERM or SIGINT."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    verification, sinks = nightly.Nightly(), sending.Sending(stopping)
    sinks.start()
    accounts = None
    if settings.ENVIRONMENT.broker_control:
        accounts = Keeping(settings.ENVIRONMENT, stopping)
        accounts.start()
    worker = Worker(accounts)
    try:
        while not stopping.is_set():
            worker.turn(datetime.now(UTC))
            _note()
            _verify(verification)
            end = time.monotonic() + EVERY_S
            while not stopping.is_set() and (left_s := end - time.monotonic()) > 0:
                if bills := worker.charge():
                    worker.mail()
                connection.close()  # not kept open until the next turn
                stopping.wait(min(left_s, CHARGES_EVERY_S) if bills else left_s)
    finally:
        stopping.set()
        verification.stop()
        sinks.join(SINKS_END_S)  # what is being sent then may be sent again, which does no harm
        if accounts:
            accounts.join(ACCOUNTS_END_S)  # a change of an account may be repeated, too


def _note() -> None:
    """Update the files that detect a restored database and a shortened audit log; skip it if the database is busy."""
    data = settings.ENVIRONMENT.data
    try:
        restored_database.count(data)
        audit_head.keep_up(data)
    except (DatabaseError, InterfaceError) as error:
        log.warning("the counter and the head of the audit log were not updated: %s", error)


def _verify(verification: nightly.Nightly) -> None:
    try:
        verification.turn(datetime.now(UTC))
    except (DatabaseError, InterfaceError, OSError) as error:
        log.warning("the verification of the books is postponed by a minute: %s", error)


class Worker:
    """Checks every roster once a day: remembers the day for which it has done so.

    It also checks them if another process has built rosters for another day, because then the computer's clock was
    wrong.
    """

    def __init__(self, accounts: Keeping | None = None) -> None:
        self._accounts = accounts
        #: The days at the site and in billing.
        self._seen: tuple[date, ...] = ()
        #: The authorities that rosters name.
        self._authorities = ""
        #: The id of the newest roster pulse that it has seen.
        self._pulse = 0
        self._billing = BillingWatch()

    def turn(self, now: datetime) -> list[Gate]:
        """Do what is due, notify the gates and return them. If the database is busy, the next turn does it."""
        try:
            gates = self._due(now)
            if gates:
                announcing.announce(gates)
            self._delete_old(now)
            trouble = Collector.zone_trouble(settings.ENVIRONMENT.tz)
            if self._accounts and not trouble:
                trouble = self._accounts.trouble(now)
            Heartbeat.beat(Heartbeat.WORKER, now, trouble)
        except (DatabaseError, InterfaceError) as error:
            log.warning("due work is postponed by a minute: %s", error)
            return []
        return gates

    def charge(self) -> bool:
        """Bring charges up to date if anything has changed; return whether to come back before the next turn.

        Where somebody's credit runs out or is there again, gates are notified.
        """
        try:
            if not BillingTerms.objects.exists():
                return False
            refresh.refresh_all()
            if gates := self._billing.look():
                announcing.announce(gates)
        except (DatabaseError, InterfaceError) as error:
            log.warning("charges are not up to date yet: %s", error)
        except Exception:
            log.exception("charges cannot be brought up to date; the next try is in a minute")
            return False
        return True

    def mail(self) -> None:
        """Send some of the statements that wait, if there are any."""
        try:
            mailing.send_waiting()
        except (DatabaseError, InterfaceError) as error:
            log.warning("statements are not sent yet: %s", error)
        except Exception:
            log.exception("statements cannot be sent; those that were being sent are not sent again")

    def _delete_old(self, now: datetime) -> None:
        """Delete data that is kept for a limited time only."""
        if gone := Pulse.prune():
            log.debug("%d old pulses deleted", gone)
        if gone := quarantine.expire(now):
            log.info("%d messages deleted that were in quarantine for %d days", gone, quarantine.KEPT.days)
        if gone := sign_in.forget_expired(now):
            log.info("%d expired sign-ins deleted", gone)
        if gone := JoinCode.forget_old(now):
            log.info("%d old codes of gates deleted", gone)
        try:
            if gone := uploads.forget_old():
                log.info("%d uploaded lists that were not imported deleted", gone)
        except OSError as error:
            log.warning("old uploads are not deleted: %s", error)

    def _due(self, now: datetime) -> list[Gate]:
        zones = prices.zones()
        today = prices.days(zones, now)
        named = authorities.in_rosters(settings.ENVIRONMENT)
        lifted = blocks.lift_ended()
        built = dict(Pulse.objects.filter(topic=Pulse.ROSTER, pk__gt=self._pulse).values_list("pk", "at"))
        is_other_day = today != self._seen or any(prices.days(zones, at) != today for at in built.values())
        with transaction.atomic(), pulse.deferred():
            over = end_loans(now)
            changed = roster.rebuild(only_changed=True) if over or is_other_day or named != self._authorities else []
        self._seen, self._authorities, self._pulse = today, named, max(built, default=self._pulse)
        return list({gate.pk: gate for gate in (*lifted, *changed)}.values())


@transaction.atomic
def end_loans(now: datetime) -> list[Badge]:
    """End the badges whose loan has expired, and log it."""
    due = Badge.objects.filter(ended_at=None, until__lte=now).order_by("id")
    ended = []
    for row in due.select_related("member", "group").select_for_update(of=("self",), no_key=True):
        with audit.change(audit.WORKER, "badge.ended", row, reason="its time came"):
            row.end(Badge.OVER, audit.WORKER, row.until or now)
        log.info("badge %d of %s ended: the loan expired", row.pk, row.holder)
        ended.append(row)
    return ended
