"""A tariff as people type it: ``price=0.10 minimum=1.00 peak='mon-fri 17:00-22:00 0.25'``."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import time
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from fabgate.collector.ground.models.sessions.words import PURPOSES
from fabgate.collector.money.billing.tariffs.rules import BILLED_PURPOSES
from fabgate.pricing.mistakes import tariff_mistakes
from fabgate.pricing.tariffs import Peak, Tariff

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_AMOUNTS: Final = ("price", "idle_price", "session_fee", "minimum", "daily_cap")
LONGEST_VAT_CODE: Final = 20
_PEAK: Final = re.compile(r"(?P<days>[a-z,-]+) (?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d) (?P<price>\S+)")


class Typed(NamedTuple):
    """What was typed, once it is right."""

    tariff: Tariff
    purposes: frozenset[str]
    vat_code: str


def read(parts: Sequence[str], digits: int, mistakes: list[str]) -> Typed | None:
    """Return the tariff of ``NAME=VALUE`` parts, or None; adds to `mistakes`. `digits` are those of the currency."""
    before = len(mistakes)
    values = _values(parts, mistakes)
    if "price" not in values and len(mistakes) == before:
        mistakes.append("found no price; wanted price=AMOUNT per minute, such as price=0.10 (0 for a price per use)")
    if len(mistakes) > before:
        return None
    peaks = tuple(values.pop("peak", ()))
    single = {name: found[0] for name, found in values.items()}
    purposes, vat_code = single.pop("purposes", BILLED_PURPOSES), single.pop("vat_code", "")
    if "basis" in single:
        single["charged_for"] = single.pop("basis")
    tariff = Tariff(**single, peaks=peaks)
    mistakes += [f"{name}: {wrong}" for name, wrong in tariff_mistakes(tariff, digits).items()]
    return Typed(tariff, purposes, vat_code) if len(mistakes) == before else None


def _values(parts: Sequence[str], mistakes: list[str]) -> dict[str, list[Any]]:
    """Return the values of each name, in the order in which they were typed."""
    values: dict[str, list[Any]] = defaultdict(list)
    for part in parts:
        name, equals, text = part.partition("=")
        if not equals or name not in _READERS:
            near = difflib.get_close_matches(name, _READERS, 1)
            hint = f"did you mean {near[0]}=…?" if near else f"wanted NAME=VALUE with one of {', '.join(_READERS)}"
            mistakes.append(f"found {part[:60]!r}; {hint}")
            continue
        if name in values and name != "peak":
            mistakes.append(f"{name}: found it twice, wanted it once")
        reader, wanted = _READERS[name]
        try:
            values[name].append(reader(text))
        except (InvalidOperation, ValueError):
            mistakes.append(f"{name}: found {text[:60]!r}, wanted {wanted}")
    return values


def as_text(tariff: Tariff, purposes: frozenset[str], vat_code: str) -> str:
    """Return a rule as it would be typed, without what has its default."""
    default = Tariff(tariff.price)
    parts = [f"price={tariff.price:f}"]
    for name in (*_AMOUNTS[1:], "charged_for", "grace_s", "step_s"):
        value = getattr(tariff, name)
        if value != getattr(default, name):
            word = "basis" if name == "charged_for" else name
            parts.append(f"{word}={value:f}" if isinstance(value, Decimal) else f"{word}={value}")
    for peak in tariff.peaks:
        end = "24:00" if peak.end == time() else f"{peak.end:%H:%M}"
        parts.append(f"peak='{_days_text(peak.days)} {peak.start:%H:%M}-{end} {peak.price:f}'")
    if purposes != BILLED_PURPOSES:
        parts.append(f"purposes={','.join(sorted(purposes))}")
    if vat_code:
        parts.append(f"vat_code={vat_code}")
    return " ".join(parts)


def _peak(text: str) -> Peak:
    """Return peak hours. Raises ValueError or InvalidOperation."""
    found = _PEAK.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(text)
    end = "00:00" if found["end"] == "24:00" else found["end"]
    return Peak(
        _days(found["days"]), time.fromisoformat(found["start"]), time.fromisoformat(end), Decimal(found["price"])
    )


def _days(text: str) -> frozenset[int]:
    """Return the days of ``mon-fri,sun``. A span may go over the end of the week. Raises ValueError."""
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        start, end = DAYS.index(first), DAYS.index(last if dash else first)
        days.update((start + n) % 7 for n in range((end - start) % 7 + 1))
    return frozenset(days)


def _days_text(days: frozenset[int]) -> str:
    """Return days as ``mon-fri,sun``: neighbours of which there are three or more become a span."""
    spans: list[list[int]] = []
    for day in sorted(days):
        if spans and spans[-1][-1] == day - 1:
            spans[-1].append(day)
        else:
            spans.append([day])
    parts = [[f"{DAYS[span[0]]}-{DAYS[span[-1]]}"] if len(span) > 2 else [DAYS[day] for day in span] for span in spans]
    return ",".join(name for part in parts for name in part)


def _purposes(text: str) -> frozenset[str]:
    found = frozenset(text.split(","))
    if not found <= set(PURPOSES):
        raise ValueError(text)
    return found


def is_vat_code(text: str) -> bool:
    """Return whether a text can be a VAT code: visible characters, without spaces around them."""
    return 0 < len(text) <= LONGEST_VAT_CODE and text.isprintable() and text == text.strip()


def _vat_code(text: str) -> str:
    if not is_vat_code(text):
        raise ValueError(text)
    return text


_AMOUNT: Final = (Decimal, "an amount such as 0.10")
_SECONDS: Final = (int, "a whole number of seconds")
#: Name: how its value is read, and what is wanted.
_READERS: Final[dict[str, tuple[Callable[[str], Any], str]]] = {
    **dict.fromkeys(_AMOUNTS, _AMOUNT),
    "basis": (str, ""),
    "peak": (_peak, "DAYS HH:MM-HH:MM PRICE, such as peak='mon-fri 17:00-22:00 0.25'"),
    "grace_s": _SECONDS,
    "step_s": _SECONDS,
    "purposes": (_purposes, f"one or more of {','.join(PURPOSES)}"),
    "vat_code": (_vat_code, f"1 to {LONGEST_VAT_CODE} visible characters"),
}
