"""``python -m fabgate`` is ``fabgate``."""

from fabgate.cli import main

raise SystemExit(main())
