"""Reads single values of the environment.

A mistake is a line with the variable's name, what was found, what was wanted, and what to do.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from email.headerregistry import Address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from fabgate import wire
from fabgate.collector.ground.base.smtp import Server, sender_of, server_of
from fabgate.errors import UsageError

#: A process that listens there is reached under every name of this computer.
EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 (compared, not bound)
#: A name, an IPv4 or an IPv6 address.
_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%\w+)?")

#: The longest path of a socket that Linux allows, in bytes.
LONGEST_SOCKET: Final = 107
PREFIX: Final = "FABGATE_"
#: Variables of other programs of ours on the same computer; ground/base/environ.py has those of the collector.
ELSEWHERE: Final[Mapping[str, str]] = {
    "FABGATE_COLLECTOR_ENV": "systemd/collector-verb: the file of the environment",
    "FABGATE_BIN": "systemd/collector-verb: the path of the program",
    "FABGATE_PROGRAM": "systemd/collector-verb and the units: how the program is called (ground/base/called.py)",
    "FABGATE_ENGINES": "tests: the environment of the programs of make test-engines",
    "FABGATE_SOAK": "tests: longer runs",
    "FABGATE_MODEL_RUNS": "tests: how many runs of a model",
    "FABGATE_TEST_DATABASE_URL": "tests: a PostgreSQL",
}
#: Variables that people know from other programs, and ours.
_ALSO: Final = {"TIMEZONE": "TZ", "TIME_ZONE": "TZ", "DB_URL": "DATABASE_URL", "PROXY": "PROXIES"}
_LISTED: Final = "one that docs/reference.md names"


def nearest(name: str, known: Collection[str]) -> list[str]:
    """Return up to three of the `known` names that `name` may have meant, the most likely first."""
    base_name = name.upper().removeprefix(PREFIX)
    ends = {one.removeprefix(PREFIX): one for one in sorted(known)}
    if base_name in ends:
        return [ends[base_name]]
    words = {*base_name.split("_")}
    akin = [one for one in ends if words <= {*one.split("_")}]
    found = akin or get_close_matches(_ALSO.get(base_name, base_name), ends, 3, 0.6)
    return [ends[one] for one in found[:3]]


class Reader:
    """Reads values, and collects the mistakes in them."""

    def __init__(self, environ: Mapping[str, str], only: Collection[str] | None = None) -> None:
        """Read `environ`; if `only` is given, all other variables count as not set."""
        self._environ = environ
        self._only = only
        self._asked: set[str] = set()
        self.mistakes: list[str] = []

    def _get(self, name: str) -> str:
        self._asked.add(name)
        return self._environ.get(name, "") if self._only is None or name in self._only else ""

    def check_names(self) -> None:
        """Add a mistake for each variable with our prefix that no program reads: it would silently have no effect."""
        for name in sorted(self._environ):
            if name.upper().startswith(PREFIX) and name not in self._asked | ELSEWHERE.keys():
                near = nearest(name, self._asked)
                if self._only is not None and not set(near) & set(self._only):
                    continue
                wanted, act = (" or ".join(near), "rename it, or unset it") if near else (_LISTED, "unset it")
                self.mistakes.append(f"{name}: found an unknown variable, wanted {wanted}; {act}")

    def text(self, name: str, default: str = "") -> str:
        """Return the value, or the default."""
        return self._get(name) or default

    def site(self, name: str, *, required: bool) -> str:
        """Return the site's name."""
        value = self._get(name)
        if not value:
            if required:
                self.mistakes.append(
                    f"{name}: not set; set it to the site's name as in the gates' gate.yaml, such as {name}=lyon"
                )
            return ""
        try:
            return wire.check_name(value, what="site")
        except UsageError as error:
            self.mistakes.append(f"{name}: {error}")
            return ""

    def secret(self, name: str, file_name: str) -> str:
        """Return the value of `name`, or the only line of the file in `file_name`; having both is a mistake."""
        value, path = self._get(name), self.file(file_name)
        if value and path:
            self.mistakes.append(f"{file_name}: found {name} as well, wanted one of them; unset one")
        if path is None or not path.is_file() or not os.access(path, os.R_OK):
            return value
        try:
            return path.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError:
            self.mistakes.append(f"{file_name}: found {str(path)!r}, which is not text; wanted one line of UTF-8")
            return ""

    def database_url(self, name: str, file_name: str) -> str:
        """Return the URL of a PostgreSQL database; empty for SQLite."""
        value = self.secret(name, file_name)
        if not value:
            return ""
        try:
            found = urlsplit(value)
            right = found.scheme in {"postgres", "postgresql"} and len(found.path) > 1 and found.port != 0
        except ValueError:
            right = False
        if not right:  # the value is not shown, since it may contain a password
            self.mistakes.append(
                f"{name}: found something else, wanted postgresql://USER:PASSWORD@HOST:PORT/NAME; unset it"
                " to use SQLite in FABGATE_DATA"
            )
        return value

    def smtp(self, name: str, file_name: str) -> Server | None:
        """Return the mail server; None if none is set."""
        value = self.secret(name, file_name)
        if not value:
            return None
        try:
            return server_of(value)
        except ValueError as error:  # the value is not shown, since it may contain a password
            self.mistakes.append(f"{name}: found something else, wanted {error}")
            return None

    def sender(self, name: str) -> Address | None:
        """Return the sender of mails; None if none is set."""
        value = self._get(name)
        if not value:
            return None
        try:
            return sender_of(value)
        except ValueError as error:
            self.mistakes.append(
                f"{name}: found {value!r}, wanted {error}; set {name}='The workshop <workshop@example.org>'"
            )
            return None

    def is_set(self, *names: str) -> bool:
        """Return whether one of `names` has a value, valid or not."""
        return any(self._get(name) for name in names)

    def switch(self, name: str, *, default: bool) -> bool:
        """Return whether the value is 1."""
        value = self._get(name)
        if value and value not in {"0", "1"}:
            self.mistakes.append(f"{name}: found {value!r}, wanted 1 or 0; set {name}={int(default)}")
        return default if value not in {"0", "1"} else value == "1"

    def port(self, name: str, default: int) -> int:
        """Return a port."""
        value = self._get(name)
        if not value:
            return default
        if value.isascii() and value.isdecimal() and 0 < int(value[:6]) < 65536:
            return int(value)
        self.mistakes.append(f"{name}: found {value!r}, wanted a port from 1 to 65535; set {name}={default}")
        return default

    def file(self, name: str) -> Path | None:
        """Return a readable file."""
        value = self._get(name)
        if not value:
            return None
        path = Path(value).absolute()
        try:
            problem = "" if stat.S_ISREG(path.stat().st_mode) else "not a file"
        except (OSError, ValueError) as error:
            problem = getattr(error, "strerror", None) or str(error)
        if not problem and not os.access(path, os.R_OK):
            problem = "this account has no right to read it"
        if problem:
            self.mistakes.append(
                f"{name}: found {value!r} ({problem}), wanted a readable file; correct the path or unset it"
            )
        return path

    def socket(self, name: str) -> Path | None:
        """Return the path of a socket, which need not be there yet."""
        value = self._get(name)
        if not value:
            return None
        if not value.startswith("/") or len(os.fsencode(value)) > LONGEST_SOCKET:
            self.mistakes.append(
                f"{name}: found {value!r}, wanted the path of a socket, which begins with / and has at most"
                f" {LONGEST_SOCKET} bytes; correct or unset it"
            )
        return Path(value)

    def zone(self, name: str, default: str) -> str:
        """Return a time zone's name."""
        value = self._get(name) or default
        try:
            ZoneInfo(value)
        except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
            self.mistakes.append(f"{name}: found {value!r}, wanted a time zone's name; set {name}=Europe/Paris")
            return default
        return value

    def host(self, name: str, default: str) -> str:
        """Return a host name or address."""
        value = self._get(name) or default
        if not _HOST.fullmatch(value):
            self.mistakes.append(
                f"{name}: found {value!r}, wanted a name or an address alone, without // or a port; set {name}={default}"
            )
            return default
        return value

    def hosts(self, name: str, web_host: str) -> tuple[str, ...]:
        """Return the host names of the collector; by default those of this computer."""
        named = tuple(host.strip() for host in self._get(name).split(",") if host.strip())
        wrong = [host for host in named if host != "*" and not _HOST.fullmatch(host.removeprefix(".").strip("[]"))]
        if wrong:
            self.mistakes.append(
                f"{name}: found {wrong[0]!r}, wanted names alone, without https:// or a port, separated by commas; set"
                f" {name}=collector.lan"
            )
        own = () if web_host in EVERYWHERE else (bracketed(web_host),)
        return named or tuple(dict.fromkeys(("localhost", "127.0.0.1", "[::1]", *own)))

    def proxies(self, name: str, default: str) -> str:
        """Return addresses or networks, separated by commas; `*` means any."""
        value = self._get(name) or default
        for part in (part.strip() for part in value.split(",")):
            if part == "*":
                continue
            try:
                ipaddress.ip_network(part)
            except ValueError:
                self.mistakes.append(
                    f"{name}: found {part!r}, wanted the addresses of proxies, separated by commas; set {name}={default}"
                )
        return value

    def one_of(self, name: str, choices: Sequence[str]) -> str:
        """Return one of `choices`; the first one is the default."""
        value = self._get(name) or choices[0]
        if value not in choices:
            self.mistakes.append(f"{name}: found {value!r}, wanted {' or '.join(choices)}; set {name}={choices[0]}")
            return choices[0]
        return value


def is_loopback(host: str) -> bool:
    """Return whether `host` can only be reached from this computer."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bracketed(host: str) -> str:
    """Return an address as a URL contains it."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
