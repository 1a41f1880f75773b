"""Verifies the books once in each night, in a process of its own with a low priority, so that nothing waits for it.

If the process is stopped, the next worker starts it again. A collector that is switched off at night verifies by day.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings

from fabgate.collector.ground.models import Verification
from fabgate.collector.processes.run import ending_with
from fabgate.collector.processes.verify import run
from fabgate.errors import AlteredError

log = logging.getLogger(__name__)

#: The hours of the site's clock in which it begins.
HOURS: Final = range(2, 5)
#: Begins at any hour if the last run, or the start of the worker, is longer ago.
OVERDUE: Final = timedelta(hours=36)
_STOP_S: Final = 5.0
#: The exit codes of a verification that has a result.
_WITH_RESULT: Final = (0, AlteredError.exit_code)
COMMAND: Final = (sys.executable, "-m", "fabgate.collector", "verify", "--nightly")


class Nightly:
    """Starts the verification when it is due, and ends it when the worker stops."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._since: datetime | None = None
        self._began_at: datetime | None = None
        #: The night for which it was started, so that one that fails is not repeated each minute.
        self._night: date | None = None

    def turn(self, now: datetime) -> None:
        """Start the verification if it is due. Raises DatabaseError."""
        self._since = self._since or now
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self._keep_trouble(code, now)
            self._process = None
            log.log(logging.INFO if code == 0 else logging.ERROR, "the verification of the books ended with %d", code)
        if self._is_due(now):
            self._night = self._day(now)
            log.info("verifying the books")
            self._began_at = now
            self._process = subprocess.Popen(COMMAND, preexec_fn=ending_with(os.getpid()))  # noqa: S603, PLW1509

    def _keep_trouble(self, code: int, now: datetime) -> None:
        """Store that a verification has no result, unless it did so itself. The page would show the one before as the last.

        Raises DatabaseError; then the next turn tries again.
        """
        if code in _WITH_RESULT or self._began_at is None:
            return
        last = Verification.last()
        if last is None or last.began_at < self._began_at:
            run.save_trouble(f"the verification ended with {code}, without a result: see the log", self._began_at, now)

    def stop(self) -> None:
        """End the verification, if it runs; it has changed nothing."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _is_due(self, now: datetime) -> bool:
        assert self._since is not None
        day = self._day(now)
        if self._night == day:
            return False
        last = Verification.last()
        if now.astimezone(self._zone()).hour in HOURS:
            # One without a result may only have been ended with its worker.
            return last is None or bool(last.trouble) or self._day(last.began_at) != day
        return now - max(self._since, last.began_at if last else self._since) > OVERDUE

    def _day(self, moment: datetime) -> date:
        return moment.astimezone(self._zone()).date()

    @staticmethod
    def _zone() -> ZoneInfo:
        return ZoneInfo(settings.ENVIRONMENT.tz)
