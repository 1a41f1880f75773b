"""What the uplink's threads report about the connection and about the delivery of entries."""

from __future__ import annotations

import logging
from datetime import datetime

from fabgate.gate.reports.problems import Problems
from fabgate.gate.uplink.events import DeliveryProblem, HistoryAgrees, HistoryDiffers, LinkChanged, OwnCertificate
from fabgate.mqtt import certificates
from fabgate.rules import vocabulary

log = logging.getLogger(__name__)


class NetworkReports:
    """The reports about one gate's connection to the broker. No decision depends on them."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        #: When the gate's own certificate ends, with which it connects to the broker.
        self._certificate_ends: datetime | None = None
        self.link = LinkChanged(connected=False, problem="not connected yet")

    def translate(self, event: object, _: vocabulary.Now) -> list[vocabulary.Event] | None:
        """Note what an event says, and return no event for the rules; None for an event of another source."""
        match event:
            case LinkChanged(_, problem):
                if problem and problem != self.link.problem:
                    log.warning("no connection to the broker: %s", problem)
                self.link = event
            case OwnCertificate(ends):
                self._certificate_ends = ends
            case DeliveryProblem(detail):
                self._problems.note("delivery", detail or None)
            case HistoryDiffers(detail):
                self._problems["fork"] = detail
            case HistoryAgrees():
                self._problems.pop("fork", None)
            case _:
                return None
        return []

    def check_certificate(self, now: vocabulary.Now) -> None:
        """Report once that the gate's own certificate must be renewed. Needs a clock that can be trusted."""
        local = now.local if now.synced else None
        problem = "" if local is None else certificates.ending(self._certificate_ends, local, "gate's own")
        if problem and "certificate" not in self._problems:
            log.warning("%s", problem)
        self._problems.note("certificate", problem or None)
