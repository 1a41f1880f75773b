"""Sets time zone and language at a collector's first start: asks in a terminal, or prints the defaults used.

FABGATE_TZ and FABGATE_LANG always win, and are not asked for. A service and a pipe are never asked. The database keeps
the answers.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from zoneinfo import ZoneInfo

from fabgate.collector.ground.base.environ import LANGS, Environment


def complete(found: Environment, *, asks: bool) -> Environment:
    """Return the environment with the time zone and the language of a collector that has none yet.

    With `asks`, a person is asked if standard input and standard error are a terminal.
    """
    if asks and sys.stdin.isatty() and sys.stderr.isatty():
        if not found.is_tz_set:
            found = replace(found, tz=_ask_zone(found.tz))
        if not found.is_lang_set:
            found = replace(found, lang=_ask_language(language_of_computer()))
    elif not found.is_tz_set:
        sys.stderr.write(
            f"note: the time zone is {found.tz}, as on this computer; set FABGATE_TZ to choose another one\n"
        )
    return found


def _ask_zone(default: str) -> str:
    while True:
        answer = _answer(f"Time zone of the workshop, such as Europe/Paris [{default}]: ") or default
        try:
            ZoneInfo(answer)
        except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
            sys.stderr.write(f"found {answer!r}, wanted the name of a time zone; press Enter for {default}\n")
        else:
            return answer


def _ask_language(default: str) -> str:
    wanted = " or ".join(LANGS)
    while True:
        answer = _answer(f"Language of machines and mails, {wanted} [{default}]: ").lower() or default
        if answer in LANGS:
            return answer
        sys.stderr.write(f"found {answer!r}, wanted {wanted}; press Enter for {default}\n")


def _answer(question: str) -> str:
    """Return what the person types; "" if they press Enter or end the input."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def language_of_computer() -> str:
    """Return the language of the terminal's locale if we have texts in it, otherwise our first one."""
    locale = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return next((lang for lang in LANGS if locale.split("_")[0].split(".")[0] == lang), LANGS[0])
