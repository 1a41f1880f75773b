"""What a workshop's collector is to be: what the person says, what the settings have, or what this computer suggests."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from fabgate import wire
from fabgate.collector.ground.base.environ import LANGS
from fabgate.collector.setup import paths
from fabgate.collector.setup.authority.names import Address, Names
from fabgate.errors import UsageError

#: The lines of collector.env that are the same for each collector that setup sets up.
FIXED: Final = {
    "FABGATE_BROKER_CONTROL": paths.CONTROL,
    "FABGATE_MQTT_HOST": "localhost",
    "FABGATE_MQTT_PORT": str(paths.OWN_PORT),
    "FABGATE_MQTT_GATE_PORT": str(paths.GATE_PORT),
    "FABGATE_MQTT_CA": paths.CA,
    "FABGATE_WEB_CERT": paths.PAGES,
    "FABGATE_WEB_KEY": paths.PAGES,
}
#: Asks a question with a suggestion, which Enter takes; returns the answer.
Ask = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Site:
    """A workshop and its collector."""

    name: str
    tz: str
    lang: str
    names: Names

    def settings(self) -> dict[str, str]:
        """Return the lines of collector.env that setup writes."""
        addresses = [f"[{one}]" if one.version == 6 else str(one) for one in self.names.addresses]
        return {
            "FABGATE_SITE": self.name,
            "FABGATE_TZ": self.tz,
            "FABGATE_LANG": self.lang,
            **FIXED,
            "FABGATE_ALLOWED_HOSTS": ",".join([*self.names.hosts, *addresses]),
        }


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person gave on the command line; "" and () for what they left to us."""

    site: str = ""
    tz: str = ""
    lang: str = ""
    hosts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What this computer suggests."""

    tz: str
    lang: str
    hosts: Sequence[str]
    addresses: Sequence[Address]


def choose(wishes: Wishes, settings: Mapping[str, str], suggested: Suggestions, ask: Ask | None) -> Site:
    """Return the site. The settings count before suggestions, and what the person says before both.

    Without `ask`, suggestions are taken, and a site that is not named is a mistake. Raises UsageError.
    """
    name = wishes.site or settings.get("FABGATE_SITE", "")
    if not name:
        if ask is None:
            raise UsageError("found no name of the site, wanted a short one, such as --site lyon")
        name = ask("Short name of the workshop, such as lyon", "")
    wire.check_name(name, what="site")
    earlier = settings.get("FABGATE_SITE", "")
    if earlier and name != earlier:
        raise UsageError(
            f"found the site {earlier} in {paths.SETTINGS}, wanted {name}: the books of a site keep its name. Leave out --site"
        )
    tz = wishes.tz or settings.get("FABGATE_TZ", "") or _asked(ask, "Its time zone", suggested.tz)
    try:
        ZoneInfo(tz)
    except (ValueError, OSError, KeyError) as error:
        raise UsageError(f"found the time zone {tz!r}, wanted one such as Europe/Paris") from error
    lang = (
        wishes.lang
        or settings.get("FABGATE_LANG", "")
        or _asked(ask, f"Language of machines and mails, {' or '.join(LANGS)}", suggested.lang)
    )
    if lang not in LANGS:
        raise UsageError(f"found the language {lang!r}, wanted {' or '.join(LANGS)}")
    hosts = tuple(wishes.hosts) or hosts_of(settings) or tuple(suggested.hosts)
    return Site(name, tz, lang, Names(hosts, tuple(suggested.addresses)))


def hosts_of(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names in FABGATE_ALLOWED_HOSTS, without addresses, and without `*` and .example.org, which stand for many."""
    listed = (host.strip().lower() for host in settings.get("FABGATE_ALLOWED_HOSTS", "").split(","))
    return tuple(host for host in listed if host and host[0] not in "*." and not _is_address(host))


def _asked(ask: Ask | None, question: str, suggestion: str) -> str:
    return ask(question, suggestion) if ask else suggestion


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
