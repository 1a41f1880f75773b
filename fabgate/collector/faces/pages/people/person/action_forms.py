"""The forms on a person's page: granting a training, blocking, assigning and lending a badge."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from fabgate.collector.faces.pages.forms.day_field import DayField
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.people.badges import card_form
from fabgate.collector.faces.pages.words import people_labels
from fabgate.collector.ground.models import Account, Badge, Grant, Member, Plan, Training
from fabgate.collector.members.people import badges, blocks, trainers
from fabgate.collector.members.people.badges import Card
from fabgate.collector.money.billing import member_plans
from fabgate.errors import UsageError

LONGEST_LOAN: Final = timedelta(days=366)


class GrantForm(forms.Form):
    """A grant of a training: from when, to which stage, by which trainer."""

    training = forms.ModelChoiceField(
        Training.objects.order_by("title", "name"),
        label=gettext_lazy("Training"),
        empty_label=gettext_lazy("Choose…"),
        error_messages={
            "invalid_choice": gettext_lazy("You may not grant this training, or it no longer exists. Choose another.")
        },
    )
    stage = forms.ChoiceField(label=gettext_lazy("Stage"), initial=Grant.AUTONOMOUS)
    since = DayField(label=gettext_lazy("Since"))
    until = DayField(
        label=pgettext_lazy("day", "Until"),
        required=False,
        help_text=gettext_lazy("Leave empty to use the validity that is set for the training."),
    )
    trainer = LineField(
        label=gettext_lazy("Trainer"),
        max_length=200,
        help_text=gettext_lazy("A member's number or name, or the name of someone who has an account."),
    )

    def __init__(self, *args: Any, account: Account, member: Member | None = None, **more: Any) -> None:
        """Offer what `account` may grant, with its owner as the trainer."""
        more.setdefault("initial", {"since": blocks.today(), "trainer": str(account)})
        super().__init__(*args, **more)
        self._member = member
        self._account = account
        self.trained = trainers.trained_by(account).order_by("title", "name")
        training = self.fields["training"]
        assert isinstance(training, forms.ModelChoiceField)
        training.queryset = self.trained
        is_refused = self.data.get(self.add_prefix("stage")) == Grant.INSTRUCTOR
        choices = [
            (stage, people_labels.STAGES[stage][1])
            for stage in people_labels.STAGES
            if stage in trainers.stages_of(account)
        ]
        self.fields["stage"] = forms.ChoiceField(
            label=self.fields["stage"].label,
            choices=choices,
            initial=Grant.AUTONOMOUS,
            error_messages={"invalid_choice": trainers.only_managers()} if is_refused else None,
        )

    @property
    def is_lowering_meant(self) -> bool:
        """Return whether lowering the stage was confirmed. Requires a valid form."""
        return self.data.get(self.add_prefix("lower")) == self._lowering

    @property
    def _lowering(self) -> str:
        """Return the value of the confirmation, which names one training and stage and counts for no other."""
        return f"{self.cleaned_data['training'].pk}-{self.cleaned_data['stage']}"

    def ask_to_lower(self, held: Grant) -> None:
        """Add a checkbox for lowering the stage `held`. Requires a valid form."""
        self.fields["lower"] = forms.BooleanField(
            label=_("Yes, lower the stage"), required=False, widget=forms.CheckboxInput({"value": self._lowering})
        )
        text = _("This person already has a higher stage: %(stage)s, %(until)s. Nothing has changed yet.")
        until = _("until %(day)s") % {"day": people_labels.day(held.last_day)} if held.last_day else _("no end")
        self.add_error("lower", text % {"stage": people_labels.stage(held.stage).word, "until": until})

    @property
    def has_trainings(self) -> bool:
        """Return whether there is a training to choose."""
        return self.trained.exists()

    @property
    def has_others(self) -> bool:
        """Return whether there are trainings, but none that the account may grant."""
        return not self.has_trainings and Training.objects.exists()

    def clean_since(self) -> date:
        """Refuse a day after the person left, or one further back than the account may choose."""
        since: date = self.cleaned_data["since"]
        if since < trainers.earliest_day(self._account, blocks.today()):
            raise forms.ValidationError(trainers.too_far_back())
        if self._member is not None and self._member.left_on is not None and self._member.left_on <= since:
            text = _("%(name)s left on %(day)s. Readmit them first.")
            raise forms.ValidationError(
                text % {"name": self._member.name or self._member.pk, "day": people_labels.day(self._member.left_on)}
            )
        return since

    def clean_trainer(self) -> str:
        """Refuse a name that is neither a member nor an account."""
        try:
            return trainers.stored_name(str(self.cleaned_data["trainer"]))
        except UsageError as error:
            raise forms.ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        """Refuse an end before the start."""
        cleaned = super().clean() or self.cleaned_data
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and until < since:
            self.add_error("until", _("The end is before the start. Choose a later day, or none."))
        return cleaned


class PlanForm(forms.Form):
    """A plan, and the day from which a person has it."""

    plan = forms.ModelChoiceField(
        Plan.objects.order_by("name"),
        label=gettext_lazy("Plan"),
        required=False,
        empty_label=gettext_lazy("No plan"),
        error_messages={"invalid_choice": gettext_lazy("This plan no longer exists. Choose another.")},
    )
    since = DayField(label=gettext_lazy("From"))

    def __init__(self, *args: Any, account: Account, **more: Any) -> None:
        """Allow managers a day in the past; sessions since then are priced again, until their month is closed."""
        more.setdefault("initial", {"since": blocks.today()})
        super().__init__(*args, **more)
        self._is_manager = account.role == Account.MANAGER

    def clean_since(self) -> date:
        """Refuse a day that is too far away."""
        since: date = self.cleaned_data["since"]
        if since < blocks.today() and not self._is_manager:
            raise forms.ValidationError(_("Only a manager may change a plan for days that have passed."))
        try:
            member_plans.check_day(since, blocks.today())
        except UsageError:
            raise forms.ValidationError(_("Choose a day within the next year.")) from None
        return since


class ReasonForm(forms.Form):
    """A reason that a reader understands a year later."""

    reason = forms.CharField(label=gettext_lazy("Why?"), max_length=200)


class BlockForm(forms.Form):
    """The reason for a block, and its end."""

    reason = forms.ChoiceField(
        label=gettext_lazy("Why?"), choices=[("", gettext_lazy("Choose…")), *people_labels.BLOCKS.items()]
    )
    until = DayField(
        label=pgettext_lazy("day", "Until"),
        required=False,
        help_text=gettext_lazy("Access returns on this day. Leave empty to block until someone lifts the block."),
    )

    def clean_until(self) -> date | None:
        """Refuse a block that would already be over."""
        until: date | None = self.cleaned_data["until"]
        if until is not None and until <= blocks.today():
            raise forms.ValidationError(_("The block must end after today. Choose a later day, or none."))
        return until


def _number() -> forms.CharField:
    return LineField(
        label=gettext_lazy("Printed number"),
        max_length=40,
        required=False,
        widget=forms.TextInput({"autocomplete": "off"}),
    )


class GiveForm(card_form.CardForm):
    """A badge to assign to a person or a group."""

    number = _number()
    field_order = ("typed", "reading", "found", "number")


class FirstBadgeForm(GiveForm):
    """An optional badge for a new person."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["typed"].required = False
        self.fields["typed"].help_text = _(
            "Hold the badge on the USB reader, or type the number that the reader shows. Leave empty to assign a"
            " badge later."
        )

    @property
    def first(self) -> Card | None:
        """Return the badge of a valid form; None if the field was empty."""
        return getattr(self, "card", None)

    def clean_typed(self) -> str:
        """Accept an empty field."""
        return super().clean_typed() if self.cleaned_data["typed"] else ""

    def clean(self) -> dict[str, Any]:
        """Refuse a printed number without a badge."""
        cleaned = super().clean()
        if cleaned.get("number") and not self.errors and self.first is None:
            self.add_error(
                "typed", _("A printed number alone does not identify a badge: hold the badge on the reader, too.")
            )
        return cleaned


class LendForm(card_form.CardForm):
    """A badge to lend. A badge that was lent before needs only its printed number."""

    number = _number()
    until = DayField(label=gettext_lazy("Until the evening of"), help_text=gettext_lazy("The loan ends automatically."))
    field_order = ("typed", "reading", "found", "number", "until")

    def __init__(self, *args: Any, **more: Any) -> None:
        more.setdefault("initial", {"until": blocks.today()})
        super().__init__(*args, **more)
        self.fields["typed"].label = _("Loan badge")
        self.fields["typed"].help_text = _("Type the badge's printed number, or hold the badge on the USB reader.")
        self.fields["number"].help_text = _("Needed only the first time the badge is lent.")
        self.fields["typed"].widget.attrs["list"] = "loans"
        self.loans = badges.available_loans()
        typed = str(self.data.get(self.add_prefix("typed"), "")).strip() if self.is_bound else ""
        self._numbered = self.loans.get(typed)
        if self._numbered is not None:
            self.fields.pop("reading", None)
            self.fields.pop("found", None)
            self._lost = None

    def clean_typed(self) -> str:
        """Accept the printed number of a loan badge; refuse one that is lent now."""
        typed = str(self.cleaned_data["typed"]).strip()
        if self._numbered is not None:
            return typed
        bearer = badges.with_number(typed)
        if bearer is not None and (out := bearer.carried()) is not None:
            raise forms.ValidationError(taken(out))
        return super().clean_typed()

    def not_a_badge_text(self) -> str:
        """Return the error for a printed number that belongs to no loan badge."""
        return _(
            "No available loan badge has the number “%(typed)s”. The first time you lend a badge, click in this"
            " field, hold the badge on the USB reader, and enter its printed number in the next field."
        )

    def clean_until(self) -> date:
        """Refuse a day that has passed, or that is too far ahead."""
        until: date = self.cleaned_data["until"]
        if until < blocks.today():
            raise forms.ValidationError(_("This day has passed. Choose today or a later day."))
        if until > blocks.today() + LONGEST_LOAN:
            raise forms.ValidationError(_("A loan lasts a year at most. Assign the badge to this person instead."))
        return until

    def clean(self) -> dict[str, Any]:
        """Set `card`."""
        cleaned = super().clean() or self.cleaned_data
        if self._numbered is not None:
            self.card = self._numbered
        return cleaned


def not_free(error: badges.Taken) -> str:
    """Return the error for a badge that cannot be assigned."""
    return str(error) if isinstance(error, badges.Shared) else taken(error.row)


def taken(row: Badge) -> str:
    """Return the error for a badge that is already assigned."""
    who = (row.member.name or row.member.pk) if row.member else str(row.group)
    text = _(
        "%(name)s has had this badge, or one with this number, since %(day)s. Remove that badge on the person's"
        " page first."
    )
    return text % {"name": who, "day": people_labels.day(row.since)}
