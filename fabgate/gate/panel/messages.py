"""What does a person read at the machine? Each signal as light, sound and four lines of twenty characters.

A text is written whole, four lines with the places of what is filled in, so that a translator lays the lines out anew
(``fabgate/locale``). A name, a machine or a reason that is too long is cut, never the sentence around it.

Money and discipline are never shown in public: a reason that is not listed here is "see the front desk", with a number
that the desk understands. The display never says "safe" or "no voltage".
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from fabgate import display, translations, wire
from fabgate.display import COLUMNS, LINES, cut
from fabgate.drivers.panels import Notice
from fabgate.rules import access
from fabgate.rules import vocabulary as w

_KIND: Final = w.SignalKind
#: What a maintainer reads whose badge could not clear a fault of the output.
STILL_CLOSED: Final = "output-still-closed"
#: What happened is shown for so long where nothing else is said, and at most so long where the machine is blocked.
MOMENT_S: Final = 5.0
#: Light and sound of each kind; the text stands in `TEXTS` under the same word.
_LOOKS: Final[dict[w.SignalKind, tuple[str, str]]] = {
    _KIND.IDLE: ("off", ""),
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

#: Seconds after which what has happened gives way to what is: whoever works must not look at a stranger's refusal.
_PASSES_S: Final[dict[w.SignalKind, float]] = {
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
    "supervisor-needed": "Supervisor needed\nTap their badge\nwithin {left}",
    "go": "Hello {name}\n{machine} is yours\n{limit}\nTo stop: tap again",
    "go.hold": "Hello {name}\n{machine} is yours\n{limit}\nTo stop: take badge",
    "go.limit": "For {left} at most",
    "ended": "Session ended\n{left}\n{why}\nPlease clean up",
    "warning": "Stops in {clock}\nTo continue:\ntap your badge",
    "warning.last": "Stops in {clock}\nNo more time:\nplease finish",
    "extended": "Extended\n{left} left",
    "grace": "Badge removed\nStops in {clock}\nTo continue:\nput it back",
    "finishing": "Job is running\nThe power stays on\nuntil it is done",
    "finishing.unfelt": "Please finish\nAt most {left}\nWhen you are done:\ntap again",
    "finishing.unfelt.hold": "Please finish\nAt most {left}\nWhen you are done:\ntake your badge",
    "run-on": "Session ending\nRuns on for {left}",
    "flag-ask": "Report a defect:\ntap your badge\nDanger: press again",
    "flag-ask.danger": "Report a danger:\ntap your badge\nDefect: press again",
    "flagged": "Thank you\nThe defect is\nreported",
    "unflagged": "Thank you\nThe report is\ntaken back",
    "identify": "This is\n{machine}\nAsked by {actor}",
    "power-was-cut": "Power was cut\nSession ended\nCheck the machine\nthen tap again",
    # why a session ended that its member did not end
    "ended.limit": "Time limit reached",
    "ended.idle": "Machine stood still",
    "ended.revoked": "See the front desk",
    "ended.lock": "Machine locked",
    "ended.remote": "Stopped by the staff",
    "ended.fault": "Machine fault",
    "ended.restart": "The gate restarts",
    # a card that is no badge
    "misread": "Badge not read\nOne card only,\nflat, 1 second",
    "misread.two-cards": "Badge not read\nTwo cards at once:\nlay down only one",
    "misread.random-uid": "Badge not read\nA phone or card of\nchanging numbers:\nuse your badge",
    # refusals that anybody may read
    "unknown-badge": "Unknown badge\nGo to the desk",
    "in-use": "Not allowed\nIn use: please wait\nuntil it is free",
    "expired": "Not allowed\nMembership over\nGo to the desk",
    "outside-hours": "Not allowed\nNot at this hour:\nask at the desk",
    "clock-unknown": "Not allowed\nThe gate lost the\ntime: ask at the\ndesk",
    "supervisor-missing": "Supervisor needed\nTap again beside\na supervisor",
    "training-missing": "Not allowed\n{machine} training\nmissing: ask a\nsupervisor",
    "training-expired": "Not allowed\n{machine} training\ntoo old: ask a\nsupervisor",
    "start-timeout": "Not ready\nNothing was started\nTap again",
    "output-still-closed": "Fault not cleared\nThe contactor is\nstill closed",
    # refusals that are nobody else's business
    "private": "No access now\nPlease see the\nfront desk (ref. {ref})",
    # what forbids use of the machine
    "blocked": "Out of service\nGo to the desk",
    "blocked-estop": "Out of service\nThe emergency stop\nis pressed",
    "blocked-output": "Out of service\nSwitching fault\nDo not use",
    "blocked-flag": "Out of service\nA danger was\nreported\nDo not use",
    "blocked-journal": "Out of service\nThe gate cannot keep\nrecords: go to the\ndesk",
    "blocked-reader": "Out of service\nBadge reader fault\nGo to the desk",
    "blocked-stale": "Out of service\nList of members is\ntoo old: go to the\ndesk",
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
#: Reasons that anybody may read at the machine. Whatever else a roster says is between the member and the desk.
PUBLIC: Final = frozenset(
    {
        access.UNKNOWN_BADGE,
        access.IN_USE,
        access.EXPIRED,
        access.OUTSIDE_HOURS,
        access.CLOCK_UNKNOWN,
        access.SUPERVISOR_NEEDED,
        "training-missing",
        "training-expired",
        w.EndReason.START_TIMEOUT.value,
        *(access.blocked_by(cause) for cause in w.Cause),
    }
)
#: What the desk is told by number. One digit: the line has no room for two in French.
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
_LOCKS: Final = frozenset({access.blocked_by(w.Cause.LOCK_NOW), access.blocked_by(w.Cause.LOCK_IDLE)})


def notice(
    signal: w.Signal,
    machine: str,
    *,
    lang: str = translations.SOURCE_LANG,
    mode: w.Mode = w.Mode.TAP,
    lock: wire.Lock | None = None,
) -> Notice:
    """Return what the panel shows for a signal, in the member's language, or in `lang` where nobody is known.

    `mode` is the machine's, and `lock` the one that holds: its reason and the day on which the machine is expected
    back are shown.
    """
    speak = _Speaker(signal.lang, lang, machine)
    light, sound = _LOOKS[signal.kind]
    match signal.kind:
        case _KIND.IDLE:
            lines: tuple[str, ...] = ()
        case _KIND.REFUSED:
            lines = speak.refusal(signal.reasons, lock, signal.detail)
        case _KIND.BLOCKED:
            causes = signal.reasons or (signal.detail,)
            lines = speak.reason(f"blocked-{causes[0]}", lock, signal.detail, otherwise="blocked")
        case _KIND.GO:
            limit = speak.text("go.limit").format(left=speak.duration(signal.ms)) if signal.ms > 0 else ""
            lines = speak.lines("go.hold" if mode is w.Mode.HOLD else "go", name=signal.name, limit=limit)
        case _KIND.ENDED:
            why = f"ended.{signal.reasons[0]}" if signal.reasons else ""
            told = speak.text(why) if why in TEXTS else ""
            lines = speak.lines("ended", left=speak.duration(signal.ms), why=told)
        case _KIND.FINISHING if signal.detail == w.UNFELT:
            variant = "finishing.unfelt.hold" if mode is w.Mode.HOLD else "finishing.unfelt"
            lines = speak.lines(variant, left=speak.duration(signal.ms))
        case _KIND.WARNING if signal.detail == w.LAST:
            lines = speak.lines("warning.last", clock=_clock(signal.ms))
        case _KIND.MISREAD | _KIND.FLAG_ASK:
            variant = f"{signal.kind}.{signal.detail}"
            lines = speak.lines(variant if variant in TEXTS else signal.kind.value)
        case _:
            left, clock = speak.duration(signal.ms), _clock(signal.ms)
            lines = speak.lines(signal.kind.value, left=left, clock=clock, actor=signal.detail)
    return Notice(light, sound, lines, _PASSES_S.get(signal.kind, 0))


def moment(
    signal: w.Signal,
    machine: str,
    *,
    lang: str = translations.SOURCE_LANG,
    mode: w.Mode = w.Mode.TAP,
    lock: wire.Lock | None = None,
    blocked: bool = False,
) -> Notice:
    """Return what the panel shows for some seconds for what has just happened.

    `blocked` says that something forbids use of the machine now: that must not be hidden for long.
    """
    told = notice(signal, machine, lang=lang, mode=mode, lock=lock)
    for_s = told.for_s or MOMENT_S
    return structs.replace(told, for_s=min(for_s, MOMENT_S) if blocked else for_s)


#: What stands where nobody uses the machine and nothing forbids it.
DARK: Final = Notice(_LOOKS[_KIND.IDLE][0])


def power_was_cut(lang: str = translations.SOURCE_LANG) -> Notice:
    """Return what is shown after a start that found a session open."""
    return Notice("amber", "low", _Speaker(None, lang, "").lines("power-was-cut"))


class _Speaker:
    """One language, at one machine."""

    def __init__(self, lang: str | None, default: str, machine: str) -> None:
        self._catalogue = translations.for_language(lang, default)
        self._machine = machine

    def text(self, key: str) -> str:
        """Return a text in this language, its places not filled in."""
        return self._catalogue.gettext(TEXTS[key])

    def lines(self, key: str, **values: str) -> tuple[str, ...]:
        """Return a text with its values filled in; a line of which nothing is left is left out."""
        filled = (display.fill(line, {"machine": self._machine, **values}) for line in self.text(key).split("\n"))
        return tuple(line for line in filled if line)[:LINES]

    def refusal(self, reasons: tuple[str, ...], lock: wire.Lock | None, detail: str) -> tuple[str, ...]:
        """Return the worst reason, and behind the first line how many others there are."""
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

    def duration(self, ms: int) -> str:
        """Return whole minutes, or seconds below one minute. Rounded down: nobody is told of time that was not used."""
        seconds = max(0, ms) // 1000
        if seconds < 60:
            return self.text("seconds").format(n=seconds)
        return self.text("minutes").format(n=seconds // 60)


def _clock(ms: int) -> str:
    minutes, seconds = divmod(max(0, ms) // 1000, 60)
    return f"{minutes}:{seconds:02d}"
