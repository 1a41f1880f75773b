"""What do the dates of a certificate say, as a person would say it?"""

from __future__ import annotations

import ssl
from typing import Final

#: What OpenSSL's verification finds of dates: X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED.
_DATES: Final = {
    9: "the {whose} certificate is not valid yet: look at the clock of this computer and at the certificate's dates",
    10: "the {whose} certificate has expired: renew it (docs/install.md, “Renew the broker's certificate”)",
}


def trouble(error: BaseException, whose: str) -> str:
    """Return what is wrong with the dates of a certificate, and what to do; "" for any other error.

    `whose` is the server that showed it, such as ``broker's``. OpenSSL does not say which certificate of the chain it
    is: an authority that has expired reads the same.
    """
    found = _verification(error)
    return "" if found is None else _DATES.get(found.verify_code, "").format(whose=whose)


def _verification(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Return what OpenSSL said, of an error that may have been raised because of another one."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error
