"""Books that nobody touched give no finding, whatever happened in the workshop."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, event, given, settings

from fabgate.collector.ground.models import LedgerLine, Review, UsageSession
from fabgate.collector.processes.verify import audit_head, checkpoints, run
from tests.collector.postgresql import EXAMPLES
from tests.collector.processes.verify import histories
from tests.collector.processes.verify.histories import History, texts


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=histories.STEPS)
def test_a_random_history_gives_no_finding(steps, template: Path, database: Path):
    histories.empty(template, database)
    data = database.parent
    (data / ".audit-head").unlink(missing_ok=True)
    audit_head.keep_up(data)  # as the first start does, before anything is logged
    history = History()
    for place, (what, number) in enumerate(steps):
        history.step(what, number)
        if place == len(steps) // 2:
            report = run.run(data)
            assert texts(report) == []
            checkpoints.write(report)
            audit_head.keep_up(data)
    history.deliver_all()
    report = run.run(data)
    assert texts(report) == []
    event(f"sessions that ended: {min(9, UsageSession.objects.exclude(reason=None).count())}")
    event(f"reviews: {min(9, Review.objects.count())}, lines: {min(20, LedgerLine.objects.count())}")
