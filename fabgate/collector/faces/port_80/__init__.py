"""What port 80 serves, without TLS: the page of the workshop's authority, and a signed repository of packages.

It knows neither accounts nor the database, sets no cookie, and logs nobody.
"""

from __future__ import annotations

from fabgate.collector.faces.port_80.application import application as application
