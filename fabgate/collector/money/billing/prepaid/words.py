"""How a charge or a line is settled, in words that need no database: drivers of sinks and their tests use them too."""

from __future__ import annotations

from typing import Final

#: From credit, or by a later payment.
PREPAID: Final = "prepaid"
RECEIVABLE: Final = "receivable"
