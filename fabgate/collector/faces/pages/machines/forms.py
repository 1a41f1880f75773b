"""Forms for machines: title and category, rules, trainings, gates.

Rules are validated by the same code as in a gate (wire.machine_mistakes), so that no gate refuses a saved rule. Forms
use minutes where a roster has seconds (pages/forms/duration_field.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate import wire
from fabgate.collector.faces.pages.forms import duration_field
from fabgate.collector.faces.pages.forms.day_field import MomentField
from fabgate.collector.faces.pages.forms.duration_field import DurationField
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.forms.stale_form import StaleCheck
from fabgate.collector.faces.pages.words import durations, machine_rules
from fabgate.collector.ground.models import Gate, Machine, Training
from fabgate.collector.members.machines import presets
from fabgate.collector.members.machines.enrol_gate import RESERVED_MACHINES
from fabgate.errors import UsageError

#: Errors for rules that wire.machine_mistakes refuses.
_WRONG: Final[Mapping[str, Any]] = {
    "max_s": gettext_lazy("Must be at least the time limit, and at most 31 days."),
    "limit_s": gettext_lazy("Enter more than 0 and at most 31 days: power always has a limit."),
    "idle_off_s": gettext_lazy(
        "Enter more than 0 and at most 31 days, or leave the field empty to never switch off when idle."
    ),
    "finish_max_s": gettext_lazy("Must be 0 or more, and at most 31 days."),
}

_WITHOUT_GRACE: Final = gettext_lazy(
    "Must be 1 or more: people who need a supervisor must remove their card so that the supervisor can tap."
)


class AboutForm(StaleCheck, forms.Form):
    """A machine's title, category and note."""

    title = LineField(label=gettext_lazy("Title"), max_length=120, required=False)
    category = LineField(
        label=gettext_lazy("Category"),
        max_length=60,
        required=False,
        help_text=gettext_lazy("Such as wood or metal. Used to sort lists; a category can have its own opening hours."),
        widget=forms.TextInput(attrs={"list": "categories"}),
    )
    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("For the team: for example where the manual is, or what to oil."),
    )


class NewMachineForm(AboutForm):
    """A new machine."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=63,
        help_text=gettext_lazy("Short and permanent, such as bandsaw or laser-2: lowercase letters, digits and -"),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"}),
    )
    preset = forms.ChoiceField(
        label=gettext_lazy("What kind of machine?"),
        choices=[*presets.TITLES.items()],
        widget=forms.RadioSelect,
        help_text=gettext_lazy("Sets all rules. You can change each of them later."),
    )
    field_order = ("name", "title", "category", "preset", "note")

    def clean_name(self) -> str:
        """Refuse an invalid or taken name."""
        name = str(self.cleaned_data["name"]).strip()
        try:
            wire.check_name(name, what="machine")
        except UsageError:
            raise forms.ValidationError(
                _("Use lowercase letters, digits and -, and begin and end with a letter or digit.")
            ) from None
        if name in RESERVED_MACHINES:
            raise forms.ValidationError(_("This name is reserved. Choose another one."))
        if Machine.objects.filter(name=name).exists():
            raise forms.ValidationError(_("A machine with this name already exists."))
        return name


class RulesForm(StaleCheck, forms.Form):
    """Every rule of a machine. `rules` are those to store, once the form is valid.

    `may_open` is whether the account may open the machine to all members, or extend that (docs/decisions/0068).
    """

    rules: dict[str, Any]

    def __init__(self, data: QueryDict | None = None, *, machine: Machine, may_open: bool = False) -> None:
        self._machine = machine
        self._may_open = may_open
        super().__init__(data, initial=_initial(machine.wire_rules()))
        for name in machine_rules.RULES:
            self.fields[name] = _field(name)

    def groups(self) -> list[tuple[str, str, list[forms.BoundField]]]:
        """Return the fields in groups: title, how a time is typed if that is all there is in it, and fields."""
        return [
            (
                str(title),
                duration_field.examples() if all(name.endswith("_s") for name in names) else "",
                [self[name] for name in names],
            )
            for title, names in machine_rules.GROUPS
        ]

    def clean(self) -> dict[str, Any]:
        """Validate the rules as gates do."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        found = {name: _kept(name, value) for name, value in cleaned.items()}
        if not self.fields["observe_until"].has_changed(self["observe_until"].initial, self["observe_until"].data):
            found["observe_until"] = self._machine.rules.get("observe_until")  # unchanged, with its time zone
        elif not self._may_open and self._opens_for_longer(cleaned["observe_until"]):
            text = _(
                "Only a manager may open a machine to all members, or keep it open to them for longer. Choose an"
                " earlier time, or leave the field empty."
            )
            self.add_error("observe_until", text)
        would_be = msgspec.convert(found, wire.MachineRules)
        for field in dict.fromkeys(mistake.partition(":")[0] for mistake in wire.machine_mistakes(would_be)):
            self.add_error(field, str(_WRONG.get(field, _("This value is not possible."))))
        for name in wire.warning_mistakes(would_be):
            if name in self.errors:  # an invalid time is not compared with the others
                continue
            text = _("Must be shorter than “%(other)s” (%(time)s), or the warning would begin at once.")
            values = {"other": machine_rules.RULES[name], "time": durations.in_words(found[name])}
            self.add_error("warn_s", text % values)
        if "grace_s" not in self.errors and wire.holder_mistake(would_be) is not None:
            self.add_error("grace_s", str(_WITHOUT_GRACE))
        self.rules = {name: value for name, value in found.items() if value is not None}
        return cleaned

    def _opens_for_longer(self, until: datetime | None) -> bool:
        was = self._machine.wire_rules().observe_until
        return until is not None and (was is None or until > _local(was))


class TrainingsForm(StaleCheck, forms.Form):
    """The trainings that give access to a machine."""

    trainings = forms.ModelMultipleChoiceField(
        label=gettext_lazy("Trainings that give access"),
        queryset=Training.objects.order_by("title", "name"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )


def checked_gate_name(typed: str) -> str:
    """Return the name of a gate as it was typed. Raises ValidationError for one that no gate may have."""
    name = str(typed).strip()
    try:
        wire.check_name(name, what="gate")
    except UsageError:
        raise forms.ValidationError(
            _(
                "Use lowercase letters, digits and -, and begin and end with a letter or digit; “collector” and"
                " “roster” are reserved."
            )
        ) from None
    return name


class MoveForm(forms.Form):
    """Assigns a gate of another machine, or a free one, to this machine."""

    moved = forms.ModelChoiceField(
        label=gettext_lazy("Gate"),
        queryset=Gate.objects.none(),
        error_messages={"required": gettext_lazy("Choose a gate.")},
    )

    def __init__(self, *args: Any, machine: Machine, **more: Any) -> None:
        super().__init__(*args, **more)
        others = Gate.objects.exclude(machine=machine).select_related("machine").order_by("name")
        field = self.fields["moved"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = others
        field.label_from_instance = _gate  # type: ignore[assignment,method-assign]


def _gate(gate: Gate) -> str:
    return f"{gate.name} ({gate.machine or _('no machine')})"


def _field(name: str) -> forms.Field:
    label, help_text = machine_rules.RULES[name], machine_rules.HELP.get(name, "")
    default = getattr(wire.MachineRules(), name)
    if name in wire.MACHINE_WORDS:
        # "never" means the same as "minors" (docs/decisions/0042): the verb accepts it, but stores "minors"
        choices = [(word, machine_rules.WORDS[name, word]) for word in wire.MACHINE_WORDS[name] if word != "never"]
        return forms.ChoiceField(label=label, choices=choices, help_text=help_text)
    if isinstance(default, bool):
        return forms.BooleanField(label=label, required=False, help_text=help_text)
    if name.endswith("_s"):
        too_long = _("At most %(time)s.") % {"time": durations.in_words(wire.MAX_SECONDS)}
        required = default is not None
        return DurationField(
            label=label, required=required, help_text=help_text, most_s=wire.MAX_SECONDS, too_long=too_long
        )
    if name == "observe_until":
        return MomentField(label=label, required=False, help_text=help_text)
    return LineField(label=label, required=False, max_length=40, help_text=help_text)


def _initial(rules: wire.MachineRules) -> dict[str, Any]:
    found = {name: getattr(rules, name) for name in machine_rules.RULES}
    if rules.observe_until is not None:
        found["observe_until"] = _local(rules.observe_until)
    return found


def _local(moment: datetime) -> datetime:
    # machine-set may have stored a moment without a zone: it is then in the site's zone
    return timezone.localtime(moment) if moment.tzinfo else timezone.make_aware(moment)


def _kept(name: str, value: Any) -> Any:
    """Return a value as it is stored: ISO text for a moment, or None for the default."""
    if name == "observe_until":
        return None if value is None else value.isoformat()
    return value or None if name == "price_hint" else value
