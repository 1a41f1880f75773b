"""A form for a badge that is typed, by a person or by a USB reader.

A USB reader types digits that can be read as several cards. If just one of them is known here, as an assigned badge or
as one that a gate refused, that one is meant; else the person chooses.
"""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate import badge
from fabgate.collector.ground.models import Badge, BadgeForm, Refusal
from fabgate.collector.members.people import display_names
from fabgate.collector.members.people.badges import Card
from fabgate.collector.members.people.display_names import Holder
from fabgate.errors import UsageError

_READINGS: Final = {
    "hex": gettext_lazy("hexadecimal"),
    "dec": gettext_lazy("decimal"),
    "dec-reversed": gettext_lazy("decimal, last byte first"),
    "simple": gettext_lazy("decimal with check byte"),
    "em-hex": gettext_lazy("hexadecimal of a 125 kHz badge"),
    "number10": gettext_lazy("shortened to ten digits"),
    "number10-reversed": gettext_lazy("shortened to ten digits, last byte first"),
    "number8": gettext_lazy("shortened to eight digits"),
    "number8-reversed": gettext_lazy("shortened to eight digits, last byte first"),
}


def readings(typed: str) -> dict[str, badge.Badge]:
    """Return the badges that a text may mean, by their unambiguous spellings; empty if it is not a badge."""
    try:
        found = badge.parse(typed)
    except badge.AmbiguousError as error:
        return {spelling: one for spelling, _reading, one in error.readings}
    except UsageError:
        return {}
    return {str(found): found}


def known_here(found: dict[str, badge.Badge]) -> dict[str, badge.Badge]:
    """Return those of `found` that are or were assigned, if only in a short form, or that a gate refused."""
    by_digest = {Card.spelled(one).digest: spelling for spelling, one in found.items()}
    known = set(Badge.objects.filter(digest__in=by_digest).values_list("digest", flat=True))
    known |= set(BadgeForm.objects.filter(digest__in=by_digest).values_list("digest", flat=True))
    known |= set(Refusal.objects.filter(member="", badge__in=by_digest).values_list("badge", flat=True))
    return {by_digest[digest]: found[by_digest[digest]] for digest in known}


def not_a_badge(typed: str, wanted: str = "") -> str:
    """Return the error for text that is not a badge; `wanted` replaces the usual text, with “%(typed)s” for what was typed."""
    try:
        badge.parse(typed)
    except badge.RandomUidError:
        return _(
            "This is a phone, or a card that sends a new number each time. It cannot be used as a badge; use another."
        )
    except UsageError:
        pass
    text = wanted or _(
        "“%(typed)s” is not a badge. Enter what a reader types, such as 04A1B2C3D4E5F6 or dec:0077705924."
    )
    if example := badge.example(typed):
        text = _("“%(typed)s” is not a badge. Enter all its digits, as in %(example)s.")
    return text % {"typed": typed[:40], "example": example}


class CardForm(forms.Form):
    """A form in which a badge is typed. It asks which one is meant if there are several possibilities.

    If the badge was reported lost, it asks whether it was found, unless `holder` (an id as in rosters) is the person
    who lost it. `card` is the badge once the form is valid.
    """

    card: Card
    typed = forms.CharField(
        label=gettext_lazy("Badge"),
        max_length=64,
        help_text=gettext_lazy("Hold the badge on the USB reader, or type the number that the reader shows."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )

    def __init__(self, *args: Any, holder: str = "", **more: Any) -> None:
        super().__init__(*args, **more)
        self._readings = readings(str(self.data.get(self.add_prefix("typed"), ""))) if self.is_bound else {}
        if len(self._readings) > 1 and len(certain := known_here(self._readings)) == 1:
            self._readings = certain
        if len(self._readings) > 1:
            self.fields["reading"] = forms.ChoiceField(
                label=_("These digits can stand for different badges. Which format does your reader use?"),
                choices=[
                    (one, f"{_READINGS[one.partition(':')[0]]} ({self._readings[one]})") for one in self._readings
                ],
                widget=forms.RadioSelect,
                error_messages={
                    "required": _(
                        "Choose a format. Not sure? Tap the badge on a gate first, then type its number here again."
                    )
                },
            )
        self._lost = _lost_by_others(self._chosen(), holder)
        if self._lost is not None:
            self.fields["found"] = forms.BooleanField(
                label=_("The badge was found; assign it to this person"),
                required=False,
                widget=forms.CheckboxInput({"value": str(self._chosen())}),
            )
        self.order_fields(self.field_order)

    def _chosen(self) -> badge.Badge | None:
        """Return the badge that was typed; None while several are possible."""
        if len(self._readings) == 1:
            return next(iter(self._readings.values()))
        return self._readings.get(str(self.data.get(self.add_prefix("reading"), "")))

    def clean_typed(self) -> str:
        """Refuse text that is not a badge."""
        typed = str(self.cleaned_data["typed"])
        if not self._readings:
            raise forms.ValidationError(not_a_badge(typed, self.not_a_badge_text()))
        return typed

    def not_a_badge_text(self) -> str:
        """Return this form's own error for text that is not a badge, with “%(typed)s”; empty for the usual error."""
        return ""

    def clean(self) -> dict[str, Any]:
        """Set `card`."""
        cleaned = super().clean() or self.cleaned_data
        chosen = self._chosen()
        # "Found" was ticked for one badge, and must not count for another one that was typed instead.
        if self._lost is not None and self.data.get(self.add_prefix("found")) != str(chosen):
            self.add_error("found", self._lost.asked)
        if not self.errors and chosen is not None:
            self.card = Card.spelled(chosen)
        return cleaned


def _lost_by_others(found: badge.Badge | None, holder: str) -> Holder | None:
    """Return the person who lost this badge; None if it was not lost, or if that person is `holder`."""
    if found is None:
        return None
    digest = Card.spelled(found).digest
    last = display_names.last_holders([digest]).get(digest)
    return last if last is not None and last.is_lost and last.who.id != holder else None
