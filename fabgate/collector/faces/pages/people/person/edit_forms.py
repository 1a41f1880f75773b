"""Forms that add and edit a person: the desk enters who they are, managers also what they may do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.http import QueryDict
from django.utils.timezone import localtime
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages.forms.day_field import DayField
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.forms.machines_field import MachinesField
from fabgate.collector.faces.pages.people.payers.forms import PersonPayerForm, refuse_payer
from fabgate.collector.faces.pages.people.person import numbers
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Member, Plan, Training
from fabgate.collector.ground.models.people import RESERVED_PREFIXES
from fabgate.collector.members.people import duplicates, names

#: The longest grace period, in days.
MOST_GRACE: Final = 366
#: Fields that give access to machines, and the one that decides who pays: for managers only (docs/decisions/0061).
_MANAGERS: Final = ("level", "machines", "payer")
#: Fields that nobody may change about themselves: membership, and whether they need a supervisor.
_JUDGED: Final = ("valid_until", "grace_days", "category", "minor", "supervised")
#: Fields that are not in the `<details>` of person_form.html.
ALWAYS_SHOWN: Final = frozenset(
    ("id", "name", "email", "lang", "valid_until", "category", "minor", "trainings", NON_FIELD_ERRORS)
)
_LANGS: Final = (("fr", "Français"), ("en", "English"))
_LEVELS: Final = (
    ("user", gettext_lazy("Member")),
    ("supervisor", gettext_lazy("Supervisor: may supervise others on machines that this person may use")),
    ("maintainer", gettext_lazy("Maintainer: may run a machine that was reported dangerous")),
)


class PersonForm(PersonPayerForm):
    """A form for an existing person."""

    class Meta:
        """The fields in the order of the form."""

        model = Member
        fields: tuple[str, ...] = (
            *("name", "email", "lang", "valid_until", "grace_days", "category"),
            *("minor", "supervised", "joined_on", "note", "level", "machines"),
        )
        labels = {
            "name": gettext_lazy("Name"),
            "email": gettext_lazy("E-mail"),
            "lang": gettext_lazy("Language on displays"),
            "valid_until": gettext_lazy("Member until"),
            "grace_days": gettext_lazy("Days of grace after the last day"),
            "category": gettext_lazy("Category"),
            "minor": gettext_lazy("Minor: always needs a supervisor"),
            "supervised": gettext_lazy("Always needs a supervisor, for another reason"),
            "joined_on": gettext_lazy("Member since"),
            "note": gettext_lazy("Note"),
            "level": gettext_lazy("Level"),
            "machines": gettext_lazy("Individual access: machines allowed without training"),
        }
        help_texts = {
            "valid_until": gettext_lazy("The last day of membership. Leave empty for no end."),
            "category": gettext_lazy("How this person is counted in statistics."),
            "note": gettext_lazy("Visible at the desk; not shown at machines."),
        }
        field_classes = {
            **dict.fromkeys(("name", "category"), LineField),
            **dict.fromkeys(("valid_until", "joined_on"), DayField),
        }
        widgets = {
            "lang": forms.Select(choices=_LANGS),
            "note": forms.Textarea({"rows": 2}),
            "machines": forms.CheckboxSelectMultiple,
            "category": forms.TextInput({"list": "categories"}),
        }

    def __init__(self, *args: Any, is_manager: bool, is_own: bool = False, **more: Any) -> None:
        super().__init__(*args, **more)
        self.is_own = is_own
        if is_own:
            for name in _JUDGED:
                self.fields[name].disabled = True
        if not is_manager:
            for name in _MANAGERS:
                del self.fields[name]
        else:
            self.fields["level"].widget = forms.Select(choices=_LEVELS)
            self.fields["machines"] = MachinesField(
                None if self.instance._state.adding else self.instance.machines,  # noqa: SLF001 (Django's name for it)
                label=self.fields["machines"].label,
            )
        self.fields["name"].required = True
        self.categories = Member.objects.exclude(category="").values_list("category", flat=True).distinct()

    @property
    def has_folded_errors(self) -> bool:
        """Return whether a field has an error that is seen only if the `<details>` is open."""
        return bool(self.errors.keys() - ALWAYS_SHOWN)

    def save_typed(self, actor: str) -> None:
        """Save the fields of the form only; others may have changed in the meantime."""
        self.choose_payer(actor)
        columns = {field.name for field in Member._meta.concrete_fields}  # noqa: SLF001 (Django's name for it)
        typed = {name for name in self.cleaned_data if not self.fields[name].disabled}
        self.save(commit=False).save(update_fields=columns & typed)
        self.save_m2m()

    def clean(self) -> dict[str, Any]:
        """Refuse decisions about oneself, and a payer that this role may not choose.

        Browsers do not send disabled or missing fields, so these come from a forged form.
        """
        cleaned = super().clean() or self.cleaned_data
        refuse_payer(self)
        for name in _JUDGED if self.is_own else ():
            if self.add_prefix(name) in self.data:
                self.add_error(name, _("Someone else at the desk must do this for you."))
        return cleaned

    def clean_lang(self) -> str:
        """Refuse a language that displays do not have."""
        lang = str(self.cleaned_data["lang"])
        if lang not in dict(_LANGS):
            raise forms.ValidationError(_("Displays show French or English. Choose one of them."))
        return lang

    def clean_grace_days(self) -> int:
        """Refuse more than a year."""
        days: int = self.cleaned_data["grace_days"]
        if days > MOST_GRACE:
            raise forms.ValidationError(_("Enter at most %(most)d days.") % {"most": MOST_GRACE})
        return days


class NewPersonForm(PersonForm):
    """A form for a new person."""

    #: The typed number, if sessions already have it: the form then asks whether it is the same person.
    named = ""
    #: Members who have the typed name: the form then asks whether it is one of them.
    namesakes: Sequence[Member] = ()
    #: The field of the answer: ``is:`` and the number of a member, or ``not:`` and all their numbers.
    TWIN: Final = "twin"

    class Meta(PersonForm.Meta):
        """With the new person's number."""

        fields = ("id", *PersonForm.Meta.fields)
        labels = {**PersonForm.Meta.labels, "id": gettext_lazy("Number")}
        help_texts = {
            **PersonForm.Meta.help_texts,
            "id": gettext_lazy("The number in your own member list. It cannot be changed later."),
        }

    def __init__(self, *args: Any, is_manager: bool, **more: Any) -> None:
        super().__init__(*args, is_manager=is_manager, **more)
        if is_manager and (trainings := Training.objects.order_by("title", "name")):
            self.fields["trainings"] = forms.ModelMultipleChoiceField(
                trainings,
                label=gettext_lazy("Trainings already completed"),
                help_text=gettext_lazy(
                    "Granted from today, with you as the trainer. For another day or trainer, grant the training"
                    " on the person's page."
                ),
                required=False,
                widget=forms.CheckboxSelectMultiple,
            )
        if plans := Plan.objects.order_by("name"):
            self.fields["plan"] = forms.ModelChoiceField(
                plans,
                label=gettext_lazy("Plan"),
                help_text=gettext_lazy("The plan applies from today."),
                required=False,
                empty_label=gettext_lazy("No plan"),
            )
        self.initial.setdefault("id", numbers.next_id())
        self.initial.setdefault("lang", get_language())  # usually the language of the person at the desk

    def clean_id(self) -> str:
        """Refuse a number that is taken or invalid, and, unless confirmed, one that sessions already have."""
        typed = str(self.cleaned_data["id"]).strip()
        if names.unseen(typed) or typed.startswith(RESERVED_PREFIXES):
            raise forms.ValidationError(_("Use letters and digits, such as m-117."))
        held = Member.objects.filter(pk=typed).first()
        if held is not None:
            raise forms.ValidationError(_("%(name)s already has this number.") % {"name": held.name or held.pk})
        count, last = numbers.sessions_of(typed)
        if last is not None and self.data.get("same") != typed:
            self.named = typed
            text = ngettext(
                "%(n)s session of %(number)s is already recorded, on %(day)s. Is it the same person?",
                "%(n)s sessions of %(number)s are already recorded, the last one on %(day)s. Is it the same person?",
                count,
            )
            day = date_format(localtime(last), "SHORT_DATE_FORMAT")
            raise forms.ValidationError(text % {"n": count, "number": typed, "day": day})
        return typed

    def clean(self) -> dict[str, Any]:
        """Refuse the name of a member, unless it was confirmed that this is another person."""
        cleaned = super().clean()
        self.namesakes = duplicates.of_name(str(cleaned.get("name", "")))
        if self.namesakes and not self.is_another:
            self.add_error("name", _("There is already a person with this name. Is it the same person?"))
        return cleaned

    @property
    def is_another(self) -> bool:
        """Return whether the answer says that this is another person than each namesake."""
        return bool(self.data.get(self.TWIN) == f"not:{self.asked_about}")

    @property
    def answer(self) -> str:
        """Return the number of the member who it is; empty for another answer, or none."""
        kind, _colon, number = str(self.data.get(self.TWIN, "")).partition(":")
        return number if kind == "is" else ""

    @property
    def asked_about(self) -> str:
        """Return the numbers of the namesakes: a confirmation counts for these only."""
        return " ".join(member.pk for member in self.namesakes)

    def add(self, actor: str) -> Member:
        """Store the person. Raises IntegrityError if the number was taken after `clean_id` checked it."""
        member: Member = self.save(commit=False)
        self.choose_payer(actor)
        member.save(force_insert=True)  # so that it never overwrites another person
        self.save_m2m()
        return member

    def chosen_plan(self) -> Plan | None:
        """Return the selected plan."""
        plan: Plan | None = self.cleaned_data.get("plan")
        return plan

    def trained(self) -> list[Training]:
        """Return the selected trainings; none for roles that may not grant trainings."""
        return list(self.cleaned_data.get("trainings", ()))

    def offer_next_number(self) -> None:
        """Add an error that names the new holder of the number, and fill in the next free one."""
        number = str(self.instance.pk)
        held = Member.objects.filter(pk=number).first()
        data = cast("QueryDict", self.data).copy()
        data[self.add_prefix("id")] = numbers.next_id()
        self.data = data
        text = _(
            "%(name)s has just been added with the number %(number)s. If you are adding another person, send the form"
            " again: it now contains the next free number."
        )
        self.add_error("id", text % {"number": number, "name": (held and held.name) or number})
