"""Which words do the columns of sessions hold, beside those of the wire?"""

from __future__ import annotations

from typing import Final

JOURNAL_LOST: Final = "journal-lost"
#: Nobody knows when it was: a boot never synchronised.
UNDATED: Final = "undated"
#: What a session can be for, and the one that is not said.
OWN: Final = "own"
PURPOSES: Final = (OWN, "training", "maintenance", "group")
#: The badge was not the member's any more: the gate decided by an old roster.
EARLIER_HOLDER: Final = "earlier-holder"
#: The minutes are exact and the dates are wrong: the gate's clock was.
CLOCK: Final = "clock"
#: The member says that it is not right: no entry that comes later answers that.
CONTESTED: Final = "contested"
