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
TIMES = "\N{MULTIPLICATION SIGN}"
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
    #: In a note: what is due by statement although its payer prepays.
    due: str
    prepaid: str
    #: In the table of VAT: the settlement behind a code, if there are two.
    from_credit: str
    no_code: str
    to_pay: str
    not_known: str


ENGLISH = Language(
    money=rf"{MINUS}?{SIGNS}\s?\d{{1,3}}(?:,?\d{{3}})*(?:\.\d+)?",
    date=r"\d{1,2} [A-Z][a-z]+\.? \d{4}",
    until="until ",
    fee="session fee ",
    minimum="raised to the minimum of ",
    cap="lowered to what is left of the daily cap of .*?: ",
    discount=r"less ([\d.]+)% discount",
    reversal="Reversal",
    total="Total(?: with VAT| without VAT)?",
    decimal=".",
    due="due by statement",
    prepaid="Settlement paid from prepaid credit",
    from_credit=", from credit",
    no_code="without a code",
    to_pay="To pay ",
    not_known="To pay not known yet",
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
    total="Total(?: TTC| HT)?",
    decimal=",",
    due="à régler sur relevé",
    prepaid="Mode de règlement payé sur le crédit prépayé",
    from_credit=", sur le crédit",
    no_code="sans code",
    to_pay="À payer ",
    not_known="À payer pas encore connu",
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
    is_due: bool = False


#: Without VAT, VAT, with VAT; None is not known.
Split = tuple[Fraction | None, Fraction | None, Fraction | None]


@dataclass
class Paper:
    """A statement as its PDF prints it."""

    rows: list[Row] = field(default_factory=list)
    #: Sums of machines and persons: sessions, time and amount, with the number of rows before them.
    sums: list[tuple[int, int, int, Fraction]] = field(default_factory=list)
    total: tuple[int | None, Fraction] | None = None
    is_prepaid: bool = False
    #: By code and whether it is due by statement: the rate in percent, and the amounts.
    vat: dict[tuple[str, bool], tuple[Fraction | None, Split]] = field(default_factory=dict)
    vat_total: Split | None = None
    #: None if nothing is to be paid, or the amount is not known.
    to_pay: Fraction | None = None
    is_unknown: bool = False


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
    found = re.findall(rf"({TIME})(?: [^\W\d]+)* {TIMES} ({lang.money})/min", steps)
    assert len(found) == steps.count(TIMES)
    return [(ms(time), number(price, lang)) for time, price in found]


def read_csv(content: bytes, language: str) -> list[Row]:
    """Return the rows of the CSV file, each reckoned."""
    lang = LANGUAGES[language]
    text = content.decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text), delimiter=";" if language == "fr" else ","))
    found = []
    for _person, machine, _start, _end, _on, billed, kind, steps, note, code, amount, _currency, _session in rows[1:]:
        printed, digits = number(amount, lang), digits_of(amount, lang)
        if not machine:
            found.append(Row(printed, None, None, code, is_due=lang.due in note))
            continue
        terms = terms_in(steps, lang)
        reckoned = reckon(terms, steps, lang, digits)
        times = sum(time for time, _price in terms)
        sign = -1 if kind == lang.reversal else 1
        time = ms(billed) if billed else None
        found.append(Row(printed, sign * reckoned, time, code, sign * times, bool(terms), lang.due in note))
    return found


def read_pdf(text: str, language: str) -> Paper:
    """Return what the text of the PDF prints, each row reckoned."""
    lang, paper = LANGUAGES[language], Paper()
    blocks: list[str] = []
    sums_after: list[tuple[int, str]] = []
    lines = re.sub("[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]", " ", text).splitlines()
    for line in lines:
        if re.match(rf"{lang.date} ", line):
            blocks.append(line)
        elif re.match(rf"{MINUS}?\d+ sessions? ", line):
            sums_after.append((len(blocks), line))
        elif match := re.fullmatch(rf"{lang.total}(?: ({TIME}))? ({lang.money})", line):
            paper.total = ms(match[1]) if match[1] else None, number(match[2], lang)
            break
        elif blocks:
            blocks[-1] += f"\n{line}"
    _read_vat(paper, lines, lang)
    paper.rows = [_row(block, lang) for block in blocks]
    for count, line in sums_after:
        match = re.match(rf"({MINUS}?\d+) sessions? ({TIME}) .*?({lang.money})$", line)
        assert match, line
        sessions = int(match[1].replace(MINUS, "-"))
        paper.sums.append((count, sessions, ms(match[2]), number(match[3], lang)))
    return paper


def _read_vat(paper: Paper, lines: list[str], lang: Language) -> None:
    """Read the table of VAT, and what is to be paid."""
    paper.is_prepaid = lang.prepaid in lines
    cell = rf"({lang.money}|\N{{EN DASH}})"
    for line in lines:
        if match := re.fullmatch(rf"(.+?) (?:([\d.,]+) ?%|\N{{EN DASH}}) {cell} {cell} {cell}", line):
            code, percent, *cells = match.groups()
            is_due = not code.endswith(lang.from_credit) and not (paper.is_prepaid and lang.due not in code)
            name = code.partition(", ")[0]
            split = _split(cells, lang)
            paper.vat["" if name == lang.no_code else name, is_due] = percent and number(percent, lang), split
        elif match := re.fullmatch(rf"Total {cell} {cell} {cell}", line):
            paper.vat_total = _split(list(match.groups()), lang)
        elif match := re.fullmatch(rf"{lang.to_pay}({lang.money})", line):
            paper.to_pay = number(match[1], lang)
        elif line.startswith(lang.not_known):
            paper.is_unknown = True


def _split(cells: list[str], lang: Language) -> Split:
    net, vat, gross = (None if cell == "\N{EN DASH}" else number(cell, lang) for cell in cells)
    return net, vat, gross


def with_vat(amount: Fraction, percent: Fraction | None, digits: int, *, includes_vat: bool) -> Split:
    """Return a sum without VAT, its VAT, and the sum with VAT: a positive one, rounded half up, or its negative."""
    if percent is None:
        return (None, None, amount) if includes_vat else (amount, None, None)
    sign = -1 if amount < 0 else 1
    if includes_vat:
        net = sign * half_up(abs(amount) / (1 + percent / 100), digits)
        return net, amount - net, amount
    vat = sign * half_up(abs(amount) * percent / 100, digits)
    return amount, vat, amount + vat


def _row(block: str, lang: Language) -> Row:
    """Read a row and the notes beneath it."""
    rest = re.sub(rf"^{lang.date} ", "", block).replace("\n", " ")  # cells and notes may have several lines
    span = re.match(rf"(?:{lang.until})?\d\d:\d\d[^{TIMES}]*? (\N{{EN DASH}}|{TIME}) ", rest)
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
    if price := re.search(rf"{TIMES} ({lang.money})/min", head):
        assert time is not None
        terms = [(time, number(price[1], lang))]
    else:
        terms = terms_in(notes, lang)
    reckoned = reckon(terms, notes, lang, digits_of(amount[1], lang))
    times = sum(one for one, _price in terms)
    return Row(printed, sign * reckoned, time, "", sign * times, has_times=bool(terms))
