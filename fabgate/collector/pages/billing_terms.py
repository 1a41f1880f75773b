"""The terms of billing, for the pages that need them."""

from __future__ import annotations

from django.http import Http404

from fabgate.collector.billing import terms
from fabgate.collector.models import BillingTerms


def terms_or_404() -> BillingTerms:
    """Return the terms. Raises Http404 before billing has started."""
    found = terms.started()
    if found is None:
        raise Http404
    return found
