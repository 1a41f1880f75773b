"""Draws the live demo: a fixed grid of 80 columns and 24 lines, readable without colour.

Everything that is drawn is in a ``View``, so that a test can draw every screen without a workshop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.layout import Layout
from rich.table import Table
from rich.text import Text

from fabgate.demo.furnishing.people import CARRIERS
from fabgate.demo.live.events import Event
from fabgate.drivers.panels import COLUMNS, LINES

WIDTH: Final = 80
HEIGHT: Final = 24
#: Each state as colour, icon and word, so that no state is shown by colour alone.
STATES: Final = {
    "idle": ("dim", "○", "free"),
    "starting": ("yellow", "◐", "starting"),
    "active": ("bold green", "●", "in use"),
    "finishing": ("green", "◑", "finishing"),
}
CAUSES: Final = {
    "estop": "emergency stop",
    "output": "switch fault",
    "output-away": "plug away",
    "lock-now": "locked",
    "lock-idle": "locked",
    "flag": "danger flagged",
    "journal": "no journal",
    "journal-full": "journal full",
    "reader": "reader fault",
    "stale": "old roster",
}
LIGHTS: Final = {"green": "green", "red": "red", "amber": "yellow", "white": "bold"}
#: Heading and width of each column; with five gaps of one they fill `WIDTH`.
COLUMNS_OF_TABLE: Final = (("", 4), ("machine", 12), ("state", 15), ("power light", 11), ("display", COLUMNS), ("record", 13))  # fmt: skip
CARD_KEYS: Final = {"a": "ada", "b": "bob", "c": "cleo", "m": "mo", "s": "stranger", "p": "phone"}
KEYS: Final = (
    f"card  {'   '.join(f'{key} {CARRIERS.get(card, card)}' for key, card in CARD_KEYS.items())}",
    "keys  q quit   1 2 3 machine   n network   k kill, restart   l lock   o page",
)
_HEAD_LINES: Final = 1
_TABLE_LINES: Final = 2 + 3 * LINES + 2
_FOOT_LINES: Final = 1 + len(KEYS)


@dataclass(frozen=True, slots=True)
class MachinePicture:
    """One machine now.

    `on_s` is how long power has been on in seconds, or None; `lying` is who owns the card in the holder.
    """

    name: str
    gate: str
    mode: str
    state: str = "idle"
    running: bool = True
    causes: tuple[str, ...] = ()
    who: str = ""
    lying: str = ""
    on_s: float | None = None
    linked: bool = True
    head: int = 0
    waiting: int = 0
    light: str = "off"
    display: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """Everything that is drawn.

    `chosen` is the selected machine, from 0; `hint` explains what cards do there; `address` is that of the pages.
    """

    machines: tuple[MachinePicture, ...]
    chosen: int
    hint: str
    sessions: int
    address: str
    events: tuple[Event, ...] = ()


def panel(line: str) -> tuple[str, tuple[str, ...]]:
    """Read a line of the panel's file, ``[light+sound] line / line``; return the light and the lines."""
    look, _, text = line.removeprefix("[").partition("]")
    return look.partition("+")[0] or "off", tuple(text.strip().split(" / ")) if text.strip() else ()


def picture(view: View, width: int, height: int) -> Layout:
    """Return the screen for a terminal of this size. Even on a small terminal the legend of the keys is never cut."""
    if width < WIDTH or height < HEIGHT:
        view = replace(view, hint=f"this window has {width} x {height}; {WIDTH} x {HEIGHT} shows everything")
    table = min(_TABLE_LINES, max(1, height - _HEAD_LINES - _FOOT_LINES))
    room = height - _HEAD_LINES - table - _FOOT_LINES - 1
    parts = [Layout(_head(view), size=_HEAD_LINES), Layout(_Uncrowded(_table(view)), size=table)]
    if room > 0:
        parts += [Layout(_rule(), size=1), Layout(_events(view.events[-room:]), size=room)]
    elif room == 0:
        parts.append(Layout(_rule(), size=1))
    screen = Layout()
    screen.split_column(*parts, Layout(_foot(view), size=_FOOT_LINES))
    return screen


def _head(view: View) -> Table:
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    line.add_column(no_wrap=True, justify="right")
    count = f"{view.sessions} session{'' if view.sessions == 1 else 's'} "
    line.add_row(Text.assemble((" fabgate demo", "bold"), "  ", (view.address, "dim")), Text(count))
    return line


class _Uncrowded:
    """A table with its full width: a narrow terminal cuts its right end, and no column shrinks."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self._table, options.update(width=max(WIDTH, options.max_width)))


def _table(view: View) -> Table:
    table = Table(box=box.HORIZONTALS, show_edge=False, show_lines=True, padding=0, border_style="dim")
    for name, width in COLUMNS_OF_TABLE:
        table.add_column(Text(name, style="dim"), width=width, min_width=width, no_wrap=True, overflow="ellipsis")
    for number, machine in enumerate(view.machines):
        table.add_row(*_row(number + 1, machine, chosen=number == view.chosen))
    return table


def _row(number: int, machine: MachinePicture, *, chosen: bool) -> list[Text]:
    style, icon, word = STATES.get(machine.state, ("red", "✗", machine.state or "not running"))
    if not machine.running:
        style, icon, word = "red", "✗", "not running"
    elif machine.causes and machine.state == "idle":
        style, icon, word = "bold yellow", "▲", CAUSES.get(machine.causes[0], machine.causes[0])
    # A cause may forbid only the next session; then both the session and the cause are shown.
    cause = machine.causes[0] if machine.running and machine.causes and machine.state != "idle" else ""
    note = f"▲ {CAUSES.get(cause, cause)}" if cause else f"card {machine.lying}" if machine.lying else ""
    power = Text("off", "dim") if machine.on_s is None else Text(f"ON {_clock(machine.on_s):>7}", "bold green")
    waiting = Text(f"{machine.waiting} waiting", "yellow") if machine.waiting else Text("✓ delivered", "dim")
    lit = machine.light if machine.running and machine.light != "off" else ""
    return [
        Text(f" {'▸' if chosen else ' '} {number}", "bold" if chosen else ""),
        _lines((machine.name, "bold" if chosen else ""), (machine.gate, "dim"), (machine.mode, "dim")),
        _lines((f"{icon} {word}", style), (f"  {machine.who}", ""), (f"  {note}" if not cause else note, "")),
        _lines(power, (lit, LIGHTS.get(lit.partition(" ")[0], ""))),
        # always four lines, so that the rows below never move
        _lines(*((line, "") for line in (machine.display if machine.running else ())[:LINES]), least=LINES),
        _lines(
            ("● linked", "green") if machine.linked and machine.running else ("✗ cut", "red"),
            (f"{machine.head} entries", "dim"),
            waiting,
        ),
    ]


def _lines(*parts: Text | tuple[str, str], least: int = 1) -> Text:
    texts = [part if isinstance(part, Text) else Text(*part) for part in parts]
    return Text("\n").join([*texts, *[Text()] * (least - len(texts))])


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _rule() -> Text:
    return Text("─" * WIDTH, "dim", no_wrap=True, overflow="crop")


def _events(events: tuple[Event, ...]) -> Text:
    lines = [_event(event) for event in events]
    return (
        Text("\n", no_wrap=True, overflow="ellipsis").join(lines) if lines else Text(" ")
    )  # a layout shows its own text in an empty part


def _event(event: Event) -> Text:
    return Text.assemble((f" {event.at}  ", "dim"), f"{event.gate:<10} {event.text}")


def _foot(view: View) -> Text:
    lines = [Text(f" {view.hint}", "italic"), *(Text(f" {line}", "bold") for line in KEYS)]
    return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)


def in_words(machine: MachinePicture) -> str:
    """Return a machine's state in one line, for a terminal that cannot position text."""
    words = " ".join(_row(0, machine, chosen=False)[2].plain.split())
    power = "off" if machine.on_s is None else "ON"
    return f"{machine.gate:<10} {words}, power {power}" + (
        f", display: {' / '.join(machine.display)}" if machine.display else ""
    )
