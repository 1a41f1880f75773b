"""How do property tests run here? The same every time in ``make test``, and at random in the soak.

No example has a time limit: this runs beside other things, and nothing here is a timed test.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("test", deadline=None, derandomize=True)
settings.register_profile("soak", deadline=None, max_examples=1_000)
settings.load_profile("soak" if os.environ.get("FABGATE_SOAK") else "test")
