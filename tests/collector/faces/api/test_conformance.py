"""Does the API do what docs/openapi.json says of it, whatever is sent to it? Schemathesis asks a running server.

It is run as a program, so that its plugin stays out of pytest, and with every check that it has; its warnings fail too.
One seed makes every run the same: `SEED`, and more examples, look further.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from fabgate.collector.faces.api.programs.interface import SCOPES
from fabgate.collector.ground.models import ApiKey, Charge, LedgerLine, Member, Payer
from fabgate.collector.money.billing import closing
from fabgate.collector.money.billing.charges import decisions, refresh
from fabgate.collector.recording.intake.store import Store
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages import billing
from tests.collector.gates import NOON, Journal
from tests.collector.serving import serving
from tests.support.patience import HANGS_S

SEED, EXAMPLES = "1", "5"
PROGRAM = Path(sys.executable).with_name("schemathesis")


@pytest.fixture
def address(database) -> Iterator[str]:
    """A server whose list has a row of each kind: ended, uncertain, changed, corrected, of nobody known.

    Its month is closed, and the next one has a reversal.
    """
    Member.objects.create(id="m-1", name="Zoé Müller")
    journal = Journal()
    journal.write("gate.started", version="1")
    for number in range(3):
        journal.start(f"s-{number}")
        journal.end(f"s-{number}", 1_001 + number)
    journal.start("s-unknown", member="m-none")
    journal.end("s-unknown", 5, member="m-none", reason="power-loss", uncertainty_ms=90_000)
    journal.start("s-late")
    late = journal.progress("s-late", 9_000)
    journal.end("s-late", 6_000)
    store = Store("lyon")
    store.store([message for message in journal.messages() if message != late], NOON)
    store.store([late], NOON)
    corrections.correct("s-2", "time", "5", author="eve", reason="a test cut")
    corrections.correct("s-1", "purpose", "training", author="eve", reason="a course")
    first = NOON.date().replace(day=1)
    billing.start(first=first)
    billing.rule("price=0.10 minimum=1", since=first)
    Payer.objects.create(id="m-1", member=Member.objects.get())
    decisions.add_line("m-1", "Plywood", 900, day=billing.FIRST, author="eve")
    closing.close(first, NOON + timedelta(days=40), actor="eve", reason="a test")
    corrections.correct("s-0", "purpose", "training", author="eve", reason="a course")
    refresh.refresh_all()
    assert {(charge.month == first, bool(charge.reverses)) for charge in Charge.objects.all()} == {
        *((True, False), (False, True), (False, False))
    }
    assert {*LedgerLine.objects.values_list("kind", flat=True)} == {"ended", "changed", "corrected"}
    assert LedgerLine.objects.exclude(uncertainty_ms=0).exclude(review="").exists()
    with serving(replace(settings.ENVIRONMENT, web_port=0)) as found:
        yield found


@pytest.fixture
def key(database) -> Callable[..., str]:
    def make(*scopes: str, lasts: timedelta = timedelta(hours=1)) -> str:
        return ApiKey.make("x", [*(scopes or SCOPES)], made_by=None, expires_at=timezone.now() + lasts)[1]

    return make


#: One operation of each scope, where every answer is a refusal.
FEW = ("--include-path", "/api/v1/sessions", "--include-path", "/api/v1/charges/month")


def statuses(address: str, token: str, tmp_path: Path, *phases: str) -> set[int]:
    """Try the API with this key. Returns which statuses were answered; fails with what schemathesis has found."""
    config = tmp_path / "schemathesis.toml"
    # With a key that opens nothing every answer is a refusal, which is what it would warn of.
    warns = "{ fail-on = true }" if len(phases) > 1 else "false"
    config.write_text(f'warnings = {warns}\n[auth.openapi.Key]\nbearer = "{token}"\n')
    exchanges = tmp_path / "exchanges.json"
    done = subprocess.run(
        [
            *(PROGRAM, "--config-file", config, "run", f"{address}/api/v1/openapi.json", "--no-color"),
            *("--checks", "all", "--phases", ",".join(phases), "--continue-on-failure", "--workers", "1"),
            *("--seed", SEED, "--max-examples", EXAMPLES, "--generation-database", "none"),
            *(*(() if len(phases) > 1 else FEW), "--report-har-path", exchanges),
            # What else this computer does is no fault of the API.
            *("--request-timeout", str(HANGS_S), "--suppress-health-check", "too_slow"),
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    told = json.loads(exchanges.read_text("utf-8"))
    return {entry["response"]["status"] for entry in told["log"]["entries"]}


@pytest.mark.sqlite
def test_with_a_key_every_answer_is_as_described(address, key, tmp_path):
    found = statuses(address, key(), tmp_path, "coverage", "fuzzing", "stateful")
    assert found == {200, 401, 405, 409, 422}


@pytest.mark.postgresql
def test_postgresql_answers_every_value_as_described(address, key, tmp_path):
    assert statuses(address, key(), tmp_path, "examples", "coverage") >= {200, 401, 405, 422}


@pytest.mark.sqlite
def test_with_an_expired_key_every_answer_is_a_refusal_as_described(address, key, tmp_path):
    assert statuses(address, key(lasts=timedelta(seconds=-1)), tmp_path, "coverage") == {401, 405}


@pytest.mark.sqlite
def test_with_a_key_without_the_scope_every_answer_is_a_refusal_as_described(address, key, tmp_path):
    assert statuses(address, key("floor:read"), tmp_path, "coverage") == {401, 403, 405}
