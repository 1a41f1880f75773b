"""The topics and messages between gates and a collector, typed, in one place.

=================  ==========================================================================================
``topics``         the topics, and the names of sites and gates in them
``messages``       what every message is made of, and how it becomes bytes
``entry_data``     the facts that a gate records, with their data
``entries``        how a fact becomes an entry of a journal, and how an entry is read
``delivery``       how entries reach the collector: limits, properties, the acknowledgement
``status``         what a gate and the collector say about themselves
``commands``       what the collector may order a gate to do
``machine_rules``  how a machine behaves
``rule_mistakes``  which of these rules are mistakes, for rosters, forms and files
``roster``         what a roster says, and what its seals cover
``prices``         which prices a panel shows
=================  ==========================================================================================

MQTT 5 only. Never on MQTT: a name, an e-mail address, a badge in clear text. Within v1 there are only additions:
unknown fields are ignored, an unknown entry type is stored unchanged.

Other rooms use all of it as ``wire.Roster``: names such as `roster`, `entries` and `prices` are those of values there.
"""

from __future__ import annotations

from fabgate.wire.commands import COMMAND_LIFE_S, COMMANDS, COMMANDS_WITHOUT_CLOCK, PURPOSE_COMMAND, Command, Reply
from fabgate.wire.delivery import ACK_WINDOW, MAX_MESSAGE_BYTES, PROP_JOURNAL, PROP_SEAL, PROP_SEQ, PUBACK_WINDOW, Ack
from fabgate.wire.entries import (
    CONTENT_TYPE,
    MAX_ENTRY_BYTES,
    Entry,
    copy_entry,
    decode_data,
    decode_entry,
    encode_entry,
    full_type,
    parse_source,
    short_type,
    source,
)
from fabgate.wire.entry_data import (
    END_REASONS,
    ENTRY_TYPES,
    AccessRefused,
    Basis,
    Clock,
    ClockSynced,
    CommandExecuted,
    Data,
    Fault,
    GateStarted,
    GateStopping,
    JournalForked,
    MachineBlocked,
    MachineCleared,
    MachineFlagged,
    ReaderFault,
    RosterRejected,
    RosterReplaced,
    SessionCounters,
    SessionEnded,
    SessionProgress,
    SessionStarted,
)
from fabgate.wire.machine_rules import MACHINE_WORDS, MAX_SECONDS, Lock, MachineRules, longest_s
from fabgate.wire.messages import MAX_DURATION_MS, MAX_ENERGY_WH, MAX_NUMBER, MAX_TEXT, Message, decode, encode
from fabgate.wire.prices import PRICES_FORMAT, PeakPrice, PriceList, PricePeriod, Prices, Tariff, read_prices
from fabgate.wire.roster import (
    GROUP_PREFIX,
    HEADER_BOOT,
    HEADER_NONCE,
    HEADER_SEAL,
    HEADER_VERSION,
    PURPOSE_ROSTER,
    PURPOSE_ROSTER_SAME,
    Barred,
    Member,
    Roster,
    RosterNudge,
    Window,
    sealed_roster,
    sealed_same,
)
from fabgate.wire.rule_mistakes import holder_mistake, machine_mistakes, warning_mistakes
from fabgate.wire.status import HEARTBEAT_S, CollectorStatus, RosterInfo, State, Status
from fabgate.wire.topics import (
    NAME,
    RESERVED_NAMES,
    ROOT,
    GateTopics,
    Leaf,
    check_name,
    collector_status_topic,
    collector_subscriptions,
    gate_subscriptions,
    parse_gate_topic,
)

__all__ = [
    "ACK_WINDOW",
    "COMMANDS",
    "COMMANDS_WITHOUT_CLOCK",
    "COMMAND_LIFE_S",
    "CONTENT_TYPE",
    "END_REASONS",
    "ENTRY_TYPES",
    "GROUP_PREFIX",
    "HEADER_BOOT",
    "HEADER_NONCE",
    "HEADER_SEAL",
    "HEADER_VERSION",
    "HEARTBEAT_S",
    "MACHINE_WORDS",
    "MAX_DURATION_MS",
    "MAX_ENERGY_WH",
    "MAX_ENTRY_BYTES",
    "MAX_MESSAGE_BYTES",
    "MAX_NUMBER",
    "MAX_SECONDS",
    "MAX_TEXT",
    "NAME",
    "PRICES_FORMAT",
    "PROP_JOURNAL",
    "PROP_SEAL",
    "PROP_SEQ",
    "PUBACK_WINDOW",
    "PURPOSE_COMMAND",
    "PURPOSE_ROSTER",
    "PURPOSE_ROSTER_SAME",
    "RESERVED_NAMES",
    "ROOT",
    "AccessRefused",
    "Ack",
    "Barred",
    "Basis",
    "Clock",
    "ClockSynced",
    "CollectorStatus",
    "Command",
    "CommandExecuted",
    "Data",
    "Entry",
    "Fault",
    "GateStarted",
    "GateStopping",
    "GateTopics",
    "JournalForked",
    "Leaf",
    "Lock",
    "MachineBlocked",
    "MachineCleared",
    "MachineFlagged",
    "MachineRules",
    "Member",
    "Message",
    "PeakPrice",
    "PriceList",
    "PricePeriod",
    "Prices",
    "ReaderFault",
    "Reply",
    "Roster",
    "RosterInfo",
    "RosterNudge",
    "RosterRejected",
    "RosterReplaced",
    "SessionCounters",
    "SessionEnded",
    "SessionProgress",
    "SessionStarted",
    "State",
    "Status",
    "Tariff",
    "Window",
    "check_name",
    "collector_status_topic",
    "collector_subscriptions",
    "copy_entry",
    "decode",
    "decode_data",
    "decode_entry",
    "encode",
    "encode_entry",
    "full_type",
    "gate_subscriptions",
    "holder_mistake",
    "longest_s",
    "machine_mistakes",
    "parse_gate_topic",
    "parse_source",
    "read_prices",
    "sealed_roster",
    "sealed_same",
    "short_type",
    "source",
    "warning_mistakes",
]
