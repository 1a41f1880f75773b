"""Runs a verb of the collector without the rest of fabgate: ``python -m fabgate.collector VERB``."""

from __future__ import annotations

import sys

from fabgate.collector.cli.verbs import main

sys.exit(main())
