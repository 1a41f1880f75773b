"""The values of session columns that are not on the wire."""

from __future__ import annotations

from typing import Final

JOURNAL_LOST: Final = "journal-lost"
#: The date is not known, because a boot never synchronised.
UNDATED: Final = "undated"
#: The purposes of a session; OWN, a member's own work, is the default.
OWN: Final = "own"
PURPOSES: Final = (OWN, "training", "maintenance", "group")
#: The badge no longer belonged to the member: the gate decided by an old roster.
EARLIER_HOLDER: Final = "earlier-holder"
#: The duration is exact, but the dates are wrong because the gate's clock was.
CLOCK: Final = "clock"
#: The member says that the session is wrong; later entries do not settle that.
CONTESTED: Final = "contested"
