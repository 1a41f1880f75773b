"""What is written down of a person, by whom? The desk writes who somebody is; a manager also what they may do."""

from __future__ import annotations

from typing import Any, Final, cast

from django import forms
from django.http import QueryDict
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _

from fabgate import wire
from fabgate.collector.models import Member, Training
from fabgate.collector.pages.machines_field import MachinesField
from fabgate.collector.pages.name_field import LineField
from fabgate.collector.pages.people import numbers
from fabgate.collector.pages.people.desk_forms import DayField
from fabgate.collector.pages.people.payer_forms import PersonPayerForm, refuse_payer
from fabgate.collector.people import names

#: Days.
MOST_GRACE: Final = 366
#: Fields that open machines by themselves, and the one that moves bills (docs/decisions/0061).
_MANAGERS: Final = ("level", "machines", "payer")
#: How long somebody is a member, what they pay, and whether they need anybody beside them: what others decide of them.
_JUDGED: Final = ("valid_until", "grace_days", "category", "plan", "minor", "supervised")
_LANGS: Final = (("fr", "Français"), ("en", "English"))
_LEVELS: Final = (
    ("user", gettext_lazy("Member")),
    ("supervisor", gettext_lazy("Supervisor: may stand beside others, on every machine of theirs")),
    ("maintainer", gettext_lazy("Maintainer: may run a machine that was reported dangerous")),
)


class PersonForm(PersonPayerForm):
    """A person who is there already."""

    class Meta:
        """In the order in which a desk asks."""

        model = Member
        fields: tuple[str, ...] = (
            *("name", "email", "lang", "valid_until", "grace_days", "category", "plan", "payer"),
            *("minor", "supervised", "joined_on", "note", "level", "machines"),
        )
        labels = {
            "name": gettext_lazy("Name"),
            "email": gettext_lazy("E-mail"),
            "lang": gettext_lazy("Language at the machines"),
            "valid_until": gettext_lazy("Member until"),
            "grace_days": gettext_lazy("Days of grace after that"),
            "category": gettext_lazy("Category"),
            "plan": gettext_lazy("Plan"),
            "minor": gettext_lazy("Minor: always needs a supervisor"),
            "supervised": gettext_lazy("Always needs a supervisor, for another reason"),
            "joined_on": gettext_lazy("Member since"),
            "note": gettext_lazy("Note"),
            "level": gettext_lazy("What they may do"),
            "machines": gettext_lazy("Machines open by hand, whatever trainings say"),
        }
        help_texts = {
            "valid_until": gettext_lazy("The last day. Empty: no end."),
            "category": gettext_lazy("What the statistics count them as."),
            "note": gettext_lazy("Whoever is at the desk reads it; the machines do not."),
        }
        field_classes = {
            **dict.fromkeys(("name", "category", "plan"), LineField),
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

    def save_typed(self) -> None:
        """Save what the form asks for and nothing else: who has left, or got another level, meanwhile still has."""
        columns = {field.name for field in Member._meta.concrete_fields}  # noqa: SLF001 (Django's name for it)
        typed = {name for name in self.cleaned_data if not self.fields[name].disabled}
        self.save(commit=False).save(update_fields=columns & typed)
        self.save_m2m()

    def clean(self) -> dict[str, Any]:
        """Refuse what somebody would decide about themselves, and a payer that is not theirs to choose.

        No browser sends a field that is greyed out, or not there.
        """
        cleaned = super().clean() or self.cleaned_data
        refuse_payer(self)
        for name in _JUDGED if self.is_own else ():
            if self.add_prefix(name) in self.data:
                self.add_error(name, _("Someone else at the desk must do this for you."))
        return cleaned

    def clean_lang(self) -> str:
        """Take a language that displays speak."""
        lang = str(self.cleaned_data["lang"])
        if lang not in dict(_LANGS):
            raise forms.ValidationError(_("The machines speak French and English."))
        return lang

    def clean_grace_days(self) -> int:
        """Refuse more than a year, which is no grace any more."""
        days: int = self.cleaned_data["grace_days"]
        if days > MOST_GRACE:
            raise forms.ValidationError(_("Choose at most %(most)d days.") % {"most": MOST_GRACE})
        return days


class NewPersonForm(PersonForm):
    """A person who is not there yet."""

    #: The number that was typed, where sessions name it: these become the new person's, if it is the same person.
    named = ""

    class Meta(PersonForm.Meta):
        """With the number that they will have."""

        fields = ("id", *PersonForm.Meta.fields)
        labels = {**PersonForm.Meta.labels, "id": gettext_lazy("Number")}
        help_texts = {
            **PersonForm.Meta.help_texts,
            "id": gettext_lazy("How your own member list calls them. It cannot be changed later."),
        }

    def __init__(self, *args: Any, is_manager: bool, **more: Any) -> None:
        super().__init__(*args, is_manager=is_manager, **more)
        if is_manager and (trainings := Training.objects.order_by("title", "name")):
            self.fields["trainings"] = forms.ModelMultipleChoiceField(
                trainings,
                label=gettext_lazy("Trainings that they have"),
                help_text=gettext_lazy(
                    "From today on, with you as the trainer. Another day or trainer: grant it on their page instead."
                ),
                required=False,
                widget=forms.CheckboxSelectMultiple,
            )
        self.initial.setdefault("id", numbers.next_id())
        self.initial.setdefault("lang", get_language())  # of who writes them down: most often it is theirs too

    def clean_id(self) -> str:
        """Refuse a number that somebody has, what no number can be, and unasked one that sessions name already."""
        typed = str(self.cleaned_data["id"]).strip()
        if names.unseen(typed) or typed.startswith((wire.GROUP_PREFIX, "emergency:")):
            raise forms.ValidationError(_("Use letters and digits, such as m-117."))
        held = Member.objects.filter(pk=typed).first()
        if held is not None:
            raise forms.ValidationError(_("%(name)s has this number.") % {"name": held.name or held.pk})
        count, last = numbers.sessions_of(typed)
        if last is not None and self.data.get("same") != typed:
            self.named = typed
            text = ngettext(
                "%(n)s session of %(number)s is here already, of %(day)s. Is it the same person?",
                "%(n)s sessions of %(number)s are here already, the last one of %(day)s. Is it the same person?",
                count,
            )
            day = date_format(localtime(last), "SHORT_DATE_FORMAT")
            raise forms.ValidationError(text % {"n": count, "number": typed, "day": day})
        return typed

    def add(self) -> Member:
        """Write the person down. Raises IntegrityError where somebody has got the number since `clean_id` looked."""
        member: Member = self.save(commit=False)
        member.save(force_insert=True)  # never over somebody else
        self.save_m2m()
        return member

    def trained(self) -> list[Training]:
        """Return the trainings that are ticked; to whoever grants none, none are offered."""
        return list(self.cleaned_data.get("trainings", ()))

    def give_way(self) -> None:
        """Say who has got the number meanwhile, and put the next free one into its place."""
        number = str(self.instance.pk)
        held = Member.objects.filter(pk=number).first()
        data = cast("QueryDict", self.data).copy()
        data[self.add_prefix("id")] = numbers.next_id()
        self.data = data
        text = _(
            "Somebody has just been written down under %(number)s: %(name)s. If that is somebody else, send this once"
            " more: the next free number stands here now."
        )
        self.add_error("id", text % {"number": number, "name": (held and held.name) or number})
