"""All gates of a large workshop at once."""

from __future__ import annotations

from bench.collector.home import check_stored_once, empty, ingest
from bench.figures import PASSES, Figure, Passes, measures, percentile
from bench.intake.backlog import settle
from bench.peers.broker import broker
from bench.peers.light_gates import LightGates, Workload, deliver
from bench.run import Run
from bench.usage import Peak, rss_mib


@measures(
    Figure("published to acknowledged, p50", "ms", 5),
    Figure("published to acknowledged, p99", "ms", 25),
    Figure("published to acknowledged, the worst", "ms"),
)
def latency(run: Run) -> Passes:
    """How long until an entry is acknowledged? A thousand gates, each on its own connection, 500 entries a second."""
    home = empty(run)
    with broker(run) as port, ingest(home, port):
        for number in range(1, PASSES + 1):
            outcome = deliver(Workload(port=port, prefix=f"l{number}", gates=1_000, entries=4, rate=500.0))
            check_stored_once(home, f"l{number}", outcome)
            waits_ms = [one * 1000 for one in outcome.waits_s]
            yield percentile(waits_ms, 0.5), percentile(waits_ms, 0.99), max(waits_ms)


@measures(
    Figure("500 gates with 50 entries each, all acknowledged, none lost or doubled", "s"),
    Figure("the ingest's memory grows by", "MiB", 150),
    Figure("the ingest's memory", "MiB"),
)
def fleet(run: Run) -> Passes:
    """How does the ingest take all gates at once? Five hundred with fifty entries each, after a night without the network.

    The goal is the memory that 25,000 messages may take in the ingest, with what the database keeps of them.
    """
    for number in range(1, PASSES + 1):
        home = empty(run)
        with broker(run) as port, ingest(home, port) as running:
            settle(port, "warm")
            before = rss_mib(running.pid)
            workload = Workload(port=port, prefix=f"f{number}", gates=500, entries=50)
            with LightGates(workload) as gates, Peak(running.pid) as peak:
                outcome = gates.deliver()
        check_stored_once(home, f"f{number}", outcome)
        yield outcome.took_s, peak.mib - before, peak.mib
