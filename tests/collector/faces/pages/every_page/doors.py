"""Every route with what each role may do there, except those that a key opens."""

from __future__ import annotations

from fabgate.collector.faces.pages import rights

DOORS = {name: right for name, right in rights.table().items() if not right.is_keyed}
