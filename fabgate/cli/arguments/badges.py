"""The arguments and the help of ``fabgate badge`` and ``fabgate keyset``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fabgate.cli.arguments.shared import add_verb, with_config, with_json

_BADGE: Final = """\
Show all spellings of a badge, and what readers of other kinds show for it: numbers that are turned around, or shared by
many cards. Without SPELLING, wait for a card on the gate's reader (the gate must be stopped). With --config, also tell
who has the card in the gate's roster, and whether the roster knows it in the spelling of another reader.

spellings of a badge, also in members files:
  04A1B2C3, 04:A1:B2:C3     hex as the card sends it and most readers print it: 8, 14 or 20 digits
  hex:12345678              the same; needed where all 8 digits are decimal digits
  hex-reversed:C3B2A104     hex, last byte first
  dec:0077705923            decimal, as often printed on the card
  dec-reversed:3283263748   decimal, last byte first
  simple:19892716500        the number that SimpleMFRC522 gives for a 4-byte card
  em-hex:0A00B1C2D3         all 10 hex digits of a 125 kHz badge; em-hex-reversed:, em-dec: (13 digits)
  w26:123,45678             facility and number of a 26-bit Wiegand badge; w34: the same of a 34-bit one
  w34-hex:007BB26E          the payload of a 34-bit Wiegand badge in hex, without parity; w37-hex: of a 37-bit one
  number10:0012345678       what a reader shows that shortens to ten digits; number10-reversed:, number8:,
                            number8-reversed:, number8-hex:, number8-hex-reversed:
"""
_KEYSET: Final = """\
Give an OSDP reader the key in the file that gate.yaml names (reader.key_file), once, on a bench. The reader has to be in
its installation mode, and the gate must be stopped. Who listens to the line meanwhile learns the key.
"""


def add_verbs(verbs: Any) -> None:
    """Add the verbs to the subparsers `verbs`."""
    examples = (
        "fabgate badge 04:A1:B2:C3",
        "fabgate badge --config gate.yaml                 read a card on the gate's reader",
        "fabgate badge 04:A1:B2:C3 --digest --config gate.yaml",
    )
    verb = add_verb(
        verbs,
        "badge",
        ("badges", "badge"),
        "explain a card: its spellings, other readers, the roster",
        _BADGE,
        *examples,
    )
    verb.add_argument(
        "spelling", nargs="?", metavar="SPELLING", help="the badge; without it, read a card on the reader"
    )
    verb.add_argument("--digest", action="store_true", help="print the digest, for emergency_badges in gate.yaml")
    verb.add_argument(
        "--config", type=Path, metavar="FILE", help="the gate.yaml with the reader, the badge key and the roster to use"
    )
    with_json(verb, "print the spellings, and with --digest the digest, as JSON")

    short = "give an OSDP reader its key"
    with_config(add_verb(verbs, "keyset", ("readers", "keyset"), short, _KEYSET, "fabgate keyset --config gate.yaml"))
