"""Lists the payers, for people and for programs that write invoices: ``bill-payers``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from django.conf import settings
from django.db.models import Count

from fabgate.collector.cli import text_table
from fabgate.collector.ground.models import Payer


def show_payers(args: argparse.Namespace) -> int:
    """Print the payers that have a record."""
    rows = Payer.objects.select_related("member", "group").prefetch_related("references").order_by("pk")
    rows = rows.annotate(people=Count("pays_for", distinct=True), paid_groups=Count("pays_for_groups", distinct=True))
    if args.json:
        json.dump([_as_json(row) for row in rows], sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
        return 0
    lines = [(row.pk, str(row), row.kind, str(row.people), str(row.paid_groups), _note(row)) for row in rows]
    if lines:
        text_table.write([("payer", "name", "kind", "people", "groups", "note"), *lines], sys.stdout, right=(3, 4))
    else:
        sys.stdout.write("no payers have a record: everyone pays for themselves\n")
    return 0


def _note(row: Payer) -> str:
    if row.ended_on is not None:
        return f"closed on {row.ended_on}"
    return "" if row.address else "no address"


def _as_json(row: Any) -> dict[str, Any]:
    return {
        "payer": row.pk,
        "kind": row.kind,
        "name": str(row),
        "legal_name": row.legal_name,
        "address": row.address,
        "email": row.email_or_own,
        "lang": row.lang_or_own or settings.ENVIRONMENT.lang,
        "registration_number": row.registration_number,
        "vat_number": row.vat_number,
        "references": {one.sink: one.reference for one in row.references.all()},
        "people": row.people,
        "groups": row.paid_groups,
        "ended_on": row.ended_on and row.ended_on.isoformat(),
    }
