"""Describes the demo's badges and machines in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fabgate.collector.members.people import reasons
from fabgate.collector.members.people.display_names import DisplayName
from fabgate.collector.money.paper.figures import duration

KINDS: Final[Mapping[str, Any]] = {
    "member": gettext_lazy("Member"),
    "fob": gettext_lazy("Member, 125 kHz fob"),
    "maintainer": gettext_lazy("Maintainer"),
    "supervisor": gettext_lazy("Supervisor"),
    "minor": gettext_lazy("Minor: needs a supervisor"),
    "lapsed": gettext_lazy("Membership expired"),
    "lost": gettext_lazy("Card reported lost"),
    "unknown": gettext_lazy("Unknown badge"),
    "phone": gettext_lazy("Phone, random number"),
}
#: Names for badges without an owner.
NAMELESS: Final[Mapping[str, Any]] = {"unknown": gettext_lazy("Stranger"), "phone": gettext_lazy("Phone")}
#: Kinds that become "member" once the badge is assigned.
_UNASSIGNED: Final = frozenset({"unknown", "lost"})
#: For each state of a gate: the state for colour and icon, and its word.
STATES: Final[Mapping[str, tuple[str, Any]]] = {
    "no-power": ("silent", gettext_lazy("No mains power")),
    "not-running": ("silent", gettext_lazy("Gate not running")),
    "not-ready": ("starting", gettext_lazy("Gate starting")),
}
MODES: Final[Mapping[str, Any]] = {
    "tap": gettext_lazy("Tap to start, tap again to stop. Another trained member can take over."),
    "hold": gettext_lazy("The card stays in the holder while its owner works."),
    "timed": gettext_lazy("A tap gives half a minute. Tap again at the warning to continue."),
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
        """Return its kind as text."""
        return str(KINDS[self.kind])

    @property
    def size(self) -> str:
        """Return the length of its number."""
        return ngettext("%(n)d byte", "%(n)d bytes", self.bytes) % {"n": self.bytes}

    @property
    def initials(self) -> str:
        """Return the initials shown instead of a photo; empty without a name."""
        return "" if self.kind in NAMELESS else self.name[:2]


@dataclass(frozen=True, slots=True)
class Picture:
    """What an emulated display shows: dots, the lit ones as the path of an SVG."""

    kind: str
    width: int
    height: int
    strokes: str
    is_lit: bool

    #: Dots of glass around the picture.
    MARGIN: ClassVar = 3
    #: The cells of a character display have eight rows of dots, and one row is between two of them.
    CELL: ClassVar = 9

    @property
    def view_box(self) -> str:
        """Return the picture and its margin."""
        margin = self.MARGIN
        return f"{-margin} {-margin} {self.width + 2 * margin} {self.height + 2 * margin}"

    @property
    def cells(self) -> str:
        """Return the middle of each row of characters as the path of an SVG; nothing on a display without such rows."""
        if self.kind != "lcd":
            return ""
        return "".join(f"M0 {y}h{self.width}" for y in range(self.CELL // 2, self.height, self.CELL))


@dataclass(frozen=True, slots=True)
class OnWall:
    """A machine and its gate, as of now."""

    gate: str
    title: str
    mode: str
    state: str
    word: str
    who: str
    on_since: str
    light: str
    lines: tuple[str, ...]
    picture: Picture | None
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
        """Return the light as text."""
        return str(LIGHTS.get(self.light, self.light))

    @property
    def colour(self) -> str:
        """Return the colour of the light."""
        return self.light.partition(" ")[0]

    @property
    def blinks(self) -> bool:
        """Return whether the light blinks."""
        return self.light.endswith("blink")


def card(found: Mapping[str, Any], owner: DisplayName | None = None) -> Card:
    """Return a badge of the wall; `owner` is its holder according to the collector."""
    kind = "member" if owner and found["kind"] in _UNASSIGNED else found["kind"]
    name = owner.given if owner else str(NAMELESS.get(kind, found["name"]))
    return Card(found["id"], kind, name, found["bytes"])


def machine(found: Mapping[str, Any], people: Mapping[str, DisplayName]) -> OnWall:
    """Return a machine with its texts; `people` are the members by id."""
    state, word = STATES.get(found["state"], (found["state"], ""))
    audit, audit_text = _audit(found)
    lines = tuple(found["lines"])
    return OnWall(
        gate=found["gate"],
        title=found["title"],
        mode=found["mode"],
        state=state,
        word=str(word),
        who=_given_name(found["who"], people),
        on_since=found["on_since"] or "",
        light=found["light"],
        lines=(lines + ("",) * LINES)[:LINES],
        picture=Picture(**found["picture"]) if found["picture"] else None,
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


def _given_name(key: str | None, people: Mapping[str, DisplayName]) -> str:
    who = people.get(key or "")
    return who.given if who and who.member else key or ""


def _refusal(found: Mapping[str, Any] | None, people: Mapping[str, DisplayName]) -> str:
    if not found:
        return ""
    why = ", ".join(reasons.all_refused(found["reasons"]))
    if found["who"]:
        return _("%(who)s was refused: %(why)s") % {"who": _given_name(found["who"], people), "why": why}
    return _("Refused: %(why)s") % {"why": why}


def _audit(found: Mapping[str, Any]) -> tuple[str, str]:
    """Return whether the records agree, as a state and a sentence."""
    if found["wrong"]:
        return "bad", _("The records disagree: %(what)s") % {"what": "; ".join(found["wrong"])}
    if found["waiting"]:
        count = found["waiting"]
        text = ngettext(
            "%(n)d entry waits here for the collector",
            "%(n)d entries wait here for the collector",
            count,
        )
        return "warn", text % {"n": count}
    if not found["sessions"]:
        return "ok", _("No session has ended yet; the collector has every entry")
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
        return _("not set yet")
    if not ahead_s:
        return _("right")
    how_far = duration(abs(ahead_s) * 1000)
    return (_("%(time)s fast") if ahead_s > 0 else _("%(time)s slow")) % {"time": how_far}
