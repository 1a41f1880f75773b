"""What does a person read at the machine? Each signal as light, sound and four lines of twenty characters."""

from __future__ import annotations

from typing import Final

from fabgate.drivers.panels import Notice
from fabgate.rules import words as w

_REASONS: Final = {
    "unknown-badge": ("Unknown badge", "Go to the desk"),
    "in-use": ("In use", "Please wait"),
    "expired": ("Membership over", "Go to the desk"),
    "outside-hours": ("Not at this hour",),
    "supervisor-needed": ("Supervisor needed",),
    "clock-unknown": ("Clock not set", "Ask a supervisor"),
    "training-missing": ("Training missing:", "ask a supervisor"),
    "start-timeout": ("Not ready:", "tap again"),
}


def notice(signal: w.Signal, machine: str) -> Notice:
    """Return what the panel shows for a signal."""
    kind = w.SignalKind
    match signal.kind:
        case kind.GO:
            return Notice(
                "green", "short", (f"Hello {signal.name}".strip(), f"{machine} is yours", "", "To stop: tap again")
            )
        case kind.ENDED:
            return Notice("off", "short short", ("Session ended", _minutes(signal.ms), "Please clean up"))
        case kind.REFUSED:
            first, *others = signal.reasons or ("",)
            more = (f"+{len(others)}",) if others else ()
            return Notice("red", "low low", ("Not allowed", *_REASONS.get(first, (first,)), *more))
        case kind.MISREAD:
            return Notice("amber", "low", ("Badge not read", "One card only,", "flat, 1 second"))
        case kind.BLOCKED:
            return Notice("amber", "", ("Out of service", signal.detail[:20], "Do not use"))
        case kind.WARNING:
            left_s = signal.ms // 1000
            return Notice(
                "green blink", "tick", (f"Stops in {left_s // 60}:{left_s % 60:02d}", "To continue:", "tap your badge")
            )
        case kind.SUPERVISOR:
            return Notice("amber blink", "short", ("Supervisor needed", "Tap their badge", "within 30 s"))
        case kind.IDLE:
            return Notice("off")
        case _:
            return Notice(
                "green blink" if signal.kind is not kind.WAIT else "green", "", (signal.kind.value, signal.detail[:20])
            )


def _minutes(ms: int) -> str:
    return f"{ms // 60_000} min"


def power_was_cut() -> Notice:
    """Return what is shown after a start that found a session open."""
    return Notice("amber", "low", ("Power was cut", "Session ended", "Check the machine", "then tap again"))
