"""How fast is a backlog of 20,000 stored in PostgreSQL? With durable commits, on this computer."""

from __future__ import annotations

from bench import ingesting
from bench.collector import careful_postgresql, empty
from bench.harness import Figure, Run


def measure(run: Run) -> list[Figure]:
    with careful_postgresql() as url:
        home = empty(run, database_url=url)
        return ingesting.against_peer(run, lambda _pass: home, 0.25, "20,000 entries in PostgreSQL")
