"""Reads and checks the environment of the collector.

Standard library only, so that mistakes are reported before Django is imported. All mistakes are reported at once, one
a line (found, wanted, what to do).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from email.headerregistry import Address
from pathlib import Path
from typing import Final

from fabgate import installed, wire
from fabgate.collector import DEFAULT_DATA
from fabgate.collector.ground.base import data_folder
from fabgate.collector.ground.base.env_values import EVERYWHERE, Reader, bracketed, is_loopback
from fabgate.collector.ground.base.local_times import zone_of_computer
from fabgate.collector.ground.base.logs import FORMS
from fabgate.collector.ground.base.smtp import Server
from fabgate.errors import UsageError

#: The languages of gates' displays, the same as in fabgate/translations.py; the first one is the default.
LANGS: Final = ("en", "fr")
#: The port that browsers use for https:// unless the address names another one.
HTTPS_PORT: Final = 443


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """All settings. `site` is empty if it is not set."""

    site: str
    data: Path
    tz: str
    #: Whether FABGATE_TZ is set: if not, the stored time zone stays.
    is_tz_set: bool = field(compare=False)
    #: The language of machines and mails, for people without one of their own.
    lang: str
    #: Whether FABGATE_LANG is set: if not, the stored language stays.
    is_lang_set: bool = field(compare=False)
    mqtt_host: str
    mqtt_port: int
    #: The broker's port for gates, which may differ from that of the collector.
    mqtt_gate_port: int
    mqtt_username: str | None
    mqtt_password_file: Path | None
    mqtt_ca: Path | None
    mqtt_cert: Path | None
    mqtt_key: Path | None
    #: The socket over which the collector changes accounts of its own broker (recording/broker/accounts); None: accounts are
    #: made by hand.
    broker_control: Path | None
    web_host: str
    web_port: int
    #: The certificate of the pages and its key: with them the web process speaks TLS itself, without a proxy.
    web_cert: Path | None
    web_key: Path | None
    #: The authority's certificate, which port 80 offers, and the folder of /apt there; neither need exist.
    web_ca: Path
    web_apt: Path
    #: The port that serves these two things without TLS; None: none, unless systemd opens one.
    web_http_port: int | None
    allowed_hosts: tuple[str, ...]
    database_url: str = field(repr=False)  # it may contain a password
    https: bool
    #: Whether browsers are told to use nothing but TLS for a year. A browser then offers no way around a certificate
    #: that it does not trust, so a certificate of the workshop's own authority is shown without.
    hsts: bool
    #: Empty where no proxy is trusted.
    proxies: str
    metrics_token: str = field(repr=False)
    log: str
    simulated: bool
    wall_socket: str
    smtp: Server | None
    mail_from: Address | None
    #: Which programs get charges or usage (money/billing/sinks/config.py); the file need not exist.
    sinks: Path

    @property
    def address(self) -> str:
        """Return the address of the pages, as far as it is known here."""
        own = {"localhost", "127.0.0.1", "[::1]", "::1", self.web_host}
        public = [host for host in self.allowed_hosts if host not in own and not host.startswith(("*", "."))]
        if self.https and (public or self.web_cert):
            # A proxy has the usual port, whatever ours is.
            port = f":{self.web_port}" if self.web_cert and self.web_port != HTTPS_PORT else ""
            return f"https://{public[0] if public else 'localhost'}{port}"
        host = "localhost" if self.web_host in EVERYWHERE else self.web_host
        return f"http://{public[0] if public and self.web_host in EVERYWHERE else bracketed(host)}:{self.web_port}"

    @property
    def authority(self) -> Path | None:
        """Return the file with the authority that signs for the broker and for the pages; None if no authority signs for both."""
        return self.web_ca if self.web_cert and self.web_ca == self.mqtt_ca else None

    @property
    def database(self) -> Path:
        """Return the SQLite file, which is used unless `database_url` is set."""
        return self.data / "collector.db"

    @property
    def secret_key_file(self) -> Path:
        """Return the file of Django's secret key, which is made at the first start."""
        return self.data / "secret.key"

    @property
    def badge_key_file(self) -> Path:
        """Return the file of the badge keys; the first one is in use."""
        return self.data / "badge.keys"

    def gate_directory(self, gate: str) -> Path:
        """Return the folder of a gate's key files."""
        return self.data / "gates" / gate


def read(environ: Mapping[str, str], *, need_site: bool, only: Collection[str] | None = None) -> Environment:
    """Return the settings in `environ`. Raises UsageError with a line for each mistake.

    `need_site` is False for tools that only load the project (mypy, makemigrations). `only` names the variables that
    the caller needs; mistakes in others are ignored.
    """
    reader = Reader(environ, only)
    ca = reader.file("FABGATE_MQTT_CA")
    mqtt_port = reader.port("FABGATE_MQTT_PORT", 8883 if ca else 1883)
    web_host = reader.host("FABGATE_WEB_HOST", "127.0.0.1")
    data = Path(reader.text("FABGATE_DATA", DEFAULT_DATA)).absolute()
    web_cert, web_key = reader.file("FABGATE_WEB_CERT"), reader.file("FABGATE_WEB_KEY")
    has_tls = web_cert is not None
    # A browser on the same computer needs no TLS; passwords that cross a network do.
    https = reader.switch("FABGATE_HTTPS", default=has_tls or not is_loopback(web_host))
    found = Environment(
        site=reader.site("FABGATE_SITE", required=need_site),
        data=data,
        tz=reader.zone("FABGATE_TZ", zone_of_computer(environ)),
        is_tz_set=reader.is_set("FABGATE_TZ"),
        lang=reader.one_of("FABGATE_LANG", LANGS),
        is_lang_set=reader.is_set("FABGATE_LANG"),
        mqtt_host=reader.host("FABGATE_MQTT_HOST", "127.0.0.1"),
        mqtt_port=mqtt_port,
        mqtt_gate_port=reader.port("FABGATE_MQTT_GATE_PORT", mqtt_port),
        mqtt_username=reader.text("FABGATE_MQTT_USERNAME") or None,
        mqtt_password_file=reader.file("FABGATE_MQTT_PASSWORD_FILE"),
        mqtt_ca=ca,
        mqtt_cert=reader.file("FABGATE_MQTT_CERT"),
        mqtt_key=reader.file("FABGATE_MQTT_KEY"),
        broker_control=reader.socket("FABGATE_BROKER_CONTROL"),
        web_host=web_host,
        web_port=reader.port("FABGATE_WEB_PORT", HTTPS_PORT if has_tls else 8000),
        web_cert=web_cert,
        web_key=web_key,
        web_ca=Path(reader.text("FABGATE_WEB_CA", "/etc/fabgate/ca.crt")).absolute(),
        web_apt=Path(reader.text("FABGATE_WEB_APT", installed.FOR_GATES)).absolute(),
        web_http_port=reader.port("FABGATE_WEB_PORT_HTTP", 80) if reader.is_set("FABGATE_WEB_PORT_HTTP") else None,
        allowed_hosts=reader.hosts("FABGATE_ALLOWED_HOSTS", web_host),
        database_url=reader.database_url("FABGATE_DATABASE_URL", "FABGATE_DATABASE_URL_FILE"),
        https=https,
        hsts=https and (not has_tls or reader.is_set("FABGATE_HTTPS")),
        proxies=""
        if has_tls and not reader.is_set("FABGATE_PROXIES")
        else reader.proxies("FABGATE_PROXIES", "127.0.0.1"),
        metrics_token=reader.secret("FABGATE_METRICS_TOKEN", "FABGATE_METRICS_TOKEN_FILE"),
        log=reader.one_of("FABGATE_LOG", FORMS),
        simulated=reader.switch("FABGATE_SIMULATED", default=False),
        wall_socket=reader.text("FABGATE_WALL_SOCKET"),
        smtp=reader.smtp("FABGATE_SMTP_URL", "FABGATE_SMTP_URL_FILE"),
        mail_from=reader.sender("FABGATE_MAIL_FROM"),
        sinks=reader.file("FABGATE_SINKS") or data / "sinks.yaml",
    )
    if found.broker_control:
        found = _with_own_account(found, reader.mistakes)
    if found.mqtt_password_file and not found.mqtt_username:
        reader.mistakes.append(
            "FABGATE_MQTT_USERNAME: not set, but FABGATE_MQTT_PASSWORD_FILE is; set it to the broker account that the"
            " password belongs to"
        )
    if reader.is_set("FABGATE_SMTP_URL", "FABGATE_SMTP_URL_FILE") and not reader.is_set("FABGATE_MAIL_FROM"):
        reader.mistakes.append(
            "FABGATE_MAIL_FROM: not set, but FABGATE_SMTP_URL is; set it to the sender's address, such as"
            " FABGATE_MAIL_FROM=workshop@example.org"
        )
    if reader.is_set("FABGATE_MAIL_FROM") and not reader.is_set("FABGATE_SMTP_URL", "FABGATE_SMTP_URL_FILE"):
        reader.mistakes.append(
            "FABGATE_SMTP_URL: not set, but FABGATE_MAIL_FROM is; set it to the mail server, such as"
            " FABGATE_SMTP_URL=smtp://USER:PASSWORD@HOST:587/, or unset FABGATE_MAIL_FROM"
        )
    _check_certificate(found, reader.mistakes)
    _check_web_certificate(found, reader)
    if data.is_relative_to(found.web_apt):
        reader.mistakes.append(
            f"FABGATE_WEB_APT: found {str(found.web_apt)!r}, which contains the keys in {str(data)!r}, and anybody may read"
            " what is there; name a folder that has nothing but packages"
        )
    reader.check_names()
    if reader.mistakes:
        raise UsageError("\n".join(reader.mistakes))
    return found


def _with_own_account(found: Environment, mistakes: list[str]) -> Environment:
    """Return the settings with the collector's account at its own broker, and with the file of a password made here."""
    account = wire.GateTopics(found.site, "collector").account
    if found.mqtt_username not in (None, account):
        mistakes.append(
            f"FABGATE_MQTT_USERNAME: found {found.mqtt_username!r}, but with FABGATE_BROKER_CONTROL the account is {account!r};"
            " unset FABGATE_MQTT_USERNAME"
        )
    password = found.mqtt_password_file or found.data / data_folder.PASSWORD
    return replace(found, mqtt_username=account, mqtt_password_file=password)


def _check_certificate(found: Environment, mistakes: list[str]) -> None:
    """Refuse a certificate without its key, and one without TLS, which would never be used."""
    given = {"FABGATE_MQTT_CERT": found.mqtt_cert, "FABGATE_MQTT_KEY": found.mqtt_key}
    there = [name for name, path in given.items() if path]
    if not there:
        return
    mistakes.extend(
        f"{name}: not set, but {there[0]} is; set both, or unset {there[0]}" for name, path in given.items() if not path
    )
    if not found.mqtt_ca:
        mistakes.append(
            f"FABGATE_MQTT_CA: not set, but {there[0]} is; set it to the certificate of the broker's authority"
        )


def _check_web_certificate(found: Environment, reader: Reader) -> None:
    """Refuse half a pair, and settings for a proxy beside it: its headers would let anybody name another address."""
    given = {"FABGATE_WEB_CERT": found.web_cert, "FABGATE_WEB_KEY": found.web_key}
    there = [name for name, path in given.items() if path]
    if not there:
        return
    reader.mistakes.extend(
        f"{name}: not set, but {there[0]} is; set both, or unset {there[0]}" for name, path in given.items() if not path
    )
    if not found.https:
        reader.mistakes.append(
            f"FABGATE_HTTPS: found 0, but {there[0]} is set: pages are served with TLS; unset FABGATE_HTTPS"
        )
    if reader.is_set("FABGATE_PROXIES"):
        reader.mistakes.append(
            f"FABGATE_PROXIES: set, but {there[0]} is, too: with TLS in the web process there is no proxy; unset one"
        )
