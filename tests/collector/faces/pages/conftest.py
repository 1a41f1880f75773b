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
    from fabgate.collector.ground.models import Account

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

    from fabgate.collector.money.billing.charges import refresh

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
def accountant(browse) -> Any:
    return browse("accountant")


@pytest.fixture
def desk(browse) -> Any:
    return browse("desk")


@pytest.fixture
def trainer(browse) -> Any:
    return browse("trainer")


@pytest.fixture
def broker(monkeypatch) -> Any:
    """A broker, which keeps what is published."""
    from fabgate.collector.recording.broker import announcing
    from tests.collector.faces.pages.broker import Broker

    found = Broker()
    monkeypatch.setattr(announcing, "publish_once", found.publish_once)
    return found


@pytest.fixture
def house(env, broker) -> Any:
    """The environment of a small workshop that is seen from its desk."""
    from tests.collector.faces.pages.counter import furnish

    furnish()
    return env


@pytest.fixture
def at_six(monkeypatch) -> None:
    """Let the workshop be where it is about six in the evening."""
    from django.conf import settings

    hour = datetime.now(UTC).hour
    zone = f"Etc/GMT{hour - 18 if hour >= 4 else hour + 6:+d}"
    monkeypatch.setattr(settings, "ENVIRONMENT", replace(settings.ENVIRONMENT, tz=zone))
