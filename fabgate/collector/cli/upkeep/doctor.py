"""``fabgate collector doctor``."""

from __future__ import annotations

import argparse
import json
import os
import sys

from fabgate.collector.processes.doctor.examination import examine
from fabgate.collector.processes.doctor.facts import Facts
from fabgate.doctor import finding
from fabgate.doctor.system import System
from fabgate.errors import UsageError


def doctor(args: argparse.Namespace) -> int:
    """Examine the collector and its computer; exit code 1 when a check failed."""
    if not args.root.is_dir():
        raise UsageError(f"--root: found no folder {args.root}, wanted that of a computer's files")
    findings = examine(Facts(os.environ, System(args.root.absolute()), args.copies))
    if args.json:
        sys.stdout.write(json.dumps(finding.as_json(findings), indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(finding.lines(findings)) + "\n")
    return finding.exit_code(findings)
