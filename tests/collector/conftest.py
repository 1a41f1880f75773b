"""Each test has its own database: a copy of a file that is migrated once per process.

With FABGATE_TEST_DATABASE_URL (tests/support/postgresql.py) only the tests that touch the database run, on PostgreSQL:
each process has a database there, which is emptied before each test.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import django
import pytest

from tests.collector import own_database, postgresql
from tests.support import mailserver, statements

SITE = "lyon"
_HOME = Path(tempfile.mkdtemp(prefix="fabgate-collector-tests-"))
_OURS = {"FABGATE_SITE": SITE, "FABGATE_DATA": str(_HOME), "DJANGO_SETTINGS_MODULE": "fabgate.collector.settings"}
if postgresql.SERVER:
    _OURS["FABGATE_DATABASE_URL"] = postgresql.make(os.environ.get("PYTEST_XDIST_WORKER", "alone"))

# Once per process, before a test module imports a model. The environment is restored, because other tests start
# processes that must not inherit it.
with mock.patch.dict(os.environ, _OURS):
    for _name in [name for name in os.environ if name.startswith("FABGATE_") and name not in _OURS]:
        del os.environ[_name]
    (_HOME / "secret.key").write_text("only for tests")
    django.setup()
if not postgresql.SERVER:
    from django.db import connection as _connection

    statements.record()

    # In this process no commit waits for the disk: the tests of durability run in processes of their own.
    _options = _connection.settings_dict["OPTIONS"]
    _options["init_command"] = _options["init_command"].replace("synchronous=FULL", "synchronous=OFF")


def pytest_unconfigure() -> None:
    """Remove what this process stored."""
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that do not concern the database that is tested."""
    if postgresql.SERVER:
        known = (
            config.cache.get(statements.COVERED, [])
            if config.getoption("--distinct-statements") and config.cache
            else []
        )
        covered = frozenset(known)
        left = [
            item
            for item in items
            if "database" not in item.fixturenames or item.nodeid in covered or item.get_closest_marker("sqlite")
        ]
    else:
        left = [item for item in items if item.get_closest_marker("postgresql")]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in set(left)]


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """A migrated database without rows; Django's connection is on it."""
    from django.core.management import call_command
    from django.db import connection

    (_HOME / "collector.db").touch()
    call_command("migrate", verbosity=0, interactive=False)
    connection.close()
    yield _HOME / "collector.db"
    connection.close()
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> Path:
    """A certificate of localhost, with its key."""
    return mailserver.certificate_in(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def mail_server(certificate, monkeypatch) -> Iterator[Callable[..., mailserver.MailServer]]:
    """Start a mail server for the settings; its certificate is trusted unless `trusted` is False."""
    from tests.collector.mailing import use_mail

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with ExitStack() as stack:

        def start(*, account: str = "", query: str = "", trusted: bool = True, **options: Any) -> mailserver.MailServer:
            if not trusted:
                monkeypatch.delenv("SSL_CERT_FILE")
            found = stack.enter_context(mailserver.serving(certificate, **options))
            use_mail(monkeypatch, found.url(account, query))
            return found

        yield start


@pytest.fixture
def database(template: Path, tmp_path: Path) -> Iterator[Path]:
    """This test's own database; its file, where it is one."""
    with own_database.using(template, tmp_path) as own:
        yield own


@pytest.fixture
def env(database, tmp_path, monkeypatch) -> Any:
    """The environment with a data directory of its own, a badge key in it, and no broker."""
    from django.conf import settings

    from fabgate.collector.ground.base.key_files import new_key, write_secret

    data = tmp_path / "data"
    found = replace(settings.ENVIRONMENT, data=data, sinks=data / "sinks.yaml", mqtt_port=1, web_port=0)
    data.mkdir()
    write_secret(found.badge_key_file, new_key("b1"))
    monkeypatch.setattr(settings, "ENVIRONMENT", found)
    return found


@pytest.fixture
def told(monkeypatch) -> list[Any]:
    """What would have been published."""
    from fabgate.collector.recording.broker import announcing

    sent: list[Any] = []
    monkeypatch.setattr(announcing, "publish_once", lambda _env, messages, **_more: sent.extend(messages))
    return sent


@pytest.fixture
def gate(env) -> Any:
    """The gate of a machine with default rules, added as `gate-add` does."""
    from fabgate.collector.ground.models import Gate
    from tests.collector.rosters import add

    add()
    return Gate.objects.get(name="laser-1")


@pytest.fixture
def shop(database) -> Any:
    """Two machines and four people: tests/collector/faces/pages/used.py."""
    from tests.collector.faces.pages.used import Used

    return Used()


@pytest.fixture
def journal() -> Any:
    """The journal of a gate, in which nothing is written yet."""
    from tests.collector.gates import Journal

    return Journal()


@pytest.fixture
def store(database) -> Any:
    """What stores the entries of gates."""
    from fabgate.collector.recording.intake.store import Store

    return Store(SITE)


@pytest.fixture
def run(capsys) -> Callable[..., str]:
    """Run a verb in this process, and return what it printed."""
    from fabgate.collector.cli import verbs

    def run(*words: str) -> str:
        parser = argparse.ArgumentParser()
        verbs.add_verbs(parser)
        args = parser.parse_args(words)
        assert verbs.function_of(args)(args) == 0
        return str(capsys.readouterr().out)

    return run


@pytest.fixture
def fresh_now(request, monkeypatch) -> None:
    """Set NOW of the test's file, which may have been read minutes ago: by then every gate would be silent."""
    monkeypatch.setattr(request.module, "NOW", datetime.now(UTC))
