"""The tables: the workshop and its people, what arrived from gates, who used what, and who changed it."""

from fabgate.collector.models.accounts import Account, ApiKey, FailedSignIn, OneTimeLink, SignIn
from fabgate.collector.models.audit import Change
from fabgate.collector.models.badges import Badge, BadgeForm
from fabgate.collector.models.billing.charges import (
    BillingProgress,
    Charge,
    ChargeTerms,
    ClosedMonth,
    ManualLine,
    Waiver,
)
from fabgate.collector.models.billing.contests import Contest
from fabgate.collector.models.billing.payers import Payer, PayerReference
from fabgate.collector.models.billing.plans import Plan, PlanChange
from fabgate.collector.models.billing.prepaid import Admission, PrepaidChange, PrepaidEntry
from fabgate.collector.models.billing.sinks import Sink, SinkLetter
from fabgate.collector.models.billing.statements import IssuedStatement, StatementMail, Workshop
from fabgate.collector.models.billing.tariffs import TariffRule
from fabgate.collector.models.billing.terms import BillingTerms
from fabgate.collector.models.billing.vat import VatRate
from fabgate.collector.models.calendar import Opening, SpecialDay
from fabgate.collector.models.entries import Boot, Entry, Hole, Journal, Quarantine
from fabgate.collector.models.floor import Order, Pulse, Refusal
from fabgate.collector.models.identity import Collector, Heartbeat
from fabgate.collector.models.machines import Gate, Machine, RosterLimit, ServedRoster
from fabgate.collector.models.people import Block, Group, Member
from fabgate.collector.models.sessions.corrections import Correction, Review
from fabgate.collector.models.sessions.ledger import LedgerLine
from fabgate.collector.models.sessions.sums import UsageDay, UsageMonth, UsageSums
from fabgate.collector.models.sessions.usage import UsageSession
from fabgate.collector.models.trainings import Grant, Training
from fabgate.collector.models.verification import Verification

__all__ = [
    "Account",
    "Admission",
    "ApiKey",
    "Badge",
    "BadgeForm",
    "BillingProgress",
    "BillingTerms",
    "Block",
    "Boot",
    "Change",
    "Charge",
    "ChargeTerms",
    "ClosedMonth",
    "Collector",
    "Contest",
    "Correction",
    "Entry",
    "FailedSignIn",
    "Gate",
    "Grant",
    "Group",
    "Heartbeat",
    "Hole",
    "IssuedStatement",
    "Journal",
    "LedgerLine",
    "Machine",
    "ManualLine",
    "Member",
    "OneTimeLink",
    "Opening",
    "Order",
    "Payer",
    "PayerReference",
    "Plan",
    "PlanChange",
    "PrepaidChange",
    "PrepaidEntry",
    "Pulse",
    "Quarantine",
    "Refusal",
    "Review",
    "RosterLimit",
    "ServedRoster",
    "SignIn",
    "Sink",
    "SinkLetter",
    "SpecialDay",
    "StatementMail",
    "TariffRule",
    "Training",
    "UsageDay",
    "UsageMonth",
    "UsageSession",
    "UsageSums",
    "VatRate",
    "Verification",
    "Waiver",
    "Workshop",
]
