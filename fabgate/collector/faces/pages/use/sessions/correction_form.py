"""The form that corrects a session. Each changed field becomes one correction."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate import wire
from fabgate.collector.faces.pages.forms import duration_field
from fabgate.collector.faces.pages.forms.member_field import LONGEST
from fabgate.collector.faces.pages.forms.stale_form import StaleCheck
from fabgate.collector.faces.pages.words import names, session_labels
from fabgate.collector.ground.models import Correction, UsageSession
from fabgate.collector.ground.tables.table import clock
from fabgate.collector.recording.sessions import corrections

_SECOND_MS: Final = 1000
#: The order of saving: payer and purpose change with the member, unless they were corrected before.
_ORDER: Final = (Correction.PAYER, Correction.PURPOSE, Correction.TIME, Correction.MEMBER)


class CorrectionForm(StaleCheck, forms.Form):
    """The correct values, and the reason."""

    time = forms.CharField(
        label=gettext_lazy("Powered on"),
        max_length=12,
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    member = forms.CharField(label=gettext_lazy("Person"), max_length=LONGEST)
    payer = forms.CharField(label=gettext_lazy("Payer"), max_length=LONGEST)
    purpose = forms.ChoiceField(label=gettext_lazy("Purpose"), choices=list(session_labels.PURPOSES.items()))
    reason = forms.CharField(
        label=gettext_lazy("Why"),
        max_length=corrections.MAX_REASON,
        help_text=gettext_lazy("Saved with your name; the member can see it."),
    )

    def __init__(self, session: UsageSession, called: names.Names, data: Any = None) -> None:
        self._session = session
        self._shown = {
            "time": clock(session.counted_ms),
            "member": called[session.used_by],
            "payer": called[session.payer],
            "purpose": session.purpose,
        }
        super().__init__(data, initial=self._shown)
        self.fields["time"].help_text = duration_field.examples()

    def clean_time(self) -> int:
        """Return the milliseconds; the stored ones if the text is unchanged."""
        typed = self.cleaned_data["time"].strip()
        if typed == self._shown["time"]:
            return self._session.counted_ms
        if (found := duration_field.seconds(" ".join(typed.split()))) is None:
            raise forms.ValidationError(duration_field.examples())
        ms = found * _SECOND_MS
        if ms > (most := longest_ms(self._session)):
            text = (
                _("Enter at most %(most)s: from start to end, uncertainty included, the session lasted no longer.")
                if _is_dated(self._session)
                else _("Start and end are unknown: enter at most %(most)s, the machine's time limit.")
            )
            raise forms.ValidationError(text % {"most": clock(most)})
        return ms

    def clean_member(self) -> str:
        """Return the id of the member."""
        return self._person_id("member", self._session.used_by)

    def clean_payer(self) -> str:
        """Return the id of the payer."""
        return self._person_id("payer", self._session.payer, organisations=True)

    def clean(self) -> dict[str, Any]:
        """Require a change."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors and not self._changed():
            self.add_error(None, _("Nothing has changed. Correct a field, or leave the page."))
        return cleaned

    def save(self, author: str) -> list[Correction]:
        """Save all corrections or none. Raises UsageError if someone else changed the session meanwhile."""
        reason = self.cleaned_data["reason"]
        with transaction.atomic():
            return [
                corrections.correct(self._session.pk, field, value, author=author, reason=reason)
                for field, value in self._changed()
            ]

    def saved_message(self) -> str:
        """Return the message to show after `save`."""
        time = self.cleaned_data["time"]
        if time == self._session.counted_ms:
            return _("Correction saved. The gate's record is kept.")
        text = _("Correction saved: the duration was %(was)s and is now %(now)s. The gate's record is kept.")
        return text % {"was": self._shown["time"], "now": clock(time)}

    def _changed(self) -> list[tuple[str, str]]:
        was = self._session
        before = {"member": was.used_by, "payer": was.payer, "purpose": was.purpose, "time": was.counted_ms}
        return [(field, str(self.cleaned_data[field])) for field in _ORDER if self.cleaned_data[field] != before[field]]

    def _person_id(self, field: str, before: str, *, organisations: bool = False) -> str:
        typed = self.cleaned_data[field].strip()
        if typed == self._shown[field]:
            return before
        return names.resolve(typed, organisations=organisations)


def longest_ms(session: UsageSession) -> int:
    """Return the longest possible time on, in milliseconds, rounded up to whole seconds.

    It is the time from start to end plus the uncertainty or, if one of them has no date, the machine's limit. It is at
    least what the gate counted, because its clock may have been set during the session.
    """
    counted_ms = session.energised_ms + session.uncertainty_ms
    if _is_dated(session):
        assert session.started_at is not None
        assert session.ended_at is not None
        lasted_ms = (session.ended_at - session.started_at) // timedelta(milliseconds=1) + session.uncertainty_ms
    else:
        rules = session.machine.wire_rules() if session.machine else wire.MachineRules()
        lasted_ms = rules.max_s * _SECOND_MS
    return -(-max(lasted_ms, counted_ms) // _SECOND_MS) * _SECOND_MS


def _is_dated(session: UsageSession) -> bool:
    return session.started_at is not None and session.ended_at is not None and not session.is_about
