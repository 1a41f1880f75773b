"""A font for displays of dots, drawn for fabgate: letters of 5 by 7 dots, and the same letters taller.

Each character is a string with one digit of base 32 for each row: its five bits are the dots, the highest at the left. Rows
8 and 9 hang below the line. Accented letters are composed of a letter and an accent.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from fabgate.drivers.panels.text import transliterate

WIDTH: Final = 5
#: The rows of a tall character: two for the accents of capitals, eleven for the letter, three below the line.
TALL_ROWS: Final = 16

_GLYPHS: Final = dict(
    pair.split(" ", 1)
    for pair in """
A EHHVHHH|B UHHUHHU|C EHGGGHE|D SIHHHIS|E VGGUGGV|F VGGUGGG|G EHGNHHF|H HHHVHHH|I E44444E|J 72222IC|K HIKOKIH|L GGGGGGV
M HRLLHHH|N HHPLJHH|O EHHHHHE|P UHHUGGG|Q EHHHLID|R UHHUKIH|S FGGE11U|T V444444|U HHHHHHE|V HHHHHA4|W HHHLLLA|X HHA4AHH
Y HHHA444|Z V1248GV|a 00E1FHF|b GGMPHHU|c 00EGGHE|d 11DJHHF|e 00EHVGE|f 69S8888|g 00FHHHF1E|h GGMPHHH|i 40C444E
j 2062222IC|k GGIKOKI|l C44444E|m 00QLLHH|n 00MPHHH|o 00EHHHE|p 00UHHHUGG|q 00FHHHF11|r 00MPGGG|s 00FGE1U|t 88S8896
u 00HHHJD|v 00HHHA4|w 00HHLLA|x 00HA4AH|y 00HHHHF1E|z 00V248V|0 EHJLPHE|1 4C4444E|2 EH1248V|3 V2421HE|4 26AIV22
5 VGGU11U|6 68GUHHE|7 V124888|8 EHHEHHE|9 EHHF12C|. 00000CC|, 00000CC48|: 00C00C0|; 0CC0CC48|! 4444404|? EH12404
' 4480000|" AAA0000|( 2488842|) 8422248|+ 044V440|- 000V000|/ 01248G0|= 00V0V00|% OP248J3|& CIK8LID|# AAVAVAA
$ 4FKE5U4|* 04LEL40|@ EH1DLLE|< 248G842|> 8421248|[ E88888E|] E22222E|\\ 0G84210|^ 4AH0000|_ 000000V|` 8420000
{ 2448442|} 8442448|~ 000DM00|€ 78U8U87|£ 698S88V|° CIIC000|… 000000L|« 05AKA50|» 0KA5AK0""".replace("\n", "|").split(
        "|"
    )
    if pair
)
_GLYPHS.update({" ": "0000000", "|": "4444444"})
#: The accents of Unicode, two rows above a letter. A cedilla hangs below.
_ACCENTS: Final = {"\u0300": "84", "\u0301": "24", "\u0302": "4A", "\u0303": "DM", "\u0308": "A0", "\u030a": "44"}
_CEDILLA: Final = "\u0327"
_DOTLESS: Final = "00C444E"

#: Bold letters that are wider, or have no stroke inside: otherwise their strokes would run together.
_BOLD: Final = {
    "0": (0x0E, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0E, 0, 0),
    "M": (0x41, 0x63, 0x55, 0x49, 0x41, 0x41, 0x41, 0, 0),
    "W": (0x41, 0x41, 0x41, 0x49, 0x49, 0x55, 0x22, 0, 0),
    "m": (0, 0, 0x76, 0x49, 0x49, 0x49, 0x49, 0, 0),
    "w": (0, 0, 0x41, 0x41, 0x49, 0x49, 0x36, 0, 0),
}

#: Accents of bold letters with their dots further apart, for the same reason.
_BOLD_ACCENTS: Final = _ACCENTS | {"\u0303": "9I", "\u0308": "H0"}

#: Which row of seven each of the eleven rows of a tall letter repeats: bars stay one dot thick.
_CAPITAL_ROWS: Final = (0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6)
_SMALL_ROWS: Final = (0, 1, 1, 1, 2, 3, 3, 4, 5, 5, 6)
_DOTTED_ROWS: Final = (0, 0, 1, 1, 2, 3, 3, 4, 5, 5, 6)
_OTHER_ROWS: Final = {"4": (0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6), "i": _DOTTED_ROWS, "j": _DOTTED_ROWS}


#: Letters that hang below the line, in a cell of eight rows: such displays press them into seven.
_PRESSED: Final = {"g": "00FHF1E", "j": "20622IC", "p": "00UHUGG", "q": "00FHF11", "y": "00HHF1E"}


def small(char: str) -> tuple[int, ...]:
    """Return the eight rows of five bits of one character, as a display with a character generator has it."""
    base, accent = _parts(char) if _is_known(char) else ("?", "")
    rows = list(_rows(_DOTLESS if base == "i" and accent in _ACCENTS else _PRESSED.get(base, _GLYPHS[base])))
    if accent in _ACCENTS and base.islower():
        rows[:2] = _rows(_ACCENTS[accent])[:2]
    elif accent == _CEDILLA:
        rows[7] = 0x04
    return tuple(rows[:8])


@lru_cache(maxsize=512)
def tall(char: str, *, is_bold: bool = False) -> tuple[int, tuple[int, ...]]:
    """Return the width in dots of one character, and its sixteen rows as bits of that width."""
    base, accent = _parts(char)
    rows = _rows(_DOTLESS if base == "i" and accent in _ACCENTS else _GLYPHS[base])
    if is_bold:
        rows = _BOLD.get(base, rows)
    is_small = base.islower()
    order = _OTHER_ROWS.get(base, _SMALL_ROWS if is_small else _CAPITAL_ROWS)
    body = [rows[n] for n in order]
    above, below = [0, 0], [rows[7], rows[7], rows[8]]
    if accent in _ACCENTS:
        marks = _rows((_BOLD_ACCENTS if is_bold else _ACCENTS)[accent])[:2]
        if is_small:
            body[1:3] = marks
        else:
            above = list(marks)
    elif accent == _CEDILLA:
        below = [4, 2, 4]
    width, found = _trimmed((*above, *body, *below), keep=char in "0123456789")
    return (width + 1, tuple(row << 1 | row for row in found)) if is_bold else (width, found)


def drawn(text: str, *, is_bold: bool = False) -> tuple[int, tuple[int, ...]]:
    """Return the width of a text in tall letters, one dot apart, and its sixteen rows as bits of that width."""
    width = 0
    rows: tuple[int, ...] = (0,) * TALL_ROWS
    for char in text:
        for one in char if _is_known(char) else transliterate(char) or " ":
            glyph_width, glyph = tall(one, is_bold=is_bold)
            rows = tuple(row << (glyph_width + 1) | more << 1 for row, more in zip(rows, glyph, strict=True))
            width += glyph_width + 1
    return max(0, width - 1), tuple(row >> 1 for row in rows)


def _is_known(char: str) -> bool:
    base, accent = _parts(char)
    return base in _GLYPHS and (not accent or accent in _ACCENTS or (accent == _CEDILLA and base in "cC"))


def _parts(char: str) -> tuple[str, str]:
    """Return a letter and its accent, if it has one."""
    if char in _GLYPHS:
        return char, ""
    apart = unicodedata.normalize("NFD", char)
    return apart[:1], apart[1:]


def _rows(glyph: str) -> tuple[int, ...]:
    """Return nine rows."""
    rows = [int(digit, 32) for digit in glyph]
    return (*rows, *[0] * (9 - len(rows)))


def _trimmed(rows: Sequence[int], *, keep: bool) -> tuple[int, tuple[int, ...]]:
    """Return rows without empty columns at both sides; digits `keep` them, so that a clock stands still."""
    used = 0
    for row in rows:
        used |= row
    if keep:
        return WIDTH, tuple(rows)
    if not used:
        return 3, tuple(rows)
    right = (used & -used).bit_length() - 1
    return used.bit_length() - right, tuple(row >> right for row in rows)
