"""Draws every message on every display, as its chip decodes the bytes of its driver: docs/panels/*.png.

``make panel-pictures`` writes them; test_displays.py compares them with what the code draws now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from PIL import Image

from fabgate import wire
from fabgate.drivers.emulated.displays.frame import CELL_HEIGHT, CELL_WIDTH, frame_of
from fabgate.drivers.emulated.displays.i2c import EmulatedBus
from fabgate.drivers.emulated.displays.lcd_chip import LcdChip
from fabgate.drivers.emulated.displays.oled_chip import OledChip
from fabgate.drivers.panels import Notice
from fabgate.drivers.panels.font import drawn
from fabgate.drivers.panels.lcd import PAGE_S, LcdOptions, LcdPanel, pages_of
from fabgate.drivers.panels.oled import OledOptions, OledPanel
from fabgate.gate.panel import messages
from fabgate.gate.panel.costs import Certainty, Cost, Rate
from fabgate.gate.panel.messages import TEXTS
from fabgate.rules import access, vocabulary
from fabgate.translations import LANGUAGES

FOLDER = Path(__file__).parents[2] / "docs" / "panels"
SPOKEN = ("en", *LANGUAGES)
KIND = vocabulary.SignalKind
HOLD = vocabulary.Mode.HOLD
MINUTE_MS = 60_000
PRICE = Rate(Decimal("0.2"), Decimal(0), 2, "EUR")
LOCK = {"en": "Broken belt", "fr": "Courroie cassée"}

#: What the pictures consist of: 0 around, 1 dark dots, 2 lit dots, 3 captions, 4 dots that are not lit.
Palette = tuple[tuple[int, int, int], ...]
Picture = list[list[int]]
LCD: Palette = ((24, 26, 30), (18, 48, 168), (235, 244, 255), (196, 200, 208), (26, 58, 182))


def notices(lang: str) -> dict[str, Notice]:
    """Return each message that a gate can show, by the name of its text."""

    def say(
        kind: vocabulary.SignalKind, *, ms: int = 0, reasons: tuple[str, ...] = (), detail: str = "", **more: Any
    ) -> Notice:
        name = "Ada" if kind is KIND.GO else ""
        signal = vocabulary.Signal(kind, name, lang, reasons, ms, detail)
        lock = wire.Lock(id="l", when="now", reason=LOCK[lang], back=more.pop("back", None))
        return messages.notice(signal, "Laser 1", lang=lang, lock=lock, boot_ms=754_000, **{"since_ms": 0, **more})

    hour = 60 * MINUTE_MS
    found = {
        "wait": say(KIND.WAIT),
        "supervisor-needed": say(KIND.SUPERVISOR, ms=30_000),
        "go": say(KIND.GO, ms=2 * hour),
        "go.hold": say(KIND.GO, ms=2 * hour, mode=HOLD),
        "go.priced": say(KIND.GO, ms=2 * hour, money=PRICE, so_far=lambda _ms: Cost(251, 2, "EUR")),
        "go.priced, least": say(KIND.GO, ms=2 * hour, money=PRICE._replace(minimum=Decimal(1))),
        "go.hold.priced": say(KIND.GO, ms=2 * hour, mode=HOLD, money=PRICE._replace(fixed=Decimal(1))),
        "go.member-first": messages.member_first("Ada", "Laser 1", lang=lang),
        "low-credit": messages.low_credit("Ada", "Laser 1", lang=lang),
        "ended": say(KIND.ENDED, ms=12 * MINUTE_MS, reasons=("badge",), money=Cost(240, 2, "EUR")),
        "ended-priced": say(KIND.ENDED, ms=123 * MINUTE_MS, money=Cost(123_456, 2, "EUR", Certainty.ABOUT)),
        "ended-priced.why": say(
            KIND.ENDED, ms=123 * MINUTE_MS, reasons=("limit",), money=Cost(123_456, 2, "EUR", Certainty.ABOUT)
        ),
        "warning": say(KIND.WARNING, ms=2 * MINUTE_MS),
        "warning.last": say(KIND.WARNING, ms=2 * MINUTE_MS, detail=vocabulary.LAST),
        "warning.closing": say(KIND.WARNING, ms=MINUTE_MS, detail=vocabulary.CLOSING, reasons=("outside-hours",)),
        "warning.expiring": say(KIND.WARNING, ms=MINUTE_MS, detail=vocabulary.CLOSING, reasons=("expired",)),
        "warning.deadline": say(KIND.WARNING, ms=MINUTE_MS, detail=vocabulary.DEADLINE, reasons=("outside-hours",)),
        "warning.deadline.hold": say(
            KIND.WARNING, ms=MINUTE_MS, detail=vocabulary.DEADLINE, reasons=("lock-idle",), mode=HOLD
        ),
        "warning.deadline, lapsed": say(
            KIND.WARNING, ms=MINUTE_MS, detail=vocabulary.DEADLINE, reasons=("training-expired",)
        ),
        "extended": say(KIND.EXTENDED, ms=hour),
        "grace": say(KIND.GRACE, ms=9_000),
        "finishing": say(KIND.FINISHING, ms=hour),
        "finishing.asks-again": say(KIND.FINISHING, ms=hour, detail=vocabulary.ASKS_AGAIN),
        "finishing.unfelt": say(KIND.FINISHING, ms=hour, detail=vocabulary.UNFELT),
        "finishing.unfelt.hold": say(KIND.FINISHING, ms=hour, detail=vocabulary.UNFELT, mode=HOLD),
        "run-on": say(KIND.RUN_ON, ms=2 * MINUTE_MS),
        "flag-ask": say(KIND.FLAG_ASK),
        "flag-ask.danger": say(KIND.FLAG_ASK, detail="danger"),
        "flagged": say(KIND.FLAGGED),
        "flagged.danger": say(KIND.FLAGGED, detail="danger"),
        "unflagged": say(KIND.UNFLAGGED),
        "identify": say(KIND.IDENTIFY, detail="Grace"),
        "power-was-cut": messages.power_was_cut(lang),
        "misread": say(KIND.MISREAD),
        "misread.two-cards": say(KIND.MISREAD, detail="two-cards"),
        "misread.random-uid": say(KIND.MISREAD, detail="random-uid"),
        "misread.lying": say(KIND.MISREAD, detail=vocabulary.LYING),
        "private": say(KIND.REFUSED, reasons=("badge-blocked", "expired", "outside-hours")),
        "output-still-closed": say(KIND.REFUSED, reasons=(messages.STILL_CLOSED,)),
        "blocked": say(KIND.BLOCKED, detail="something new"),
        "blocked-lock.back": say(KIND.BLOCKED, reasons=(vocabulary.Cause.LOCK_NOW,), back="2027-03-14"),
    }
    reasons = (
        "unknown-badge",
        "badge-shared",
        "member-first",
        "in-use",
        "not-in-holder",
        "expired",
        "loan-over",
        "outside-hours",
        "clock-unknown",
        "training-missing",
        "training-expired",
    )
    for reason in (*reasons, access.SUPERVISOR_NEEDED, "start-timeout"):
        found[messages._SAME.get(reason, reason)] = say(KIND.REFUSED, reasons=(reason,))
    for cause in vocabulary.Cause:
        key = messages._SAME.get(f"blocked-{cause}", f"blocked-{cause}")
        found.setdefault(key, say(KIND.BLOCKED, reasons=(cause,)))
    return found


def missing(found: dict[str, Notice]) -> set[str]:
    """Return the texts of whole messages that no picture shows."""
    parts = (
        "go.limit",
        "ended.",
        "deadline.",
        "price.",
        "cost.",
        "money",
        "thousands-mark",
        "decimal-mark",
        "minutes",
        "seconds",
        "day",
        "blocked-lock.no-reason",
    )
    return {key for key in TEXTS if not key.startswith(parts)} - found.keys()


# --- displays ---------------------------------------------------------------------------------------------------------


def oled(found: Iterable[Notice]) -> Iterator[list[Picture]]:
    """Yield what an SH1106 shows."""
    bus, chip = EmulatedBus(), OledChip("sh1106")
    bus.chips[0x3C] = chip

    class Panel(OledPanel):
        def open_bus(self, number: int) -> EmulatedBus:
            return bus

    panel = Panel(OledOptions())
    panel.open()
    for notice in found:
        panel.show(notice)
        yield [framed(_dots(chip), 4)]
    panel.close()


def lcd(found: Iterable[Notice], size: str) -> Iterator[list[Picture]]:
    """Yield what an LCD shows, each page as one picture. Its chip needs no time, so RPLCD does not wait for it."""
    columns, rows = map(int, size.split("x"))
    bus, chip = EmulatedBus(), LcdChip(columns, rows)
    bus.chips[0x27] = chip

    class Panel(LcdPanel):
        now_s = 0.0

        def open_bus(self, number: int) -> EmulatedBus:
            return bus

        def monotonic(self) -> float:
            return self.now_s

    with mock.patch("RPLCD.common.usleep"), mock.patch("RPLCD.common.msleep"):
        panel = Panel(LcdOptions(size=size))
        panel.open()
        for notice in found:
            pictures: list[Picture] = []
            for _ in pages_of(notice.lines, columns, rows):
                panel.show(notice)
                pictures.append(framed(_dots(chip), 4))
                panel.now_s += PAGE_S
            yield pictures
        panel.close()


def _dots(chip: LcdChip | OledChip) -> Picture:
    """Return the dots of a display; those of an LCD that are not lit can be seen too, in cells of 5 by 8."""
    found = frame_of(chip)
    picture = [[2 if row >> (found.width - 1 - x) & 1 else 1 for x in range(found.width)] for row in found.rows]
    if isinstance(chip, LcdChip):
        for y, row in enumerate(picture):
            for x, dot in enumerate(row):
                if dot == 1 and (x + 1) % CELL_WIDTH and (y + 1) % CELL_HEIGHT:
                    row[x] = 4
    return picture


#: Each display: what draws it, its colours, and how many pictures stand next to each other.
DISPLAYS: dict[str, tuple[Callable[[Iterable[Notice]], Iterator[list[Picture]]], Palette, int]] = {
    "oled": (oled, ((24, 26, 30), (0, 0, 0), (160, 222, 255), (196, 200, 208)), 4),
    "lcd-20x4": (partial(lcd, size="20x4"), LCD, 4),
    "lcd-16x2": (partial(lcd, size="16x2"), LCD, 5),
}


def framed(dots: Picture, margin: int) -> Picture:
    """Return dots with a dark margin."""
    width = len(dots[0]) + 2 * margin
    side = [1] * margin
    return [[1] * width] * margin + [[*side, *row, *side] for row in dots] + [[1] * width] * margin


def sheet(display: str, lang: str) -> Image.Image:
    """Return one picture of all messages in one language on one display."""
    draw, palette, across = DISPLAYS[display]
    found = notices(lang)
    drawings = zip(found, draw(found.values()), strict=True)
    cells = [
        (f"page {page}" if page > 1 else name, picture)
        for name, pictures in drawings
        for page, picture in enumerate(pictures, 1)
    ]
    high, wide = len(cells[0][1]), len(cells[0][1][0])
    gap, caption = 8, 16
    rows = -(-len(cells) // across)
    image = Image.new("P", (across * (wide + gap) + gap, rows * (high + caption + gap) + gap), 0)
    image.putpalette([part for colour in palette for part in colour])
    for n, (name, picture) in enumerate(cells):
        left, top = gap + n % across * (wide + gap), gap + n // across * (high + caption + gap)
        width, letters = drawn(name)
        for y, row in enumerate(letters):
            for x in range(min(width, wide)):
                if row >> (width - 1 - x) & 1:
                    image.putpixel((left + x, top + y), 3)
        image.paste(
            Image.frombytes("P", (wide, high), bytes(dot for row in picture for dot in row)), (left, top + caption)
        )
    return image.resize((image.width * 2, image.height * 2), Image.Resampling.NEAREST)


def sheets() -> Iterator[tuple[Path, Image.Image]]:
    """Yield each picture and its file."""
    for display in DISPLAYS:
        for lang in SPOKEN:
            yield FOLDER / f"{display}-{lang}.png", sheet(display, lang)


if __name__ == "__main__":
    for file, picture in sheets():
        picture.save(file, optimize=True)
        print(file)  # noqa: T201
