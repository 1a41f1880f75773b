"""On which topics do gates and a collector publish, and which names may stand in them?"""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import Struct

from fabgate.errors import UsageError

ROOT: Final = "fabgate/v1"
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
RESERVED_NAMES: Final = frozenset({"collector", "roster"})


def check_name(name: str, *, what: str) -> str:
    """Return `name` if a site or gate may have it in a topic. Raises UsageError otherwise."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"found {what} {name!r}, wanted lower-case letters, digits and '-' (63 at most, not first or last)"
        )
    if what == "gate" and name in RESERVED_NAMES:
        raise UsageError(f"a gate cannot be called {name!r}: the word is reserved; choose another name")
    return name


Leaf = Literal["status", "state", "ack", "command", "reply", "roster"]


class GateTopics(Struct, frozen=True):
    """The topics of one gate. ``account`` is also its broker account, and part of its seals."""

    site: str
    gate: str

    @property
    def account(self) -> str:
        """Return ``site/gate``."""
        return f"{self.site}/{self.gate}"

    @property
    def base(self) -> str:
        """Return the prefix of all the gate's topics, without a trailing slash."""
        return f"{ROOT}/{self.site}/{self.gate}"

    def event(self, event_type: str) -> str:
        """Return the topic of an entry type: ``fabgate.session.ended.v1`` goes to ``…/event/session/ended``."""
        return f"{self.base}/event/{event_type.removeprefix('fabgate.').removesuffix('.v1').replace('.', '/')}"

    def topic(self, leaf: Leaf) -> str:
        """Return the topic ``…/leaf``."""
        return f"{self.base}/{leaf}"


def collector_status_topic(site: str) -> str:
    """Return the topic on which the site's collector publishes its id and whether it is online."""
    return f"{ROOT}/{site}/collector/status"


def collector_subscriptions(site: str) -> list[str]:
    """Return the topic filters that a collector of `site` subscribes to."""
    return gate_subscriptions(site, "+")


def gate_subscriptions(site: str, gate: str) -> list[str]:
    """Return the topic filters for everything that a gate publishes; ``+`` means every gate."""
    return [f"{ROOT}/{site}/{gate}/{leaf}" for leaf in ("event/#", "status", "state", "reply")]


def parse_gate_topic(topic: str) -> tuple[GateTopics, str]:
    """Split a gate's topic into its gate and the rest, such as ``event/session/ended``. Raises UsageError."""
    parts = topic.split("/", 4)
    if len(parts) != 5 or f"{parts[0]}/{parts[1]}" != ROOT or not NAME.fullmatch(parts[2]):
        raise UsageError(f"found the topic {topic[:200]!r}, wanted {ROOT}/<site>/<gate>/…")
    return GateTopics(parts[2], check_name(parts[3], what="gate")), parts[4]
