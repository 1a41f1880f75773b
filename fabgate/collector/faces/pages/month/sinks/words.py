"""What pages call the states of sinks and of letters, and why something was not sent."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.ground.models import SinkLetter
from fabgate.collector.money.billing.sinks import contract, engine, http, status
from fabgate.collector.money.billing.sinks.status import Status

#: The name of each feed.
_TAKES: Final[dict[str, Any]] = {
    contract.CHARGES: gettext_lazy("charges of closed months"),
    contract.USAGE: gettext_lazy("sessions and their changes"),
    contract.METERED: gettext_lazy("time of settled sessions"),
}
_TROUBLES: Final[dict[str, Any]] = {
    http.TIMED_OUT: gettext_lazy("No answer in time"),
    http.NO_CONNECTION: gettext_lazy("No connection, or the connection was interrupted"),
    http.TOO_LONG: gettext_lazy("The answer is too long, or does not end"),
    http.WRONG_CERTIFICATE: gettext_lazy("The program's certificate is not valid"),
}
#: State of a letter: what pages call it.
LETTERS: Final[dict[str, Any]] = {
    SinkLetter.DEAD: gettext_lazy("Refused"),
    SinkLetter.HELD: gettext_lazy("No reference"),
    SinkLetter.SKIPPED: gettext_lazy("Skipped"),
    SinkLetter.DUE: gettext_lazy("To be sent again"),
}


def state(one: Status) -> tuple[str, str]:
    """Return the state of a sink for the tag `state`: its kind, and its name."""
    if one.state == status.RESTORED:
        return "warn", _("Paused after a restore")
    if one.state == status.LATER:
        return "bad", _("Cannot send")
    if one.state == status.GONE:
        return "silent", _("No longer in sinks.yaml")
    if one.dead or one.letters[SinkLetter.HELD]:
        return "warn", _("Not everything was sent")
    return ("starting", _("Sending")) if one.unsent else ("ok", _("Up to date"))


def takes(one: Status) -> str:
    """Return the name of a sink's feed."""
    return str(_TAKES[one.configured.feed]) if one.configured else ""


def trouble(text: str) -> str:
    """Return why nothing can be sent; the answers of programs are not translated."""
    return str(_TROUBLES.get(text, text))


def why(letter: SinkLetter) -> str:
    """Return why an item was not sent."""
    if letter.why == engine.NO_REFERENCE:
        return _("The payer has no reference for this program.")
    return letter.why
