"""What does the collector keep? Four files: the workshop, what arrived, who used what, and itself."""

from fabgate.collector.models.arrivals import Boot, Entry, Hole, Journal, Quarantine
from fabgate.collector.models.itself import Collector
from fabgate.collector.models.usage import UsageSession
from fabgate.collector.models.workshop import Badge, Block, Gate, Machine, Member

__all__ = [
    "Badge",
    "Block",
    "Boot",
    "Collector",
    "Entry",
    "Gate",
    "Hole",
    "Journal",
    "Machine",
    "Member",
    "Quarantine",
    "UsageSession",
]
