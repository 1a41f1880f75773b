"""How do entries reach the collector, and how does the gate learn that they are stored?

Every fact is an entry in the gate's journal, numbered ``(journal, seq)`` and stored before it is published. The gate
publishes the stored bytes in order, and again after its mark, until the *collector* acknowledges them. The collector
stores each entry once, in one transaction with what it derives from it, and only then acknowledges the highest entry
below which nothing is missing. The broker is not trusted to keep anything; its access list ensures that each gate
publishes only under its own name.
"""

from __future__ import annotations

from typing import Final

from fabgate.wire.messages import Message

#: A larger message is quarantined unread.
MAX_MESSAGE_BYTES: Final = 64 * 1024
#: At most this many entries await the broker's PUBACK, and the collector's acknowledgement (fewer where a broker drops
#: them: gate/uplink/window.py).
PUBACK_WINDOW: Final = 20
ACK_WINDOW: Final = 400
#: MQTT user properties of a message.
PROP_JOURNAL: Final = "journal"
PROP_SEQ: Final = "seq"
PROP_SEAL: Final = "seal"


class Ack(Message, frozen=True, kw_only=True):
    """Retained on ``…/ack``: the highest stored entry below which nothing is missing, and the hash of its bytes.

    From `floor` to `seq` every entry is stored. Lower numbers may be missing: the gate, by its last status, did not have them
    any more. To a gate that still has entries below `floor` which are not confirmed, the ack confirms nothing.
    """

    collector: str
    journal: str
    seq: int
    hash: str
    floor: int = 0
