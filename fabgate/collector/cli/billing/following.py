"""Brings charges up to date before a verb reads them."""

from __future__ import annotations

import sys

from fabgate.collector.cli.progress_bar import Bar
from fabgate.collector.ground.models import BillingProgress, LedgerLine
from fabgate.collector.money.billing.charges import behind


def follow() -> None:
    """Follow the ledger to its end, with a progress bar if the output is a terminal."""
    bar, began = Bar(sys.stderr), _position()
    newest = LedgerLine.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    try:
        behind.catch_up(lambda: bar.show(_position() - began, newest - began))
    finally:
        bar.clear()


def _position() -> int:
    return BillingProgress.objects.values_list("position", flat=True).first() or 0
