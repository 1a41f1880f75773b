"""How is what the demo sees said in people's words? Names of states, lights and numbers come in; sentences go out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fabgate.collector.pages.formatting import duration
from fabgate.collector.people import reasons
from fabgate.collector.people.display_names import Who

KINDS: Final[Mapping[str, Any]] = {
    "member": gettext_lazy("Member"),
    "maintainer": gettext_lazy("Maintainer"),
    "supervisor": gettext_lazy("Supervisor"),
    "minor": gettext_lazy("Minor: needs a supervisor"),
    "lapsed": gettext_lazy("Membership over"),
    "lost": gettext_lazy("Card reported lost"),
    "unknown": gettext_lazy("Badge nobody knows"),
    "phone": gettext_lazy("Phone that changes its number"),
}
#: What stands on the badges of nobody.
NAMELESS: Final[Mapping[str, Any]] = {"unknown": gettext_lazy("Stranger"), "phone": gettext_lazy("Phone")}
#: What a badge is no more once somebody has it.
_NOBODYS: Final = frozenset({"unknown", "lost"})
#: By the state: the one that colours and icons are known for, and its word.
STATES: Final[Mapping[str, tuple[str, Any]]] = {
    "no-power": ("silent", gettext_lazy("No mains")),
    "not-running": ("silent", gettext_lazy("Gate not running")),
    "not-ready": ("starting", gettext_lazy("Gate starts")),
}
MODES: Final[Mapping[str, Any]] = {
    "tap": gettext_lazy("A badge starts it, the same badge ends it; another trained member takes over."),
    "hold": gettext_lazy("The card stays in its holder for as long as its owner works."),
    "timed": gettext_lazy("A badge starts half a minute; tap again at the warning, and it goes on."),
}
LIGHTS: Final[Mapping[str, Any]] = {
    "off": gettext_lazy("light off"),
    "green": gettext_lazy("green light"),
    "green blink": gettext_lazy("green light, blinking"),
    "red": gettext_lazy("red light"),
    "red blink": gettext_lazy("red light, blinking"),
    "amber": gettext_lazy("amber light"),
    "amber blink": gettext_lazy("amber light, blinking"),
    "white": gettext_lazy("white light"),
    "white blink": gettext_lazy("white light, blinking"),
}
#: A display has four lines.
LINES: Final = 4


@dataclass(frozen=True, slots=True)
class Card:
    """A badge on the wall."""

    id: str
    kind: str
    name: str
    bytes: int

    @property
    def what(self) -> str:
        """Return what it is, in words."""
        return str(KINDS[self.kind])

    @property
    def size(self) -> str:
        """Return how long its number is."""
        return ngettext("%(n)d byte", "%(n)d bytes", self.bytes) % {"n": self.bytes}

    @property
    def initials(self) -> str:
        """Return what stands in place of a photo; nothing for who has no name."""
        return "" if self.kind in NAMELESS else self.name[:2]


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine and its gate, as they are now."""

    gate: str
    title: str
    mode: str
    state: str
    word: str
    who: str
    on_since: str
    light: str
    lines: tuple[str, ...]
    lying: str
    takes_cards: bool
    has_mains: bool
    runs: bool
    is_plugged: bool
    is_linked: bool
    refusal: str
    audit: str
    audit_text: str
    clock: str
    is_clock_right: bool

    @property
    def how(self) -> str:
        """Return what a badge does here."""
        return str(MODES[self.mode])

    @property
    def lit(self) -> str:
        """Return the light in words."""
        return str(LIGHTS.get(self.light, self.light))

    @property
    def colour(self) -> str:
        """Return the light's colour alone."""
        return self.light.partition(" ")[0]

    @property
    def blinks(self) -> bool:
        """Return whether the light blinks."""
        return self.light.endswith("blink")


def card(found: Mapping[str, Any], owner: Who | None = None) -> Card:
    """Return a card of the wall; `owner` is who has it, as the collector knows."""
    kind = "member" if owner and found["kind"] in _NOBODYS else found["kind"]
    name = owner.given if owner else str(NAMELESS.get(kind, found["name"]))
    return Card(found["id"], kind, name, found["bytes"])


def machine(found: Mapping[str, Any], people: Mapping[str, Who]) -> Machine:
    """Return a machine with its sentences; `people` are those whom the gates know, by their ids."""
    state, word = STATES.get(found["state"], (found["state"], ""))
    audit, audit_text = _audit(found)
    lines = tuple(found["lines"])
    return Machine(
        gate=found["gate"],
        title=found["title"],
        mode=found["mode"],
        state=state,
        word=str(word),
        who=_given(found["who"], people),
        on_since=found["on_since"] or "",
        light=found["light"],
        lines=(lines + ("",) * LINES)[:LINES],
        lying=found["lying"] or "",
        takes_cards=found["runs"],
        has_mains=found["has_mains"],
        runs=found["runs"],
        is_plugged=found["is_plugged"],
        is_linked=found["is_linked"],
        refusal=_refusal(found["refusal"], people),
        audit=audit,
        audit_text=audit_text,
        clock=_clock(found),
        is_clock_right=found["clock_synced"] and not found["clock_ahead_s"],
    )


def _given(one: str | None, people: Mapping[str, Who]) -> str:
    found = people.get(one or "")
    return found.given if found and found.member else one or ""


def _refusal(found: Mapping[str, Any] | None, people: Mapping[str, Who]) -> str:
    if not found:
        return ""
    why = ", ".join(reasons.all_refused(found["reasons"]))
    if found["who"]:
        return _("%(who)s was refused: %(why)s") % {"who": _given(found["who"], people), "why": why}
    return _("Refused: %(why)s") % {"why": why}


def _audit(found: Mapping[str, Any]) -> tuple[str, str]:
    """Return how the books stand: a state's name, and a sentence."""
    if found["wrong"]:
        return "bad", _("The books disagree: %(what)s") % {"what": "; ".join(found["wrong"])}
    if found["waiting"]:
        count = found["waiting"]
        text = ngettext(
            "%(n)d entry is kept here until the collector has it",
            "%(n)d entries are kept here until the collector has them",
            count,
        )
        return "warn", text % {"n": count}
    if not found["sessions"]:
        return "ok", _("No session has ended yet; every entry is at the collector")
    count = found["sessions"]
    text = ngettext(
        "%(n)d session, %(time)s: journal, collector and the power seen from outside agree",
        "%(n)d sessions, %(time)s: journal, collector and the power seen from outside agree",
        count,
    )
    return "ok", text % {"n": count, "time": duration(found["energised_ms"])}


def _clock(found: Mapping[str, Any]) -> str:
    ahead_s = found["clock_ahead_s"]
    if not found["clock_synced"]:
        return _("nobody has told it the time yet")
    if not ahead_s:
        return _("right")
    how_far = duration(abs(ahead_s) * 1000)
    return (_("%(time)s fast") if ahead_s > 0 else _("%(time)s slow")) % {"time": how_far}
