"""What is chosen to lock a machine: why, when, and when is it expected back?"""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from django import forms
from django.conf import settings
from django.utils.functional import lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.machines import locks
from fabgate.collector.pages.name_field import LineField
from fabgate.collector.pages.stale_form import Watched
from fabgate.collector.people.blocks import today
from fabgate.display import LINES, REASONS

#: Over what the display will show, in each language.
_ON_DISPLAY: Final = {"en": gettext_lazy("On the display, in English"), "fr": gettext_lazy("On the display, in French")}
OWN: Final = "own"
IDLE, NOW = "idle", "now"


class LockForm(Watched, forms.Form):
    """A lock. By default it waits for the job that runs; `standing` is the one whose place it takes."""

    standing = forms.CharField(label=gettext_lazy("Locked"), disabled=True, required=False, widget=forms.HiddenInput)

    why = forms.ChoiceField(
        label=gettext_lazy("Why?"),
        widget=forms.RadioSelect,
        choices=[
            *((str(number), lazy(locks.said, str)(reason)) for number, reason in enumerate(REASONS)),
            (OWN, gettext_lazy("In my own words:")),
        ],
        error_messages={"required": gettext_lazy("Choose a reason: members read it at the machine.")},
    )
    words = LineField(
        label=gettext_lazy("My own words"),
        required=False,
        max_length=locks.MAX_REASON,
        help_text=gettext_lazy(
            "The display beside the machine has room for about 40 letters; for 20 if a day is given."
        ),
    )
    when = forms.ChoiceField(
        label=gettext_lazy("When?"),
        widget=forms.RadioSelect,
        initial=IDLE,
        choices=[
            (IDLE, gettext_lazy("When it is idle: whoever uses it may finish")),
            (NOW, gettext_lazy("At once: the power goes off now, whatever it does")),
        ],
    )
    back = forms.DateField(
        label=gettext_lazy("Expected back (if you know)"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        input_formats=["%Y-%m-%d"],
        error_messages={"invalid": gettext_lazy("Write the day as year-month-day, such as 2027-03-01.")},
    )

    def clean_back(self) -> date | None:
        """Refuse a day that is past."""
        back: date | None = self.cleaned_data["back"]
        if back is not None and back < today():
            raise forms.ValidationError(_("That day is past. Choose today or a later one, or leave it empty."))
        return back

    def clean(self) -> dict[str, Any]:
        """Take the words where somebody chose to write their own."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("why") == OWN and "words" in cleaned and not cleaned["words"]:
            self.add_error("words", _("Say why: members read it at the machine."))
        return cleaned

    def shown(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return what the display will show, in each language, and what that is called; empty lines for what is not right yet."""
        is_known = self.is_bound and self.is_valid()
        empty = ("",) * LINES
        return [
            (str(_ON_DISPLAY[lang]), (*(locks.shown(self.reason, self.day, lang) if is_known else ()), *empty)[:LINES])
            for lang, _name in settings.LANGUAGES
        ]

    @property
    def is_cut(self) -> bool:
        """Whether the display has no room for all of the reason."""
        return self.is_bound and self.is_valid() and locks.is_cut(self.reason, self.day)

    @property
    def day(self) -> str:
        """Return when it is expected back, as a lock keeps it; of a form that is right."""
        back: date | None = self.cleaned_data["back"]
        return back.isoformat() if back else ""

    @property
    def reason(self) -> str:
        """Return what members will read, each in their language where it is one of ours."""
        why = self.cleaned_data["why"]
        return str(self.cleaned_data["words"]) if why == OWN else REASONS[int(why)]
