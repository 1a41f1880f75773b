"""How fast is a backlog of 20,000 stored with Mosquitto's defaults? It drops what exceeds its small queues."""

from __future__ import annotations

from bench import ingesting
from bench.collector import empty
from bench.harness import Figure, Run


def measure(run: Run) -> list[Figure]:
    return ingesting.against_peer(run, lambda _pass: empty(run), 0.21, "20,000 entries, broker untouched", tuned=False)
