"""The thread of the worker that keeps the broker's accounts. It and the rest of the worker do not wait for each other."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta
from typing import Final

from django.db import DatabaseError, InterfaceError, connection

from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.models import BrokerAccount
from fabgate.collector.recording.broker.accounts.keeper import Keeper
from fabgate.errors import FabgateError

log = logging.getLogger(__name__)

#: How often it looks for a change in the database.
LOOK_EVERY_S: Final = 1.0
#: How soon it tries again what failed.
RETRY_S: Final = 5.0
#: How often it compares everything even without a change; it always does so at its start.
TURN_EVERY_S: Final = 600.0
#: A change that the broker has not confirmed for longer is a problem of the worker.
LATE: Final = timedelta(seconds=60)


class Keeping(threading.Thread):
    """Keeps the accounts until `stopping` is set."""

    def __init__(self, env: Environment, stopping: threading.Event) -> None:
        super().__init__(name="broker-accounts", daemon=True)
        self._stopping = stopping
        self._keeper = Keeper(env)
        self._turned = float("-inf")
        #: Why the last turn did not do everything; "" if it did.
        self._why = ""

    def run(self) -> None:
        """Look every second whether something is due."""
        while not self._stopping.is_set():
            try:
                self.look(time.monotonic())
            except (DatabaseError, InterfaceError) as error:
                log.warning("accounts of the broker wait for the database: %s", error)
            except Exception:
                log.exception("accounts of the broker cannot be compared now")
            connection.close()  # not kept open while nothing happens
            self._stopping.wait(LOOK_EVERY_S)

    def look(self, now_s: float) -> None:
        """Compare the accounts if one was changed, or the last turn failed or is long ago (monotonic seconds)."""
        waited_s = now_s - self._turned
        if waited_s < RETRY_S and self._why:
            return
        if waited_s < TURN_EVERY_S and not self._why and not self._keeper.is_due():
            return
        self._turned = now_s
        try:
            self._keeper.turn()
            why = self._keeper.trouble
        except FabgateError as error:
            why = str(error)
        if why and why != self._why:
            log.error("not all accounts of the broker are as they should be: %s", why)
        self._why = why

    def trouble(self, now: datetime) -> str:
        """Return that a change has waited for the broker too long, and why; "" if none has."""
        waits = BrokerAccount.objects.filter(confirmed_at=None, asked_at__lt=now - LATE).exists()
        return f"accounts of the broker are not up to date: {self._why or 'it does not answer'}" if waits else ""
