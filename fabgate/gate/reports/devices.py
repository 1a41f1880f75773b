"""What the threads of meters and panels report."""

from __future__ import annotations

import logging

from fabgate.gate.hardware.meter_reports import MeterFault, MeterRecovered
from fabgate.gate.panel.panel_thread import PanelFault, PanelRecovered
from fabgate.gate.reports.problems import Problems
from fabgate.rules import vocabulary

log = logging.getLogger(__name__)


class DeviceReports:
    """The reports about one gate's meters and panels. A problem's key is the name of the device."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    def translate(self, event: object, _: vocabulary.Now) -> list[vocabulary.Event] | None:
        """Return the events for the rules that follow from an event; None for one of another source."""
        match event:
            case MeterFault(name, detail):
                if self._problems.get(name) != detail:
                    log.error("%s cannot be read: %s", name, detail)
                self._problems[name] = detail
                return [vocabulary.MeterFailed(name)]
            case MeterRecovered(name):
                log.info("%s measures again", name)
                self._problems.pop(name, None)
                return [vocabulary.MeterWorks(name)]
            case PanelFault(name, detail):
                self._problems[name] = detail
                return []
            case PanelRecovered(name):
                self._problems.pop(name, None)
                return []
        return None
