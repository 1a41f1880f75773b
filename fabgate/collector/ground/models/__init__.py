"""The tables: the workshop and its people, what arrived from gates, who used what, and who changed it."""

from fabgate.collector.ground.models.accounts import Account, ApiKey, FailedSignIn, OneTimeLink, SignIn
from fabgate.collector.ground.models.audit import Change
from fabgate.collector.ground.models.badges import Badge, BadgeForm
from fabgate.collector.ground.models.billing.charges import (
    BillingProgress,
    Charge,
    ChargeTerms,
    ClosedMonth,
    ManualLine,
    Waiver,
)
from fabgate.collector.ground.models.billing.contests import Contest
from fabgate.collector.ground.models.billing.payers import Payer, PayerReference
from fabgate.collector.ground.models.billing.plans import Plan, PlanChange
from fabgate.collector.ground.models.billing.prepaid import Admission, PrepaidChange, PrepaidEntry
from fabgate.collector.ground.models.billing.sinks import Sink, SinkLetter
from fabgate.collector.ground.models.billing.statements import IssuedStatement, StatementMail, Workshop
from fabgate.collector.ground.models.billing.tariffs import TariffRule
from fabgate.collector.ground.models.billing.terms import BillingTerms
from fabgate.collector.ground.models.billing.vat import VatRate
from fabgate.collector.ground.models.calendar import Opening, SpecialDay
from fabgate.collector.ground.models.entries import Boot, Entry, Hole, Journal, Quarantine
from fabgate.collector.ground.models.floor import Order, Pulse, Refusal
from fabgate.collector.ground.models.gates.cards import FetchingBoot, FormerToken
from fabgate.collector.ground.models.gates.joins import JoinAttempt, JoinCode
from fabgate.collector.ground.models.identity import Collector, Heartbeat
from fabgate.collector.ground.models.machines import BrokerAccount, Gate, Machine, RosterLimit, ServedRoster
from fabgate.collector.ground.models.people import Block, Group, Member
from fabgate.collector.ground.models.sessions.corrections import Correction, Review
from fabgate.collector.ground.models.sessions.ledger import LedgerLine
from fabgate.collector.ground.models.sessions.sums import UsageDay, UsageMonth, UsageSums
from fabgate.collector.ground.models.sessions.usage import UsageSession
from fabgate.collector.ground.models.trainings import Grant, Training
from fabgate.collector.ground.models.verification import Verification

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
    "BrokerAccount",
    "Change",
    "Charge",
    "ChargeTerms",
    "ClosedMonth",
    "Collector",
    "Contest",
    "Correction",
    "Entry",
    "FailedSignIn",
    "FetchingBoot",
    "FormerToken",
    "Gate",
    "Grant",
    "Group",
    "Heartbeat",
    "Hole",
    "IssuedStatement",
    "JoinAttempt",
    "JoinCode",
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
