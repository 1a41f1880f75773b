"""Accounts of every role, and browsers in which they are signed in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

PASSWORD = "three green chairs"


@pytest.fixture(scope="session", autouse=True)
def seen() -> Iterator[None]:
    """Django tells what a page was made of: response.context, response.templates."""
    from django.test.utils import setup_test_environment, teardown_test_environment

    setup_test_environment()
    yield
    teardown_test_environment()


@functools.cache
def hashed() -> str:
    """The password's hash, made once a process: argon2 is slow on purpose."""
    from django.contrib.auth.hashers import make_password

    return make_password(PASSWORD)


@pytest.fixture
def account(database) -> Callable[..., Any]:
    """Make an account of a role, called like it."""
    from fabgate.collector.models import Account

    def make(role: str, name: str = "", **more: Any) -> Account:
        return Account.objects.create(name=name or role, role=role, password=hashed(), **more)

    return make


@pytest.fixture
def visitor(database) -> Any:
    """A browser in which nobody is signed in."""
    from django.test import Client

    return Client(headers={"host": "localhost"}, SERVER_NAME="localhost")


@pytest.fixture
def browse(account) -> Callable[..., Any]:
    """Make a browser in which an account, or a fresh one of a role, is signed in.

    `beside_worker`: the worker has charged everything before each request.
    """
    from django.test import Client

    from fabgate.collector.billing.charges import refresh

    class BesideWorker(Client):
        def request(self, **request: Any) -> Any:
            refresh.refresh_all()
            return super().request(**request)

    def make(who: Any, *, beside_worker: bool = False, **more: Any) -> Client:
        kind = BesideWorker if beside_worker else Client
        client = kind(headers={"host": "localhost"}, SERVER_NAME="localhost", **more)
        client.force_login(account(who) if isinstance(who, str) else who)
        return client

    return make


@pytest.fixture
def manager(browse) -> Any:
    """A browser in which a manager is signed in."""
    return browse("manager")


@pytest.fixture
def own_data(database, tmp_path, monkeypatch) -> Any:
    """The environment with a data directory of its own, a badge key in it, and no broker."""
    from django.conf import settings

    from fabgate.collector.base.key_files import new_key, write_secret

    data = tmp_path / "data"
    found = replace(settings.ENVIRONMENT, data=data, sinks=data / "sinks.yaml", mqtt_port=1)
    data.mkdir()
    write_secret(found.badge_key_file, new_key("b1"))
    monkeypatch.setattr(settings, "ENVIRONMENT", found)
    return found


@pytest.fixture
def told(monkeypatch) -> list[Any]:
    """What would have been published."""
    from fabgate.collector.access import roster

    sent: list[Any] = []
    monkeypatch.setattr(roster, "publish_once", lambda _env, messages, **_more: sent.extend(messages))
    return sent


@pytest.fixture
def at_six(monkeypatch) -> None:
    """Let the workshop be where it is about six in the evening."""
    from django.conf import settings

    hour = datetime.now(UTC).hour
    zone = f"Etc/GMT{hour - 18 if hour >= 4 else hour + 6:+d}"
    monkeypatch.setattr(settings, "ENVIRONMENT", replace(settings.ENVIRONMENT, tz=zone))
