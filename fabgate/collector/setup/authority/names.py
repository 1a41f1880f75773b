"""Under which names and addresses a collector is reached, and for which ones its authority may ever sign.

A device that trusts the authority of a workshop must not trust it for a bank. So the authority itself says for which
names it is valid (RFC 5280, 4.2.1.10): those of the collector, those of the local network, and addresses that no
computer on the internet has.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from fabgate.errors import UsageError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: The domain of names that computers of one network answer for themselves (RFC 6762).
LOCAL: Final = "local"
#: Addresses that are never those of a computer on the internet. A new address from DHCP needs no new authority.
NETWORKS: Final[tuple[Network, ...]] = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918
        "fc00::/7",  # RFC 4193
        *("169.254.0.0/16", "fe80::/10"),  # RFC 3927, RFC 4291
        "100.64.0.0/10",  # RFC 6598; private networks over the internet use it
        *("127.0.0.0/8", "::1/128"),
    )
)
#: A name as certificates have it: labels of letters, digits and hyphens (RFC 5280 after RFC 1034).
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class Names:
    """The names, the main one first, and the addresses, under which a collector is reached."""

    hosts: tuple[str, ...]
    addresses: tuple[Address, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no certificate can have. Raises UsageError."""
        if not self.hosts:
            raise UsageError("found no name of the collector, wanted at least one, such as collector.local")
        for host in self.hosts:
            if not _NAME.fullmatch(host):
                raise UsageError(
                    f"found the name {host!r}, wanted small letters, digits, hyphens and dots, such as collector.local"
                )
        for address in self.addresses:
            if not any(address in network for network in NETWORKS):
                raise UsageError(
                    f"found the address {address}, which is on the internet, wanted one of a local network; reach the"
                    " collector by a name instead"
                )

    def general(self) -> list[x509.GeneralName]:
        """Return them as certificates list them, each once."""
        hosts = [x509.DNSName(host) for host in dict.fromkeys((*self.hosts, "localhost"))]
        loopback = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
        return [*hosts, *map(x509.IPAddress, dict.fromkeys((*self.addresses, *loopback)))]


def permitted(hosts: Iterable[str]) -> x509.NameConstraints:
    """Return for which names an authority is valid: these, names below them, those of the local network."""
    domains = dict.fromkeys((*hosts, LOCAL, "localhost"))
    return x509.NameConstraints(
        permitted_subtrees=[*map(x509.DNSName, domains), *map(x509.IPAddress, NETWORKS)], excluded_subtrees=None
    )


def outside(names: Names, authority: x509.Certificate) -> list[str]:
    """Return the names and addresses for which an authority is not valid."""
    try:
        constraints = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:  # made by hand, as docs/install-by-hand.md had it: it may sign everything
        return []
    subtrees = constraints.permitted_subtrees or []
    domains = [tree.value for tree in subtrees if isinstance(tree, x509.DNSName)]
    networks = [
        tree.value
        for tree in subtrees
        if isinstance(tree, x509.IPAddress) and isinstance(tree.value, ipaddress.IPv4Network | ipaddress.IPv6Network)
    ]
    hosts = [
        host
        for host in names.hosts
        if domains and not any(host == domain or host.endswith(f".{domain}") for domain in domains)
    ]
    addresses = [
        str(address) for address in names.addresses if networks and not any(address in network for network in networks)
    ]
    return [*hosts, *addresses]
