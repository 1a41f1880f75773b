"""A gate refuses a member whose credit is used up, and opens as soon as the desk has taken in some: real processes."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.e2e.readme import CARD, FABGATE, run
from tests.support.patience import wait


def test_a_session_uses_the_credit_up_and_a_credit_opens_the_machine_again(home, started, tmp_path):
    def collector(*arguments: str) -> str:
        return run(home, "collector", *arguments)

    def tap() -> None:
        run(home, "tap", "laser-1", CARD, "--for", "1500")  # long enough for a gate on a busy computer

    printed = collector("gate-add", "laser-1", "--machine", "laser", "--emulated")
    start, _tap = re.findall(r"^(?:Start the gate|Tap a badge): +fabgate (.*)$", printed, re.MULTILINE)
    config = Path(start.split()[-1])

    def status() -> dict[str, Any]:
        file = config.with_name("state") / "status.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def roster() -> int | None:
        found: int | None = (status().get("roster") or {}).get("version")
        return found

    (tmp_path / "members.csv").write_text(f"id,name,badges,machines\nm-1,Ada Martin,{CARD},laser\n", encoding="utf-8")
    collector("import-members", str(tmp_path / "members.csv"))
    month = f"{datetime.now(UTC):%Y-%m}"
    collector("bill-start", "--currency", "EUR", "--vat", "included", "--from", month)
    collector("bill-rule", "--from", f"{month}-01", "price=0", "session_fee=5")
    collector("bill-prepaid", "m-1")
    started.append(subprocess.Popen([*FABGATE, "collector", "run"], env=home, stdin=subprocess.DEVNULL))
    started.append(subprocess.Popen([*FABGATE, *shlex.split(start)], env=home))
    refusing = wait(roster, "a roster at the gate")
    tap()
    assert "no-credit" in run(home, "journal", "--config", str(config))
    collector("bill-credit", "m-1", "5", "--method", "cash")
    wait(lambda: roster() != refusing, "a roster that admits")
    opened = roster()
    tap()
    wait(lambda: str(status()["state"]).startswith("active"), "a session")
    tap()  # ends it: five euros
    wait(lambda: roster() != opened, "a roster that refuses again")
    tap()
    assert status()["state"] == "idle"
    assert "0.00 EUR  out of credit" in collector("bill-balance", "m-1")
