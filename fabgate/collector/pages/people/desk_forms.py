"""What is typed on a person's page: a training, a block, a badge?"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.models import Account, Badge, Grant, Member, Training
from fabgate.collector.pages.name_field import LineField
from fabgate.collector.pages.people import cards, words
from fabgate.collector.people import badges, blocks, trainers
from fabgate.collector.people.badges import Card
from fabgate.errors import UsageError

LONGEST_LOAN: Final = timedelta(days=366)


class DayField(forms.DateField):
    """A day as browsers send it, 2027-03-01. 01/03/2027 is a day in March or in January, and never guessed."""

    widget = forms.DateInput({"type": "date"}, format="%Y-%m-%d")

    def __init__(self, **more: Any) -> None:
        super().__init__(input_formats=["%Y-%m-%d"], **more)


class GrantForm(forms.Form):
    """A training that a person has from a day on, and how far they have come in it."""

    training = forms.ModelChoiceField(
        Training.objects.order_by("title", "name"),
        label=gettext_lazy("Training"),
        empty_label=gettext_lazy("Choose…"),
        error_messages={
            "invalid_choice": gettext_lazy("You may not grant this training, or it is gone. Choose another.")
        },
    )
    stage = forms.ChoiceField(label=gettext_lazy("From now on"), initial=Grant.AUTONOMOUS)
    since = DayField(label=gettext_lazy("Since"))
    until = DayField(
        label=gettext_lazy("Until"),
        required=False,
        help_text=gettext_lazy("Empty: as long as the training lasts."),
    )
    trainer = LineField(
        label=gettext_lazy("Trainer"),
        max_length=200,
        help_text=gettext_lazy("A member by number or name, or somebody who signs in here."),
    )

    def __init__(self, *args: Any, account: Account, member: Member | None = None, **more: Any) -> None:
        """`account` is who grants it: the form offers what they may grant, and names them as the trainer."""
        more.setdefault("initial", {"since": blocks.today(), "trainer": str(account)})
        super().__init__(*args, **more)
        self._member = member
        self._account = account
        self.trained = trainers.trained_by(account).order_by("title", "name")
        training = self.fields["training"]
        assert isinstance(training, forms.ModelChoiceField)
        training.queryset = self.trained
        is_refused = self.data.get(self.add_prefix("stage")) == Grant.INSTRUCTOR
        choices = [(stage, words.STAGES[stage][1]) for stage in words.STAGES if stage in trainers.stages_of(account)]
        self.fields["stage"] = forms.ChoiceField(
            label=self.fields["stage"].label,
            choices=choices,
            initial=Grant.AUTONOMOUS,
            error_messages={"invalid_choice": trainers.only_managers()} if is_refused else None,
        )

    @property
    def is_lowering_meant(self) -> bool:
        """Whether a valid form says that this stage of this training is meant, although the person holds more."""
        return self.data.get(self.add_prefix("lower")) == self._lowering

    @property
    def _lowering(self) -> str:
        """Return what the tick confirms: it counts for no other training and no other stage."""
        return f"{self.cleaned_data['training'].pk}-{self.cleaned_data['stage']}"

    def ask_to_lower(self, held: Grant) -> None:
        """Show a valid form again, with a tick that confirms that less than what is `held` is meant."""
        self.fields["lower"] = forms.BooleanField(
            label=_("Yes, lower it"), required=False, widget=forms.CheckboxInput({"value": self._lowering})
        )
        text = _("They hold it already: %(stage)s, %(until)s. This would leave them less. Nothing is done yet.")
        until = _("until %(day)s") % {"day": words.day(held.last_day)} if held.last_day else _("no end")
        self.add_error("lower", text % {"stage": words.stage(held.stage).word, "until": until})

    @property
    def has_trainings(self) -> bool:
        """Whether there is any to choose."""
        return self.trained.exists()

    @property
    def has_others(self) -> bool:
        """Whether there are trainings, of which others are the trainers."""
        return not self.has_trainings and Training.objects.exists()

    def clean_since(self) -> date:
        """Refuse a day on which the person has left, and one that only a manager may choose."""
        since: date = self.cleaned_data["since"]
        if since < trainers.earliest(self._account, blocks.today()):
            raise forms.ValidationError(trainers.too_far_back())
        if self._member is not None and self._member.left_on is not None and self._member.left_on <= since:
            text = _("%(name)s left on %(day)s. Let them in again first.")
            raise forms.ValidationError(
                text % {"name": self._member.name or self._member.pk, "day": words.day(self._member.left_on)}
            )
        return since

    def clean_trainer(self) -> str:
        """Refuse who is not on record."""
        try:
            return trainers.named(str(self.cleaned_data["trainer"]))
        except UsageError as error:
            raise forms.ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        """Refuse an end before the beginning."""
        cleaned = super().clean() or self.cleaned_data
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and until < since:
            self.add_error("until", _("It would be over before it begins. Choose a later day, or none."))
        return cleaned


class ReasonForm(forms.Form):
    """Why something is taken back: whoever reads it in a year must understand it."""

    reason = forms.CharField(label=gettext_lazy("Why?"), max_length=200)


class BlockForm(forms.Form):
    """Why a person may use no machine, and until when."""

    reason = forms.ChoiceField(
        label=gettext_lazy("Why?"), choices=[("", gettext_lazy("Choose…")), *words.BLOCKS.items()]
    )
    until = DayField(
        label=gettext_lazy("Until"),
        required=False,
        help_text=gettext_lazy("On that day they may come again. Empty: until somebody lifts it."),
    )

    def clean_until(self) -> date | None:
        """Refuse a day on which the block would be over already."""
        until: date | None = self.cleaned_data["until"]
        if until is not None and until <= blocks.today():
            raise forms.ValidationError(_("On that day the block is over already. Choose a later day, or none."))
        return until


def _number() -> forms.CharField:
    return LineField(
        label=gettext_lazy("Number printed on it"),
        max_length=40,
        required=False,
        widget=forms.TextInput({"autocomplete": "off"}),
    )


class GiveForm(cards.CardForm):
    """A badge that becomes a person's own, or a group's."""

    number = _number()
    field_order = ("typed", "reading", "found", "number")


class FirstBadgeForm(GiveForm):
    """The badge of whoever is written down, if there is one at hand."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["typed"].required = False
        self.fields["typed"].help_text = _(
            "Hold it on the USB reader, or type what the reader says. Empty: they get one later."
        )

    @property
    def first(self) -> Card | None:
        """Return the badge, of a valid form; None where there is none."""
        return getattr(self, "card", None)

    def clean_typed(self) -> str:
        """Take none, too."""
        return super().clean_typed() if self.cleaned_data["typed"] else ""

    def clean(self) -> dict[str, Any]:
        """Refuse a number that would be of no badge."""
        cleaned = super().clean()
        if cleaned.get("number") and not self.errors and self.first is None:
            self.add_error("typed", _("A printed number alone is no badge: hold the badge on the reader, too."))
        return cleaned


class LendForm(cards.CardForm):
    """A badge that is lent: known by its printed number once it was lent before."""

    number = _number()
    until = DayField(label=gettext_lazy("Until the evening of"), help_text=gettext_lazy("It ends by itself."))
    field_order = ("typed", "reading", "found", "number", "until")

    def __init__(self, *args: Any, **more: Any) -> None:
        more.setdefault("initial", {"until": blocks.today()})
        super().__init__(*args, **more)
        self.fields["typed"].label = _("Loan badge")
        self.fields["typed"].help_text = _("Its printed number, or hold it on the USB reader.")
        self.fields["number"].help_text = _("Only the first time it is lent.")
        self.fields["typed"].widget.attrs["list"] = "loans"
        self.loans = badges.loans_at_hand()
        typed = str(self.data.get(self.add_prefix("typed"), "")).strip() if self.is_bound else ""
        self._numbered = self.loans.get(typed)
        if self._numbered is not None:
            self.fields.pop("reading", None)
            self.fields.pop("found", None)
            self._lost = None

    def clean_typed(self) -> str:
        """Take a number that was lent before for its badge; say so where it is lent now."""
        typed = str(self.cleaned_data["typed"]).strip()
        if self._numbered is not None:
            return typed
        bearer = badges.bearing(typed)
        if bearer is not None and (out := bearer.carried()) is not None:
            raise forms.ValidationError(taken(out))
        return super().clean_typed()

    def wanted(self) -> str:
        """Return that a number alone is known only of a badge that was lent before."""
        return _(
            "No loan badge at hand has the number “%(typed)s”. The first time that it is lent, hold it on the USB reader"
            " in this field, and write its number into the next one."
        )

    def clean_until(self) -> date:
        """Refuse an evening that is past."""
        until: date = self.cleaned_data["until"]
        if until < blocks.today():
            raise forms.ValidationError(_("That evening is past. Choose today or a later day."))
        if until > blocks.today() + LONGEST_LOAN:
            raise forms.ValidationError(_("That is more than a year ahead. Give the badge to them instead."))
        return until

    def clean(self) -> dict[str, Any]:
        """Keep which badge it is."""
        cleaned = super().clean() or self.cleaned_data
        if self._numbered is not None:
            self.card = self._numbered
        return cleaned


def taken(row: Badge) -> str:
    """Return that a badge is in somebody's hands, and whose."""
    who = (row.member.name or row.member.pk) if row.member else str(row.group)
    text = _("%(name)s has this badge, or one with this number, since %(day)s. End that first on their page.")
    return text % {"name": who, "day": words.day(row.since)}
