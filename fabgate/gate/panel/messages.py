"""The messages of the panel: each signal as light, sound and four lines of twenty characters.

A text is one string of four lines with placeholders, so that a translator can break the lines differently
(``fabgate/locale``). A name, a machine or a reason that is too long is cut, never the text around it.

Debts and discipline are never shown in public: any reason that is not public becomes "go to the desk", with a number
that the desk understands. The display never says "safe" or "no voltage".
"""

from __future__ import annotations

from functools import partial
from typing import Final

from msgspec import structs

from fabgate import display, translations, wire
from fabgate.display import COLUMNS, LINES, cut
from fabgate.drivers.panels import Clock, Notice, Turns
from fabgate.gate.panel.costs import Cost, CostSoFar, Rate
from fabgate.gate.panel.money_texts import MoneyTexts, on_one_line, width
from fabgate.rules import access, vocabulary

_KIND: Final = vocabulary.SignalKind
#: The reason for a maintainer whose badge could not clear a fault of the output.
STILL_CLOSED: Final = "output-still-closed"
#: How long a passing notice is shown by default, and the longest time while the machine is blocked.
PASSING_S: Final = 5.0
#: Light and sound of each kind; the text is in `TEXTS` under the same name.
_LIGHT_AND_SOUND: Final[dict[vocabulary.SignalKind, tuple[str, str]]] = {
    _KIND.FREE: ("off", ""),
    _KIND.WAIT: ("green blink", ""),
    _KIND.SUPERVISOR: ("amber blink", "short"),
    _KIND.GO: ("green", "short"),
    _KIND.ENDED: ("off", "short short"),
    _KIND.REFUSED: ("red", "low low"),
    _KIND.MISREAD: ("amber", "low"),
    _KIND.BLOCKED: ("amber", ""),
    _KIND.WARNING: ("green blink", "tick"),
    _KIND.EXTENDED: ("green", "short"),
    _KIND.GRACE: ("green blink", "tick"),
    _KIND.FINISHING: ("green blink", ""),
    _KIND.RUN_ON: ("green blink", ""),
    _KIND.FLAG_ASK: ("amber blink", "short"),
    _KIND.FLAGGED: ("amber", "short"),
    _KIND.UNFLAGGED: ("green", "short"),
    _KIND.IDENTIFY: ("white blink", "tick"),
}

#: How long these notices are shown, in seconds: a member at work must not keep seeing another person's refusal.
_SHOWN_S: Final[dict[vocabulary.SignalKind, float]] = {
    _KIND.ENDED: 30,
    _KIND.REFUSED: 8,
    _KIND.MISREAD: 5,
    _KIND.EXTENDED: 8,
    _KIND.FLAGGED: 8,
    _KIND.UNFLAGGED: 8,
    _KIND.IDENTIFY: 10,
}

TEXTS: Final[dict[str, str]] = {
    **display.TEXTS,
    "wait": "One moment",
    "supervisor-needed": "Supervisor needed\nTap their badge\nwithin {clock}",
    "go": "Hello {name}\n{machine} is yours\n{clock}\nTo stop: tap again",
    "go.hold": "Hello {name}\n{machine} is yours\n{clock}\nTo end: remove badge",
    "go.member-first": "Hello {name}\nTo supervise: end\nyour session, then\nmember taps first",
    "go.limit": "{clock} of {left}",
    "go.priced": "Hello {name}\n{clock}\n{price}\nTo stop: tap again",
    "go.hold.priced": "Hello {name}\n{clock}\n{price}\nTo end: remove badge",
    "ended": "Session ended\n{left}\n{why}\nPlease clean up",
    "ended-priced": "Session ended\n{left}\n{cost}\nPlease clean up",
    "ended-priced.why": "{why}\n{left}\n{cost}\nPlease clean up",
    "warning": "Stops in {clock}\nTo continue:\ntap your badge",
    "warning.last": "Stops in {clock}\nNo more time:\nplease finish",
    "warning.closing": "Closing in {clock}\nNo more time:\nplease finish",
    "warning.expiring": "Your access ends\nin {clock}\nNo more time:\nplease finish",
    "warning.deadline": "{why}\nStops in {clock}\nTo stop now:\ntap again",
    "warning.deadline.hold": "{why}\nStops in {clock}\nTo stop now:\nremove your badge",
    "deadline.closed": "Closing time",
    "deadline.expired": "Your access ended",
    "extended": "Extended\n{left} left",
    "grace": "Badge removed\nStops in {clock}\nTo continue:\nput it back",
    "finishing": "Job is running\nThe power stays on\nuntil it is done",
    "finishing.asks-again": "Still running\nTo switch off:\ntap or press again",
    "finishing.unfelt": "Please finish\nAt most {clock}\nWhen you are done:\ntap again",
    "finishing.unfelt.hold": "Please finish\nAt most {clock}\nWhen you are done:\nremove your badge",
    "run-on": "Session ending\nStops in {clock}",
    "flag-ask": "Report a defect:\ntap your badge\nDanger: press again",
    "flag-ask.danger": "Report a danger:\ntap your badge\nDefect: press again",
    "flagged": "Thank you\nThe defect is\nreported",
    "flagged.danger": "Thank you\nThe danger is\nreported",
    "unflagged": "Thank you\nThe report is\ncleared",
    "identify": "This is\n{machine}\nAsked by {actor}",
    "power-was-cut": "Power was cut\nSession ended\nCheck the machine\nthen tap again",
    # why a session ended, if its member did not end it
    "ended.limit": "Time limit reached",
    "ended.idle": "Machine was idle",
    "ended.revoked": "Go to the desk",
    "ended.lock": "Machine locked",
    "ended.remote": "Stopped by staff",
    "ended.fault": "Machine fault",
    "ended.restart": "Gate restarted",
    # a card that cannot be read as a badge
    "misread": "Badge not read\nOne card only,\nflat, 1 second",
    "misread.two-cards": "Badge not read\nTwo cards at once:\nuse only one",
    "misread.random-uid": "Badge not read\nNo phone, no card\nwith changing IDs:\nuse your badge",
    "misread.lying": "Lift your badge,\nthen tap again",
    # refusals that may be shown in public
    "unknown-badge": "Unknown badge\nGo to the desk",
    "badge-shared": "Not allowed\nAnother badge has\nthe same number:\ngo to the desk",
    "not-in-holder": "Not here\nPut your badge\ninto the holder",
    "member-first": "Not allowed\nSupervisor: end your\nsession, then\nmember taps first",
    "in-use": "Not allowed\nIn use: please wait\nuntil it is free",
    "expired": "Not allowed\nMembership expired\nGo to the desk",
    "loan-over": "Not allowed\nBadge loan is over\nGo to the desk",
    "outside-hours": "Not allowed\nOutside your hours:\nask at the desk",
    "clock-unknown": "Not allowed\nClock not set here:\nask at the desk",
    "supervisor-missing": "Supervisor needed\nTap again with\na supervisor",
    "training-missing": "Not allowed\n{machine} training\nmissing: ask a\nsupervisor",
    "training-expired": "Not allowed\n{machine} training\nexpired: ask a\nsupervisor",
    "start-timeout": "Could not start\nPlease tap again",
    "output-still-closed": "Fault not cleared\nThe contactor is\nstill closed",
    # refusals that are private
    "private": "No access now\nPlease go to the\ndesk (ref. {ref})",
    # why the machine cannot be used
    "blocked": "Out of service\nGo to the desk",
    "blocked-estop": "Out of service\nThe emergency stop\nis pressed",
    "blocked-output": "Out of service\nSwitching fault\nDo not use",
    "blocked-output-away": "Out of service\nThe plug does not\nanswer: go to\nthe desk",
    "blocked-flag": "Out of service\nA danger was\nreported\nDo not use",
    "blocked-journal": "Out of service\nNothing can be\nrecorded: go to\nthe desk",
    "blocked-reader": "Out of service\nBadge reader fault\nGo to the desk",
    "blocked-stale": "Out of service\nMember list too old:\ngo to the desk",
    # money
    "low-credit": "Hello {name}\nCredit is low:\nadd some\nat the desk",
    "price.minute": "{price}/min",
    "price.running": "{price}/min running",
    "price.fee": "{fee} + {price}/min",
    "price.use": "{price} per use",
    "price.least": "At least {price}",
    "price.none": "Free of charge",
    "cost.exact": "{cost}",
    "cost.most": "up to {cost}",
    "cost.about": "about {cost}",
    "money": "{sign}{number}",
    "thousands-mark": ",",
    "decimal-mark": ".",
    # times
    "minutes": "{n} min",
    "seconds": "{n} s",
}
#: One text for several words.
_SAME: Final = {
    access.SUPERVISOR_NEEDED: "supervisor-missing",
    "blocked-lock-now": "blocked-lock",
    "blocked-lock-idle": "blocked-lock",
    "blocked-journal-full": "blocked-journal",
}
#: Why a session has a deadline; any other reason is a right that ended.
_DEADLINES: Final = {
    vocabulary.Cause.LOCK_AFTER_JOB.value: "ended.lock",
    access.OUTSIDE_HOURS: "deadline.closed",
}
#: Reasons that may be shown in public. All other reasons of a roster are shown at the desk only.
PUBLIC: Final = frozenset(
    {
        access.UNKNOWN_BADGE,
        "badge-shared",
        access.IN_USE,
        access.MEMBER_FIRST,
        access.NOT_IN_HOLDER,
        access.EXPIRED,
        "loan-over",
        access.OUTSIDE_HOURS,
        access.CLOCK_UNKNOWN,
        access.SUPERVISOR_NEEDED,
        "training-missing",
        "training-expired",
        vocabulary.EndReason.START_TIMEOUT.value,
        *(access.blocked_by(cause) for cause in vocabulary.Cause),
    }
)
#: The numbers of private reasons, for the desk. One digit: the French line has no room for two.
REFERENCES: Final = {
    "no-access": 1,
    "payment-due": 2,
    "no-credit": 3,
    "suspended": 4,
    "banned": 5,
    "badge-lost": 6,
    "badge-blocked": 7,
}
#: Any other reason.
OTHER_REFERENCE: Final = 9
#: A session's clock where nobody knows how long it may be; longer times are not wider.
_WIDEST_CLOCK: Final = "99:59:59"
_LOCKS: Final = frozenset(
    {access.blocked_by(vocabulary.Cause.LOCK_NOW), access.blocked_by(vocabulary.Cause.LOCK_AFTER_JOB)}
)


def notice(
    signal: vocabulary.Signal,
    machine: str,
    *,
    lang: str = translations.SOURCE_LANG,
    mode: vocabulary.Mode = vocabulary.Mode.TAP,
    lock: wire.Lock | None = None,
    money: Rate | Cost | str | None = None,
    so_far: CostSoFar | None = None,
    boot_ms: int = 0,
    since_ms: int | None = None,
) -> Notice:
    """Return the notice for a signal, in the member's language, or in `lang` where the member is unknown.

    `mode` is the machine's, and `lock` the lock in force: its reason is shown, and the day when the machine is expected
    back. `money` is the price of a session that begins, or the cost of one that has ended; `so_far` computes the cost of one
    that goes on. `boot_ms` is now, and `since_ms` when power went on; without it the clock of a session begins now.
    """
    texts = _Texts(signal.lang, lang, machine, boot_ms)
    light, sound = _LIGHT_AND_SOUND[signal.kind]
    clock: Clock | None = None
    turns: Turns | None = None
    match signal.kind:
        case _KIND.FREE:
            lines: tuple[str, ...] = ()
        case _KIND.REFUSED:
            lines = texts.refusal(signal.reasons, lock, signal.detail)
        case _KIND.BLOCKED:
            causes = signal.reasons or (signal.detail,)
            lines = texts.reason(f"blocked-{causes[0]}", lock, signal.detail, otherwise="blocked")
        case _KIND.GO:
            variant = "go.hold" if mode is vocabulary.Mode.HOLD else "go"
            rate = None if isinstance(money, Cost) else money
            lines, clock, turns = texts.go(variant, signal, rate, so_far, boot_ms if since_ms is None else since_ms)
        case _KIND.ENDED:
            why = f"ended.{signal.reasons[0]}" if signal.reasons else ""
            reason = texts.text(why) if why in TEXTS else ""
            lines = texts.ended(texts.duration(signal.ms), reason, money if isinstance(money, Cost) else None)
        case _KIND.FINISHING if signal.detail == vocabulary.UNFELT:
            variant = "finishing.unfelt.hold" if mode is vocabulary.Mode.HOLD else "finishing.unfelt"
            lines, clock = texts.until(variant, signal.ms)
        case _KIND.WARNING:
            lines, clock = texts.warning(signal, mode)
        case _KIND.MISREAD | _KIND.FLAG_ASK | _KIND.FLAGGED | _KIND.FINISHING:
            variant = f"{signal.kind}.{signal.detail}"
            lines = texts.lines(variant if variant in TEXTS else signal.kind.value)
        case _KIND.GRACE | _KIND.SUPERVISOR | _KIND.RUN_ON:
            lines, clock = texts.until(signal.kind.value, signal.ms)
        case _:
            lines = texts.lines(signal.kind.value, left=texts.duration(signal.ms), actor=signal.detail)
    return Notice(light, sound, lines, _SHOWN_S.get(signal.kind, 0), clock, turns)


def passing_notice(
    signal: vocabulary.Signal,
    machine: str,
    *,
    lang: str = translations.SOURCE_LANG,
    mode: vocabulary.Mode = vocabulary.Mode.TAP,
    lock: wire.Lock | None = None,
    blocked: bool = False,
    money: Cost | None = None,
    boot_ms: int = 0,
) -> Notice:
    """Return the notice for an event, which is shown for some seconds.

    `blocked` says that the machine is blocked now, which must not be hidden for long. `boot_ms` is now.
    """
    passing = notice(signal, machine, lang=lang, mode=mode, lock=lock, money=money, boot_ms=boot_ms)
    for_s = passing.for_s or PASSING_S
    return structs.replace(passing, for_s=min(for_s, PASSING_S) if blocked else for_s)


#: The notice while the machine is free and not blocked.
IDLE: Final = Notice(_LIGHT_AND_SOUND[_KIND.FREE][0])


def power_was_cut(lang: str = translations.SOURCE_LANG) -> Notice:
    """Return the notice after a power failure that cut a session."""
    return Notice("amber", "low", _Texts(None, lang, "").lines("power-was-cut"))


def low_credit(name: str, machine: str, *, lang: str | None, default: str = translations.SOURCE_LANG) -> Notice:
    """Return the notice for a member whose session begins and whose credit is low, without the amount: others may see it."""
    light, sound = _LIGHT_AND_SOUND[_KIND.GO]
    return Notice(light, sound, _Texts(lang, default, machine).lines("low-credit", name=name), PASSING_S)


def member_first(name: str, machine: str, *, lang: str | None, default: str = translations.SOURCE_LANG) -> Notice:
    """Return the notice for a supervisor whose own session begins where all members need one: what to do for a member."""
    light, sound = _LIGHT_AND_SOUND[_KIND.GO]
    return Notice(light, sound, _Texts(lang, default, machine).lines("go.member-first", name=name), PASSING_S)


class _Texts:
    """The texts for one machine, in one language."""

    def __init__(self, lang: str | None, default: str, machine: str, boot_ms: int = 0) -> None:
        self._catalogue = translations.for_language(lang, default)
        self._machine = machine
        self._boot_ms = boot_ms
        self.money = MoneyTexts(self.text)

    def text(self, key: str) -> str:
        """Return a text in this language, its placeholders not filled in."""
        return self._catalogue.gettext(TEXTS[key])

    def lines(self, key: str, **values: str) -> tuple[str, ...]:
        """Return the lines of a text with its values filled in, without empty lines."""
        filled = (display.fill(line, {"machine": self._machine, **values}) for line in self.text(key).split("\n"))
        return tuple(line for line in filled if line)[:LINES]

    def with_clock(self, key: str, clock: Clock, **values: str) -> tuple[tuple[str, ...], Clock]:
        """Return the lines of a text, `clock` being the line with ``{clock}``, and the clock with its place."""
        before, _, after = self.text(key).partition("{clock}")
        above, below = before.split("\n")[:-1], after.split("\n")[1:]
        filled = [
            [display.fill(line, {"machine": self._machine, **values}) for line in part] for part in (above, below)
        ]
        first, last = ([line for line in part if line] for part in filled)
        return (*first, clock.text(self._boot_ms), *last), structs.replace(clock, line=len(first))

    def until(self, key: str, ms: int, **values: str) -> tuple[tuple[str, ...], Clock]:
        """Return the lines of a text whose clock runs down from `ms`, and the clock."""
        (line,) = (line for line in self.text(key).split("\n") if "{clock}" in line)
        before, _, after = line.partition("{clock}")
        return self.with_clock(key, Clock(0, self._boot_ms + max(0, ms), True, before, after), **values)

    def warning(self, signal: vocabulary.Signal, mode: vocabulary.Mode) -> tuple[tuple[str, ...], Clock]:
        """Return the lines of a session that ends soon, and its clock."""
        why = "".join(signal.reasons[:1])
        match signal.detail:
            case vocabulary.LAST:
                return self.until("warning.last", signal.ms)
            case vocabulary.CLOSING:
                return self.until("warning.closing" if why == access.OUTSIDE_HOURS else "warning.expiring", signal.ms)
            case vocabulary.DEADLINE:
                variant = "warning.deadline.hold" if mode is vocabulary.Mode.HOLD else "warning.deadline"
                return self.until(variant, signal.ms, why=self.text(_DEADLINES.get(why, "deadline.expired")))
        return self.until("warning", signal.ms)

    def go(
        self,
        variant: str,
        signal: vocabulary.Signal,
        rate: Rate | str | None,
        so_far: CostSoFar | None,
        since_ms: int,
    ) -> tuple[tuple[str, ...], Clock | None, Turns | None]:
        """Return the lines of a session that runs, and its clock, next to the cost so far, the limit or the first of two prices.

        If that is too long, both prices are shown without a clock: what a session costs says more than how old it is. A
        price per minute and a fee that do not fit on one line take turns, with the minimum if there is one.
        """
        # What stands next to the clock has room when the clock is widest.
        room = COLUMNS - len(display.clock(signal.ms) if signal.ms > 0 else _WIDEST_CLOCK)
        clock = Clock(0, since_ms)
        if signal.ms > 0:
            limit = self.text("go.limit").format(clock="{clock}", left=self.duration(signal.ms))
            before, _, after = limit.partition("{clock}")
            if len(before) + len(after) <= room:
                clock = Clock(0, since_ms, False, before, after)
        prices = self.money.prices(rate)
        if not prices:
            return (*self.with_clock(variant, clock, name=signal.name), None)
        variant = f"{variant}.priced"
        price = prices[0]
        least = self.money.least(rate) if isinstance(rate, Rate) else ""
        if least and len(prices) > 1:
            prices += (least,)
        elif least and width(price) >= room:
            return self.lines(variant, name=signal.name, clock=price, price=least), None, None
        elif least:
            clock = Clock(0, since_ms, after=price, ends_at=COLUMNS - width(price) + len(price))
            price = least
        if so_far is not None and price == prices[0]:
            clock = structs.replace(clock, line_of=partial(self.money.beside, so_far))
        lines, clock = self.with_clock(variant, clock, name=signal.name, price=price)
        return lines, clock, Turns(lines.index(price), prices) if len(prices) > 1 else None

    def refusal(self, reasons: tuple[str, ...], lock: wire.Lock | None, detail: str) -> tuple[str, ...]:
        """Return the lines for the worst reason; the first line ends with the number of other reasons."""
        first, *others = reasons or ("",)
        title, *rest = self.reason(first, lock, detail)
        if others:
            more = f"+{len(others)}"
            room = COLUMNS - len(more)
            title = f"{cut(title, room - 1):<{room}}{more}"
        return (title, *rest)

    def reason(
        self, reason: str, lock: wire.Lock | None, detail: str, *, otherwise: str = "private"
    ) -> tuple[str, ...]:
        if reason in _LOCKS:
            return display.locked(self._catalogue, lock.reason if lock else detail, lock.back if lock else None)
        if reason in PUBLIC or reason == STILL_CLOSED:
            return self.lines(_SAME.get(reason, reason))
        return self.lines(otherwise, ref=str(REFERENCES.get(reason, OTHER_REFERENCE)))

    def ended(self, left: str, why: str, cost: Cost | None) -> tuple[str, ...]:
        """Return the lines for the end of a session: its cost next to its time if there is room, or else below it."""
        said = "" if cost is None else self.money.cost(cost)
        beside = on_one_line(left, said)
        if not beside:
            return self.lines("ended-priced.why" if why else "ended-priced", left=left, why=why, cost=said)
        return tuple(beside if line == left else line for line in self.lines("ended", left=left, why=why))

    def duration(self, ms: int) -> str:
        """Return whole minutes, or seconds below one minute. Rounded down, so that unused time is not shown."""
        seconds = max(0, ms) // 1000
        if seconds < 60:
            return self.text("seconds").format(n=seconds)
        return self.text("minutes").format(n=seconds // 60)
