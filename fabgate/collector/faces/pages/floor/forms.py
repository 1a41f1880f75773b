"""The form that locks a machine: reason, time, and expected return."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from django import forms
from django.conf import settings
from django.utils.functional import lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages.forms.day_field import DayField
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.forms.stale_form import StaleCheck
from fabgate.collector.members.machines import locks
from fabgate.collector.members.people.blocks import today
from fabgate.display import LINES, REASONS

#: The heading of the display preview in each language.
_ON_DISPLAY: Final = {"en": gettext_lazy("On the display, in English"), "fr": gettext_lazy("On the display, in French")}
OWN: Final = "own"
IDLE, NOW = "idle", "now"


class LockForm(StaleCheck, forms.Form):
    """A lock, which by default waits for the running job; `standing` is the current lock, which it replaces."""

    standing = forms.CharField(label=gettext_lazy("Locked"), disabled=True, required=False, widget=forms.HiddenInput)

    why = forms.ChoiceField(
        label=gettext_lazy("Why?"),
        widget=forms.RadioSelect,
        choices=[
            *((str(number), lazy(locks.reason_text, str)(reason)) for number, reason in enumerate(REASONS)),
            (OWN, gettext_lazy("In my own words:")),
        ],
        error_messages={"required": gettext_lazy("Choose a reason: members will see it at the machine.")},
    )
    words = LineField(
        label=gettext_lazy("My own words"),
        required=False,
        max_length=locks.MAX_REASON,
        help_text=gettext_lazy("The display at the machine has room for about 40 letters, or 20 if you enter a day."),
    )
    when = forms.ChoiceField(
        label=gettext_lazy("When?"),
        widget=forms.RadioSelect,
        initial=IDLE,
        choices=[
            (
                IDLE,
                gettext_lazy(
                    "When idle: a running job may finish; an idle machine warns for up to 2 minutes, then locks"
                ),
            ),
            (NOW, gettext_lazy("Now: the power goes off at once, even during a job")),
        ],
    )
    back = DayField(
        label=gettext_lazy("Expected back (if you know)"),
        required=False,
    )

    def clean_back(self) -> date | None:
        """Refuse a past day."""
        back: date | None = self.cleaned_data["back"]
        if back is not None and back < today():
            raise forms.ValidationError(_("That day is past. Choose today or a later day, or leave it empty."))
        return back

    def clean(self) -> dict[str, Any]:
        """Require a text if the user chose to write their own reason."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("why") == OWN and "words" in cleaned and not cleaned["words"]:
            self.add_error("words", _("Enter a reason: members will see it at the machine."))
        return cleaned

    def shown(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return (heading, display lines) for each language; the lines are empty while the form is invalid."""
        is_known = self.is_bound and self.is_valid()
        empty = ("",) * LINES
        return [
            (
                str(_ON_DISPLAY[lang]),
                (*(locks.display_lines(self.reason, self.day, lang) if is_known else ()), *empty)[:LINES],
            )
            for lang, _name in settings.LANGUAGES
        ]

    @property
    def is_cut(self) -> bool:
        """Return whether the reason is too long for the display."""
        return self.is_bound and self.is_valid() and locks.is_cut(self.reason, self.day)

    @property
    def day(self) -> str:
        """Return the expected return as an ISO date, or an empty string. Requires a valid form."""
        back: date | None = self.cleaned_data["back"]
        return back.isoformat() if back else ""

    @property
    def reason(self) -> str:
        """Return the reason; a predefined one is translated for each reader."""
        why = self.cleaned_data["why"]
        return str(self.cleaned_data["words"]) if why == OWN else REASONS[int(why)]
