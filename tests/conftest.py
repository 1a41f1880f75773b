"""How property tests run: the same examples every time in ``make test``, random ones in the soak.

No example has a time limit, nor has its making (`too_slow`): no test here measures time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

from tests.support import statements
from tests.support.certificates import make_certificates
from tests.support.mosquitto import MOSQUITTO, Mosquitto, mosquitto
from tests.support.recording import ALL, Recording

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("test", UNTIMED, derandomize=True, max_examples=50)
settings.register_profile("soak", UNTIMED, max_examples=1_000)
SOAK = bool(os.environ.get("FABGATE_SOAK"))
settings.load_profile("soak" if SOAK else "test")


#: Of each worker of pytest-xdist: the statements that its tests sent.
_records: list[statements.Record] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that ``make test`` uses for PostgreSQL."""
    parser.addoption(
        "--distinct-statements",
        action="store_true",
        help="of the tests of pages and rules, run only those that send a statement no other test sends",
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[Any]:
    """Record the statements of tests that run on PostgreSQL, too."""
    if item.get_closest_marker("sqlite") is not None:
        return (yield)
    with statements.of(item.nodeid):
        return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Print a failure of the soak at once, with the example that shows it again: a soak may be stopped before its end."""
    if SOAK and report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        sys.stdout.write(f"\n{report.nodeid}\n{report.longreprtext}\n")
        sys.stdout.flush()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the record of a worker that is done."""
    _records.append(getattr(node, "workeroutput", {}).get(statements.RECORD, {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep the record of what was sent to SQLite."""
    if any(_records):
        statements.keep(session.config, _records)
    else:
        statements.hand_over(session.config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each property test for the soak, where it tries more examples than in ``make test``.

    The tests that kill processes take longest: they come first, so that no process ends with them while others idle.
    """
    for item in items:
        if isinstance(item, pytest.Function) and is_hypothesis_test(item.obj):
            item.add_marker("chance")
    items.sort(key=lambda item: item.get_closest_marker("kills") is None)


@pytest.fixture(params=ALL, ids=lambda recording: recording.version)
def recording(request: pytest.FixtureRequest) -> Recording:
    """What was said and kept in each released version."""
    found: Recording = request.param
    return found


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workshop's authority and certificates; see tests/support/certificates.py."""
    return make_certificates(tmp_path_factory.mktemp("papers"))


@pytest.fixture(params=["plain", "tls"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mosquitto]:
    """A running broker. Each test that uses it runs twice: with the gate or collector on `port` without TLS, and with it.

    The tests' own clients listen on `plain_port`.
    """
    if not Path(MOSQUITTO).exists():
        pytest.skip("no mosquitto here: apt install mosquitto")
    with_tls: Path | None = request.getfixturevalue("papers") if request.param == "tls" else None
    found = Mosquitto(tmp_path / "broker", papers=with_tls).start()
    yield found
    found.stop()


@pytest.fixture
def plain_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running broker as `apt install mosquitto` leaves it: without TLS and accounts; it takes packets of any size."""
    if not Path(MOSQUITTO).exists():
        pytest.skip("no mosquitto here: apt install mosquitto")
    with mosquitto(tmp_path / "broker") as found:
        yield found


@pytest.fixture
def mock_pins() -> Iterator[Any]:
    """The pins of a computer, in place of those of this one."""
    from gpiozero import Device
    from gpiozero.pins.mock import MockFactory

    before, Device.pin_factory = Device.pin_factory, MockFactory()
    yield Device.pin_factory
    Device.pin_factory.reset()
    Device.pin_factory = before
