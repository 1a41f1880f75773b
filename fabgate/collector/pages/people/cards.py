"""Which badge was typed, or typed by a USB reader? And what is known of it: who has it, who had it, where was it refused?

A reader at the desk types digits that can be two cards or more. Where one of them is known here, as somebody's badge
or as one that a gate refused, it is that one; else a person chooses.
"""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate import badge
from fabgate.collector.models import Badge, Refusal
from fabgate.collector.people import display_names
from fabgate.collector.people.badges import Card
from fabgate.collector.people.display_names import Holder
from fabgate.errors import UsageError

_READINGS: Final = {
    "hex": gettext_lazy("hexadecimal"),
    "dec": gettext_lazy("decimal"),
    "dec-reversed": gettext_lazy("decimal, last byte first"),
    "simple": gettext_lazy("decimal with check byte"),
}


def readings(typed: str) -> dict[str, badge.Badge]:
    """Return each badge that was perhaps typed, by a spelling of that one only; nothing for what is no badge."""
    try:
        found = badge.parse(typed)
    except badge.AmbiguousError as error:
        return {spelling: one for spelling, _reading, one in error.readings}
    except UsageError:
        return {}
    return {str(found): found}


def seen(found: dict[str, badge.Badge]) -> dict[str, badge.Badge]:
    """Return those of `found` that somebody has or had, or that were tapped on a gate."""
    by_digest = {Card.spelled(one).digest: spelling for spelling, one in found.items()}
    known = set(Badge.objects.filter(digest__in=by_digest).values_list("digest", flat=True))
    known |= set(Refusal.objects.filter(member="", badge__in=by_digest).values_list("badge", flat=True))
    return {by_digest[digest]: found[by_digest[digest]] for digest in known}


def why_not(typed: str, wanted: str = "") -> str:
    """Return why what was typed is no badge, and what was `wanted`: what a reader types, unless it is said."""
    try:
        badge.parse(typed)
    except badge.RandomUidError:
        return _(
            "This is a phone, or a card that makes up a new number each time. It can never be a badge; use another."
        )
    except UsageError:
        pass
    text = _("“%(typed)s” is no badge. Wanted what a reader types, such as 04A1B2C3D4E5F6 or dec:0077705924.")
    return (wanted or text) % {"typed": typed[:40]}


class CardForm(forms.Form):
    """A form in which a badge is typed. Where that can be several, it asks which one, and only then.

    Of one that was reported lost it says so, and asks whether it was found, unless whoever lost it gets it (`holder`, as
    rosters call them). After it was found valid, `card` is the badge.
    """

    card: Card
    typed = forms.CharField(
        label=gettext_lazy("Badge"),
        max_length=64,
        help_text=gettext_lazy("Hold it on the USB reader, or type what the reader says."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )

    def __init__(self, *args: Any, holder: str = "", **more: Any) -> None:
        super().__init__(*args, **more)
        self._readings = readings(str(self.data.get(self.add_prefix("typed"), ""))) if self.is_bound else {}
        if len(self._readings) > 1 and len(certain := seen(self._readings)) == 1:
            self._readings = certain
        if len(self._readings) > 1:
            self.fields["reading"] = forms.ChoiceField(
                label=_("These digits can be several badges. Which way does your reader write?"),
                choices=[
                    (one, f"{_READINGS[one.partition(':')[0]]} ({self._readings[one]})") for one in self._readings
                ],
                widget=forms.RadioSelect,
                error_messages={
                    "required": _("Choose one. Not sure? Tap the badge on a gate first, then type it again.")
                },
            )
        self._lost = _lost_by_others(self._chosen(), holder)
        if self._lost is not None:
            self.fields["found"] = forms.BooleanField(
                label=_("It was found, and becomes theirs"),
                required=False,
                widget=forms.CheckboxInput({"value": str(self._chosen())}),
            )
        self.order_fields(self.field_order)

    def _chosen(self) -> badge.Badge | None:
        """Return which badge was typed; None while that can be several."""
        if len(self._readings) == 1:
            return next(iter(self._readings.values()))
        return self._readings.get(str(self.data.get(self.add_prefix("reading"), "")))

    def clean_typed(self) -> str:
        """Refuse what is no badge."""
        typed = str(self.cleaned_data["typed"])
        if not self._readings:
            raise forms.ValidationError(why_not(typed, self.wanted()))
        return typed

    def wanted(self) -> str:
        """Return what to say of what is no badge, with “%(typed)s” in its place; empty: what there always is to say."""
        return ""

    def clean(self) -> dict[str, Any]:
        """Keep which badge it is."""
        cleaned = super().clean() or self.cleaned_data
        chosen = self._chosen()
        # Found is the badge of which that was said, and not another one that was typed into its place.
        if self._lost is not None and self.data.get(self.add_prefix("found")) != str(chosen):
            self.add_error("found", self._lost.asked)
        if not self.errors and chosen is not None:
            self.card = Card.spelled(chosen)
        return cleaned


def _lost_by_others(found: badge.Badge | None, holder: str) -> Holder | None:
    """Return by whom a badge was lost that nobody has found, unless by its next `holder`."""
    if found is None:
        return None
    digest = Card.spelled(found).digest
    last = display_names.holding([digest]).get(digest)
    return last if last is not None and last.is_lost and last.who.id != holder else None
