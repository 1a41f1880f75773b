"""The terms of billing, for the pages that need them."""

from __future__ import annotations

from django.http import Http404

from fabgate.collector.ground.models import BillingTerms
from fabgate.collector.money.billing import terms


def terms_or_404() -> BillingTerms:
    """Return the terms. Raises Http404 before billing has started."""
    found = terms.started()
    if found is None:
        raise Http404
    return found
