"""The arguments of ``setup``, ``renew-certificates`` and ``authority-turn``, which make a computer the collector of a workshop."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fabgate.collector.cli.arguments import shared

_SETUP: Final = (
    "It makes the workshop's own authority and certificates, a broker, the settings, and the tables, and starts everything. It"
    " first says what it will do, and ends with the doctor. Run it again at any time: it does what is missing, and nothing"
    " else. Settings of yours stay; another program on a port of ours is named, and nothing is changed."
)
_RENEW: Final = (
    "A timer runs this every day. A certificate is renewed 60 days before it ends, and when the names or the addresses of this"
    " computer changed. The pages take it without a restart; the broker is restarted, and gates connect again by themselves."
)
_TURN: Final = (
    "It has two steps. The first makes an authority beside the one in force; gates learn it from their rosters, and phones get it"
    " at port 80. The second lets it sign, once each gate has reported that it knows it; otherwise it lists the gates that do not."
    " The authority before stays trusted for 30 days."
)


def add_verbs(add: shared.Add) -> None:
    """Add the verbs by `add`."""
    setup = add(
        "setup",
        "upkeep.setup",
        "make this computer the collector of a workshop",
        "setup",
        about=_SETUP,
        example="--site lyon",
        as_root=True,
    )
    setup.add_argument("--site", metavar="NAME", help="the short name of the workshop, such as lyon")
    setup.add_argument(
        "--tz", metavar="ZONE", help="its time zone, such as Europe/Paris (default: that of this computer)"
    )
    setup.add_argument("--lang", metavar="LANGUAGE", help="the language of machines and mails: en or fr")
    setup.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="a name under which browsers and gates reach this computer; the first one counts most, and can be repeated"
        " (default: HOST.local, HOST, and the full name)",
    )
    setup.add_argument(
        "--authority", type=Path, metavar="FOLDER", help="use the authority whose ca.crt and ca.key are in this folder"
    )
    setup.add_argument(
        "--new-authority",
        action="store_true",
        help="make an authority, although the certificate of another one is here without its key",
    )
    setup.add_argument("--yes", action="store_true", help="do not ask; take what this computer suggests")
    add(
        "renew-certificates",
        "upkeep.setup",
        "renew the certificates that end soon",
        "renew_certificates",
        about=_RENEW,
        as_root=True,
    )
    turn = add(
        "authority-turn",
        "upkeep.setup",
        "let a new authority take the place of the one in force",
        "authority_turn",
        about=_TURN,
        as_root=True,
    )
    turn.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="another name for which the new authority can sign, for example before setup --name HOST; can be repeated",
    )
    turn.add_argument(
        "--now",
        action="store_true",
        help="do not wait for gates that lack the new authority; they then need a visit",
    )
    turn.add_argument(
        "--drop",
        action="store_true",
        help="once the new authority signs: drop the one before at once, and not after 30 days",
    )
