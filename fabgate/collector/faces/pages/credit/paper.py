"""The acknowledgement of a credit or a refund, as PDF. It is no receipt: the till or the accounting has that."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import translation
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import BillingTerms, Payer, PrepaidEntry
from fabgate.collector.members.people.display_names import account_names
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.paper import letterhead
from fabgate.collector.money.paper.figures import Money
from fabgate.collector.money.paper.sheet import Sheet


def acknowledgement(_request: HttpRequest, pk: int) -> HttpResponse:
    """Send the acknowledgement of an entry, in the payer's language."""
    found = terms_or_404()
    entry = get_object_or_404(PrepaidEntry.objects.exclude(kind=PrepaidEntry.USED), pk=pk)
    payer = payers.get(entry.payer)
    if payer is None:
        raise Http404
    with translation.override(payer.lang_or_own or settings.ENVIRONMENT.lang):
        body = write(entry, payer, found)
    response = HttpResponse(body, content_type="application/pdf")
    response.headers["Content-Disposition"] = f'inline; filename="credit-{entry.pk}.pdf"'
    return response


def write(entry: PrepaidEntry, payer: Payer, found: BillingTerms) -> bytes:
    """Return the acknowledgement as PDF, in the active language."""
    title = {
        PrepaidEntry.CREDIT: _("Acknowledgement of a credit"),
        PrepaidEntry.REFUND: _("Acknowledgement of a refund"),
        PrepaidEntry.TAKEN_BACK: _("Acknowledgement of a reversed credit"),
    }[entry.kind]
    number = _("Number %(number)d") % {"number": entry.pk}
    at = entry.at.astimezone(terms.zone(found))
    sheet = Sheet(letterhead.current(), title=title, footer=f"{title} · {number}", made_at=entry.at)
    sheet.recipient([payer.legal_name, *payer.address.splitlines()])
    sheet.title(title, f"{number} · {date_format(at, 'DATETIME_FORMAT')}")
    amount = Money.of(found).minor(abs(entry.amount_minor))
    pairs = [
        (_("Amount"), amount),
        (_("Method"), str(dict(PrepaidEntry.METHODS)[entry.method])),
        *([(_("Receipt or cheque number"), entry.till_number)] if entry.till_number else []),
        (_("Payer"), f"{payer.legal_name} ({payer.pk})"),
        *([(_("Reason"), entry.reason)] if entry.reason else []),
        *(
            [(_("Reverses the credit"), _("Number %(number)d") % {"number": entry.takes_back_id})]
            if entry.takes_back_id
            else []
        ),
        (_("By"), account_names([entry.author]).get(entry.author, entry.author)),
    ]
    sheet.facts(pairs)
    sheet.paragraph(_("This acknowledgement is neither a receipt nor an invoice."))
    text = _("For a receipt or an invoice, ask the workshop's desk or accountant.")
    sheet.paragraph(text, is_soft=True)
    return bytes(sheet)
