"""What did the environment ask of this collector, and which of its values are wrong?

Standard library only, so that a mistake is told before Django is imported. Every mistake is one line (found, wanted,
what to do), and all of them are told at once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from fabgate import wire
from fabgate.collector import DEFAULT_DATA
from fabgate.errors import UsageError


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything that is settable from outside. `site` is empty where nobody has set it."""

    site: str
    data: Path
    tz: str
    mqtt_host: str
    mqtt_port: int
    mqtt_username: str | None
    mqtt_password_file: Path | None
    mqtt_ca: Path | None
    mqtt_cert: Path | None
    mqtt_key: Path | None
    web_host: str
    web_port: int
    allowed_hosts: tuple[str, ...]

    @property
    def database(self) -> Path:
        """Return the SQLite file."""
        return self.data / "collector.db"

    @property
    def secret_key_file(self) -> Path:
        """Return the file of Django's secret key, made at the first start."""
        return self.data / "secret.key"

    @property
    def badge_key_file(self) -> Path:
        """Return the file of the keys under which badges are digested; the first one is in use."""
        return self.data / "badge.keys"

    def gate_directory(self, gate: str) -> Path:
        """Return where a gate's own key files are kept."""
        return self.data / "gates" / gate


def read(environ: Mapping[str, str], *, need_site: bool) -> Environment:
    """Return what `environ` says. Raises UsageError with one line for each mistake.

    `need_site` is False for tools that only look at the project (mypy, makemigrations): they have no site.
    """
    reader = _Reader(environ)
    ca = reader.file("FABGATE_MQTT_CA")
    web_host = environ.get("FABGATE_WEB_HOST") or "127.0.0.1"
    found = Environment(
        site=reader.site(required=need_site),
        data=Path(environ.get("FABGATE_DATA") or DEFAULT_DATA).absolute(),
        tz=reader.zone("FABGATE_TZ", "UTC"),
        mqtt_host=environ.get("FABGATE_MQTT_HOST") or "127.0.0.1",
        mqtt_port=reader.port("FABGATE_MQTT_PORT", 8883 if ca else 1883),
        mqtt_username=environ.get("FABGATE_MQTT_USERNAME") or None,
        mqtt_password_file=reader.file("FABGATE_MQTT_PASSWORD_FILE"),
        mqtt_ca=ca,
        mqtt_cert=reader.file("FABGATE_MQTT_CERT"),
        mqtt_key=reader.file("FABGATE_MQTT_KEY"),
        web_host=web_host,
        web_port=reader.port("FABGATE_WEB_PORT", 8000),
        allowed_hosts=_hosts(environ.get("FABGATE_ALLOWED_HOSTS", ""), web_host),
    )
    if found.mqtt_password_file and not found.mqtt_username:
        reader.mistakes.append(
            "FABGATE_MQTT_USERNAME: found nothing beside FABGATE_MQTT_PASSWORD_FILE, wanted the broker account that the"
            " password belongs to"
        )
    _check_certificate(found, reader.mistakes)
    if reader.mistakes:
        raise UsageError("\n".join(reader.mistakes))
    return found


def _check_certificate(found: Environment, mistakes: list[str]) -> None:
    """Refuse a certificate without its key, and one that nobody would see: it is shown over TLS only."""
    given = {"FABGATE_MQTT_CERT": found.mqtt_cert, "FABGATE_MQTT_KEY": found.mqtt_key}
    there = [name for name, path in given.items() if path]
    if not there:
        return
    mistakes.extend(
        f"{name}: found nothing beside {there[0]}, wanted both or none; set it, or unset {there[0]}"
        for name, path in given.items()
        if not path
    )
    if not found.mqtt_ca:
        mistakes.append(
            f"FABGATE_MQTT_CA: found nothing beside {there[0]}, wanted the certificate of who signed the broker's"
        )


class _Reader:
    """Reads values and remembers what was wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.mistakes: list[str] = []

    def site(self, *, required: bool) -> str:
        value = self._environ.get("FABGATE_SITE", "")
        if not value:
            if required:
                self.mistakes.append(
                    "FABGATE_SITE: found nothing, wanted the site's name as the gates write it; set FABGATE_SITE=lyon"
                )
            return ""
        try:
            return wire.check_name(value, what="site")
        except UsageError as error:
            self.mistakes.append(f"FABGATE_SITE: {error}")
            return ""

    def port(self, name: str, default: int) -> int:
        value = self._environ.get(name, "")
        if not value:
            return default
        if value.isascii() and value.isdecimal() and 0 < int(value[:6]) < 65536:
            return int(value)
        self.mistakes.append(f"{name}: found {value!r}, wanted a port from 1 to 65535; set {name}={default}")
        return default

    def file(self, name: str) -> Path | None:
        value = self._environ.get(name, "")
        if not value:
            return None
        path = Path(value).absolute()
        try:
            problem = "" if stat.S_ISREG(path.stat().st_mode) else "it is no file"
        except (OSError, ValueError) as error:
            problem = getattr(error, "strerror", None) or str(error)
        if not problem and not os.access(path, os.R_OK):
            problem = "this account may not read it"
        if problem:
            self.mistakes.append(
                f"{name}: found {value!r} ({problem}), wanted a readable file; correct the path or unset it"
            )
        return path

    def zone(self, name: str, default: str) -> str:
        value = self._environ.get(name) or default
        try:
            ZoneInfo(value)
        except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
            self.mistakes.append(f"{name}: found {value!r}, wanted a time zone's name; set {name}=Europe/Paris")
            return default
        return value


def _hosts(value: str, web_host: str) -> tuple[str, ...]:
    named = tuple(host.strip() for host in value.split(",") if host.strip())
    own = () if web_host in {"0.0.0.0", "::"} else (web_host,)  # noqa: S104 (compared, not bound)
    return named or tuple(dict.fromkeys(("localhost", "127.0.0.1", "[::1]", *own)))
