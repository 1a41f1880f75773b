"""Does a statement again by hand: reads what is printed, and nothing else, and returns what it comes to.

It imports nothing of fabgate. Rules that it knows are those that docs/billing.md and the small print give: time times
price per minute, then the fee, the minimum, the cap and the discount, rounded once, half up. Numbers are fractions.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

MINUTE_MS = 60_000
MINUS = "\N{MINUS SIGN}"
TIME = rf"{MINUS}?\d+:\d\d:\d\d(?:[.,]\d{{3}})?"
SIGNS = r"(?:€|¥|TND)"


@dataclass(frozen=True)
class Language:
    """How a language prints: money, dates, and the words of the steps."""

    money: str
    date: str
    until: str
    fee: str
    minimum: str
    cap: str
    discount: str
    reversal: str
    total: str
    decimal: str


ENGLISH = Language(
    money=rf"{MINUS}?{SIGNS}\s?\d{{1,3}}(?:,?\d{{3}})*(?:\.\d+)?",
    date=r"\d{1,2} [A-Z][a-z]+\.? \d{4}",
    until="until ",
    fee="session fee ",
    minimum="raised to the minimum of ",
    cap="lowered to what is left of the daily cap of .*?: ",
    discount=r"less ([\d.]+)% discount",
    reversal="Reversal",
    total="Total",
    decimal=".",
)
FRENCH = Language(
    money=rf"(?<![\w:,.]){MINUS}?\d{{1,3}}(?:\s?\d{{3}})*(?:,\d+)?\s{SIGNS}",
    date=r"\d\d/\d\d/\d{4}",
    until="jusqu\N{RIGHT SINGLE QUOTATION MARK}à ",
    fee="frais de session ",
    minimum="porté au minimum de ",
    cap=r"ramené au reste du plafond journalier de .*?\s: ",
    discount=r"moins ([\d,]+)\s% de remise",
    reversal="Annulation",
    total="Total",
    decimal=",",
)
LANGUAGES = {"en": ENGLISH, "fr": FRENCH}


@dataclass
class Row:
    """A session or a line as it is printed, and what it comes to by its steps; None for a line, which has none."""

    amount: Fraction | None
    reckoned: Fraction | None
    time_ms: int | None
    code: str = ""
    #: The times that are multiplied by prices.
    times_ms: int = 0
    has_times: bool = False


@dataclass
class Paper:
    """A statement as its PDF prints it."""

    rows: list[Row] = field(default_factory=list)
    #: Sums of machines and persons: sessions, time and amount, with the number of rows before them.
    sums: list[tuple[int, int, int, Fraction]] = field(default_factory=list)
    total: tuple[int | None, Fraction] | None = None


def ms(text: str) -> int:
    """Return a printed time in milliseconds."""
    sign, text = (-1, text[1:]) if text.startswith((MINUS, "-")) else (1, text)
    hours, minutes, seconds = text.replace(",", ".").split(":")
    whole = Fraction(seconds) + 60 * int(minutes) + 3_600 * int(hours)
    assert (whole * 1_000).denominator == 1
    return sign * int(whole * 1_000)


def number(text: str, lang: Language) -> Fraction:
    """Return a printed number."""
    sign = -1 if MINUS in text or text.startswith("-") else 1
    text = re.sub(r"[^\d.,]", "", text)
    text = text.replace(",", ".") if lang.decimal == "," else text.replace(",", "")
    return sign * Fraction(text.strip("."))


def digits_of(text: str, lang: Language) -> int:
    """Return how many decimals a printed amount has."""
    found = re.sub(r"[^\d.,]", "", text)
    return len(found.rpartition(lang.decimal)[2]) if lang.decimal in found else 0


def half_up(exact: Fraction, digits: int) -> Fraction:
    return Fraction(floor(exact * 10**digits + Fraction(1, 2)), 10**digits)


def reckon(terms: list[tuple[int, Fraction]], steps: str, lang: Language, digits: int) -> Fraction:
    """Return the amount of a session: its times with their prices, and the other steps as they are printed."""
    amount = sum((price * Fraction(time, MINUTE_MS) for time, price in terms), Fraction(0))
    if fee := re.search(lang.fee + f"({lang.money})", steps):
        amount += number(fee[1], lang)
    if minimum := re.search(lang.minimum + f"({lang.money})", steps):
        least = number(minimum[1], lang)
        assert amount < least, "a minimum that raises nothing"
        amount = least
    if cap := re.search(lang.cap + f"({lang.money})", steps):
        left = number(cap[1], lang)
        assert amount > left, "a cap that lowers nothing"
        amount = left
    if discount := re.search(lang.discount, steps):
        amount -= amount * number(discount[1], lang) / 100
    return half_up(amount, digits)


def terms_in(steps: str, lang: Language) -> list[tuple[int, Fraction]]:
    """Return each time that is multiplied by a price per minute."""
    found = re.findall(rf"({TIME})(?: [^\W\d]+)* × ({lang.money})/min", steps)
    assert len(found) == steps.count("×")
    return [(ms(time), number(price, lang)) for time, price in found]


def read_csv(content: bytes, language: str) -> list[Row]:
    """Return the rows of the CSV file, each reckoned."""
    lang = LANGUAGES[language]
    text = content.decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text), delimiter=";" if language == "fr" else ","))
    found = []
    for _person, machine, _start, _end, _on, billed, kind, steps, _note, code, amount, _currency, _session in rows[1:]:
        printed, digits = number(amount, lang), digits_of(amount, lang)
        if not machine:
            found.append(Row(printed, None, None, code))
            continue
        terms = terms_in(steps, lang)
        reckoned = reckon(terms, steps, lang, digits)
        times = sum(time for time, _price in terms)
        sign = -1 if kind == lang.reversal else 1
        time = ms(billed) if billed else None
        found.append(Row(printed, sign * reckoned, time, code, sign * times, has_times=bool(terms)))
    return found


def read_pdf(text: str, language: str) -> Paper:
    """Return what the text of the PDF prints, each row reckoned."""
    lang, paper = LANGUAGES[language], Paper()
    blocks: list[str] = []
    sums_after: list[tuple[int, str]] = []
    for line in text.splitlines():
        line = line.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")
        if re.match(rf"{lang.date} ", line):
            blocks.append(line)
        elif re.match(rf"{MINUS}?\d+ sessions? ", line):
            sums_after.append((len(blocks), line))
            is_open = False
        elif match := re.fullmatch(rf"{lang.total}(?: ({TIME}))? ({lang.money})", line):
            paper.total = ms(match[1]) if match[1] else None, number(match[2], lang)
            break
        elif blocks:
            blocks[-1] += f"\n{line}"
    paper.rows = [_row(block, lang) for block in blocks]
    for count, line in sums_after:
        match = re.match(rf"({MINUS}?\d+) sessions? ({TIME}) .*?({lang.money})$", line)
        assert match, line
        sessions = int(match[1].replace(MINUS, "-"))
        paper.sums.append((count, sessions, ms(match[2]), number(match[3], lang)))
    return paper


def _row(block: str, lang: Language) -> Row:
    """Read a row and the notes beneath it."""
    rest = re.sub(rf"^{lang.date} ", "", block).replace("\n", " ")  # cells and notes may have several lines
    span = re.match(rf"(?:{lang.until})?\d\d:\d\d[^×]*? (\N{{EN DASH}}|{TIME}) ", rest)
    amount = re.search(rf"({lang.money})(?!/min)(?![\d,.])", rest)
    printed = number(amount[1], lang) if amount else None
    if span is None:
        assert printed is not None, block
        return Row(printed, None, None)
    time = None if span[1] == "\N{EN DASH}" else ms(span[1])
    if amount is None:
        return Row(None, Fraction(0), time)
    head, notes = rest[span.end() : amount.start()], rest[amount.end() :]
    sign = -1 if head.startswith(lang.reversal) else 1
    if price := re.search(rf"× ({lang.money})/min", head):
        assert time is not None
        terms = [(time, number(price[1], lang))]
    else:
        terms = terms_in(notes, lang)
    reckoned = reckon(terms, notes, lang, digits_of(amount[1], lang))
    times = sum(one for one, _price in terms)
    return Row(printed, sign * reckoned, time, "", sign * times, has_times=bool(terms))
