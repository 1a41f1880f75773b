"""The files of authority and certificates: who may read them, and that a kill leaves them whole."""

from __future__ import annotations

import ipaddress
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fabgate.collector.setup.authority import authority, files, own_names
from fabgate.collector.setup.authority.authority import Use
from fabgate.collector.setup.authority.files import Files
from fabgate.collector.setup.authority.names import Names

NOW = datetime(2026, 12, 3, 10, 30, tzinfo=UTC)
NAMES = Names(("workshop.local",))


@pytest.fixture
def etc(tmp_path: Path) -> Files:
    """Return the folder of a collector without an authority."""
    return Files(tmp_path / "etc", dict.fromkeys(Use, os.getgid()))


def modes(folder: Path) -> dict[str, str]:
    """Return the rights of all files and folders, by their paths."""
    return {str(path.relative_to(folder)): f"{path.stat().st_mode & 0o777:o}" for path in sorted(folder.rglob("*"))}


def test_only_root_reads_the_key_of_the_authority(etc: Files) -> None:
    assert etc.load(NOW) is None
    made = authority.make("lyon", NAMES, NOW)
    old = os.umask(0)
    try:
        etc.store(made)
        etc.renew(made, NAMES, NOW)
    finally:
        os.umask(old)
    assert modes(etc.folder) == {
        "authority": "700",
        "authority/ca.crt": "644",
        "authority/ca.key": "600",
        "ca.crt": "644",
        "tls": "755",
        "tls/broker.pem": "640",
        "tls/pages.pem": "640",
    }
    assert etc.published().read_bytes() == made.certificate_pem


def test_a_second_renewal_on_the_same_day_changes_nothing(etc: Files) -> None:
    made = authority.make("lyon", NAMES, NOW)
    etc.store(made)
    assert etc.renew(made, NAMES, NOW) == dict.fromkeys(Use, "it is missing")
    before = {use: etc.server(use).read_bytes() for use in Use}
    loaded = etc.load(NOW)
    assert loaded is not None
    assert etc.renew(loaded, NAMES, NOW) == {}
    assert {use: etc.server(use).read_bytes() for use in Use} == before
    later = NOW + timedelta(days=366)  # the pages have 425 days
    assert list(etc.renew(loaded, NAMES, later)) == [Use.PAGES]
    etc.server(Use.BROKER).write_text("damaged")
    assert etc.renew(loaded, NAMES, later) == {Use.BROKER: "it cannot be read"}


def test_certificate_and_key_are_loaded_from_one_file(etc: Files) -> None:
    made = authority.make("lyon", NAMES, NOW)
    etc.store(made)
    etc.renew(made, NAMES, NOW)
    for use in Use:
        path = etc.server(use)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, path)


@pytest.mark.parametrize("at", range(1, 4))
def test_an_interrupted_store_leaves_no_authority_or_all_of_it(
    etc: Files, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Repeated, it ends with an authority that its published certificate belongs to."""
    done: list[Path] = []
    write = files._replace

    def killed(path: Path, content: bytes, *, mode: int, group: int | None = None) -> None:
        done.append(path)
        if len(done) == at:
            raise KeyboardInterrupt
        write(path, content, mode=mode, group=group)

    with monkeypatch.context() as patched:
        patched.setattr(files, "_replace", killed)
        with pytest.raises(KeyboardInterrupt):
            etc.store(authority.make("lyon", NAMES, NOW))
    found = etc.load(NOW)
    assert (found is None) == (at < 3)
    if found is None:
        etc.store(found := authority.make("lyon", NAMES, NOW))
    assert etc.is_published(found) == (at < 3)
    etc.publish(found)
    assert etc.published().read_bytes() == found.certificate_pem
    assert etc.is_published(found)


def test_addresses_are_those_of_the_network_and_not_of_containers(tmp_path: Path) -> None:
    def ask(arguments: str) -> list[dict[str, object]]:
        if "route" in arguments:
            return [{"dst": "default", "dev": "wg0"}] if "-4" in arguments else []

        def info(local: str, **more: object) -> dict[str, object]:
            return {"local": local, "scope": "global", **more}

        return [
            {"ifname": "lo", "addr_info": [{"local": "127.0.0.1", "scope": "host"}]},
            {
                "ifname": "eth0",
                "addr_info": [
                    info("192.168.1.20"),
                    info("fd00::5"),
                    info("fd00::dead", temporary=True),
                    info("2a01:e0a::5"),
                    {"local": "fe80::1", "scope": "link"},
                ],
            },
            {"ifname": "docker0", "addr_info": [info("172.17.0.1")]},
            {"ifname": "wg0", "addr_info": [info("10.9.0.2")]},
            {"ifname": "down0"},
        ]

    (tmp_path / "eth0" / "device").mkdir(parents=True)
    found = own_names.addresses(ask, tmp_path)
    assert found == tuple(map(ipaddress.ip_address, ("10.9.0.2", "192.168.1.20", "fd00::5")))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Workshop", ("workshop.local", "workshop")),
        ("workshop.lan", ("workshop.local", "workshop", "workshop.lan")),
        ("workshop.local", ("workshop.local", "workshop")),
    ],
)
def test_a_computer_answers_to_its_name_in_the_local_network(name: str, expected: tuple[str, ...]) -> None:
    assert own_names.hosts(name) == expected
