"""What is typed to describe a machine, and to say how it behaves?

The rules are judged by the very code by which a gate judges a roster (wire.machine_mistakes): what is saved here, no
gate refuses. People type minutes where a roster has seconds.
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
from fabgate.collector.machines import presets
from fabgate.collector.machines.enrol_gate import RESERVED_MACHINES
from fabgate.collector.models import Gate, Machine, Training
from fabgate.collector.pages.machines import words
from fabgate.collector.pages.name_field import LineField
from fabgate.collector.pages.stale_form import Watched
from fabgate.errors import UsageError

_MINUTES: Final = ("limit_s", "max_s", "idle_off_s", "finish_max_s")
_SECONDS: Final = ("warn_s", "grace_s", "run_on_s", "warm_up_s")
_YES_NO: Final = ("handover", "sponsor", "attended")
_MOMENT: Final = "%Y-%m-%dT%H:%M"

_HELP: Final[Mapping[str, Any]] = {
    "limit_s": gettext_lazy("In minutes. A tap on the badge extends it."),
    "max_s": gettext_lazy("In minutes. Not even a tap extends it beyond this."),
    "idle_off_s": gettext_lazy("In minutes; empty: never. The gate must be able to feel whether the machine runs."),
    "warn_s": gettext_lazy(
        "In seconds: it blinks and beeps for so long, but never for more than a quarter of the limit, or of idling."
    ),
    "grace_s": gettext_lazy("In seconds. Only where the card stays in its holder."),
    "finish_max_s": gettext_lazy("In minutes; then the power goes off all the same."),
    "run_on_s": gettext_lazy("In seconds, for a fan or a pump."),
    "warm_up_s": gettext_lazy("In seconds after switching on, in which standing still does not count."),
    "handover": gettext_lazy("The next member taps, and the machine goes on running under their name."),
    "sponsor": gettext_lazy("An unknown badge, then a supervisor's within 30 seconds."),
    "attended": gettext_lazy("Two such machines at once on one badge are looked into; a 3D printer at night is not."),
    "on_stale": gettext_lazy("After seven days without the collector."),
    "observe_until": gettext_lazy(
        "Until then every known member is let in, including blocked people and minors without a supervisor. What would"
        " have been a refusal is recorded."
    ),
    "price_hint": gettext_lazy("Such as 0.20 €/min."),
}
#: What is said where the gates' own code finds a rule wrong.
_WRONG: Final[Mapping[str, Any]] = {
    "max_s": gettext_lazy("Must be as long as the time limit or longer, and at most 31 days."),
    "limit_s": gettext_lazy("Must be longer than nothing, and at most 31 days: power always has a deadline."),
    "idle_off_s": gettext_lazy("Must be longer than nothing, and at most 31 days. Leave it empty for: never."),
    "finish_max_s": gettext_lazy("Must be 0 or more, and at most 31 days."),
}

_WITHOUT_GRACE: Final = gettext_lazy(
    "Must be 1 or more, or nobody can begin who needs a supervisor: their card has to leave its holder for the"
    " supervisor's."
)


class AboutForm(Watched, forms.Form):
    """What people call a machine, and where lists put it."""

    title = LineField(label=gettext_lazy("Title"), max_length=120, required=False)
    category = LineField(
        label=gettext_lazy("Category"),
        max_length=60,
        required=False,
        help_text=gettext_lazy("Such as wood or metal: lists go by it, and it can have opening hours of its own."),
        widget=forms.TextInput(attrs={"list": "categories"}),
    )
    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("For the team: where the manual is, what to oil."),
    )


class NewMachineForm(AboutForm):
    """A machine that is not there yet."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=63,
        help_text=gettext_lazy("Short and for good, such as bandsaw or laser-2: small letters, digits and -"),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"}),
    )
    preset = forms.ChoiceField(
        label=gettext_lazy("What kind of machine?"),
        choices=[*presets.TITLES.items()],
        widget=forms.RadioSelect,
        help_text=gettext_lazy("Sets how it behaves. Everything can be changed afterwards."),
    )
    field_order = ("name", "title", "category", "preset", "note")

    def clean_name(self) -> str:
        """Refuse what cannot be a name, and one that is taken."""
        name = str(self.cleaned_data["name"]).strip()
        try:
            wire.check_name(name, what="machine")
        except UsageError:
            raise forms.ValidationError(
                _("Use small letters, digits and -, and begin and end with a letter or digit.")
            ) from None
        if name in RESERVED_MACHINES:
            raise forms.ValidationError(_("This word is taken by a page. Choose another name."))
        if Machine.objects.filter(name=name).exists():
            raise forms.ValidationError(_("There is a machine of this name already."))
        return name


class RulesForm(Watched, forms.Form):
    """Every rule of a machine. After it was found valid, `rules` are what the machine keeps.

    `may_open`: whether who sends it may open the machine to everybody, or for longer (docs/decisions/0068).
    """

    rules: dict[str, Any]

    def __init__(self, data: QueryDict | None = None, *, machine: Machine, may_open: bool = False) -> None:
        self._machine = machine
        self._may_open = may_open
        super().__init__(data, initial=_initial(machine.wire_rules()))
        for name in words.RULES:
            self.fields[name] = _field(name)

    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Return the fields as they belong together."""
        return [(str(title), [self[name] for name in names]) for title, names in _GROUPS]

    def clean(self) -> dict[str, Any]:
        """Ask the gates' own code what is wrong."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        found = {name: _kept(name, value) for name, value in cleaned.items()}
        if not self.fields["observe_until"].has_changed(self["observe_until"].initial, self["observe_until"].data):
            found["observe_until"] = self._machine.rules.get("observe_until")  # with its zone, as it was written
        elif not self._may_open and self._opens_for_longer(cleaned["observe_until"]):
            text = _("Only a manager opens a machine to everybody, or for longer. Choose an earlier time, or none.")
            self.add_error("observe_until", text)
        would_be = msgspec.convert(found, wire.MachineRules)
        for field in dict.fromkeys(mistake.partition(":")[0] for mistake in wire.machine_mistakes(would_be)):
            self.add_error(field, str(_WRONG.get(field, _("This cannot be."))))
        for name in wire.warning_mistakes(would_be):
            if name in self.errors:  # a time that cannot be is no measure for another
                continue
            text = _("Must be shorter than “%(other)s” (%(time)s): there would be nothing before the warning.")
            said = {"other": words.RULES[name], "time": words.lasting(found[name])}
            self.add_error("warn_s", text % said)
        if "grace_s" not in self.errors and wire.holder_mistake(would_be) is not None:
            self.add_error("grace_s", str(_WITHOUT_GRACE))
        self.rules = {name: value for name, value in found.items() if value is not None}
        return cleaned

    def _opens_for_longer(self, until: datetime | None) -> bool:
        was = self._machine.wire_rules().observe_until
        return until is not None and (was is None or until > _local(was))


class TrainingsForm(Watched, forms.Form):
    """The trainings that open a machine."""

    trainings = forms.ModelMultipleChoiceField(
        label=gettext_lazy("Who holds one of these may use it"),
        queryset=Training.objects.order_by("title", "name"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )


class GateForm(forms.Form):
    """A gate that is to be let in."""

    gate = forms.CharField(
        label=gettext_lazy("Name of the gate"),
        max_length=63,
        help_text=gettext_lazy("As gate.yaml on the Pi will have it, such as laser-1."),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_gate(self) -> str:
        """Refuse what cannot be a gate's name, and one that is let in already."""
        name = str(self.cleaned_data["gate"]).strip()
        try:
            wire.check_name(name, what="gate")
        except UsageError:
            raise forms.ValidationError(
                _("Use small letters, digits and -, first and last no -; “collector” and “roster” are taken.")
            ) from None
        known = Gate.objects.filter(name=name).exclude(token_hash="").select_related("machine").first()
        if known is not None:
            text = _("This gate is let in already, beside %(machine)s. Move it here below, or choose another name.")
            raise forms.ValidationError(text % {"machine": known.machine or _("beside no machine")})
        return name


class MoveForm(forms.Form):
    """A gate that stands beside another machine, or beside none."""

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
    return f"{gate.name} ({gate.machine or _('beside no machine')})"


_GROUPS: Final = (
    (gettext_lazy("How it is used"), ("mode", "supervisor", "sponsor", "handover", "attended")),
    (gettext_lazy("For how long"), ("limit_s", "max_s", "warn_s", "idle_off_s", "warm_up_s", "grace_s")),
    (gettext_lazy("How it ends"), ("finish", "finish_max_s", "run_on_s")),
    (gettext_lazy("Besides"), ("on_stale", "observe_until", "price_hint")),
)


def _field(name: str) -> forms.Field:
    label, help_text, longest = words.RULES[name], _HELP.get(name, ""), words.lasting(wire.MAX_SECONDS)
    if name in wire.MACHINE_WORDS:
        # "never" means what "minors" does (docs/decisions/0042): the command takes it, and no machine has it.
        choices = [(word, words.WORDS[name, word]) for word in wire.MACHINE_WORDS[name] if word != "never"]
        return forms.ChoiceField(label=label, choices=choices, help_text=help_text)
    if name in _YES_NO:
        return forms.BooleanField(label=label, required=False, help_text=help_text)
    if name in _MINUTES:
        widget = forms.NumberInput(attrs={"step": "any", "min": "0"})
        most = wire.MAX_SECONDS // 60
        said = _("At most %(minutes)s minutes, which is %(time)s.") % {"minutes": most, "time": longest}
        return forms.FloatField(
            label=label,
            required=name != "idle_off_s",
            max_value=most,
            help_text=help_text,
            widget=widget,
            error_messages={"max_value": said},
        )
    if name in _SECONDS:
        most = wire.MAX_SECONDS
        said = _("At most %(seconds)s seconds, which is %(time)s.") % {"seconds": most, "time": longest}
        return forms.IntegerField(
            label=label, min_value=0, max_value=most, help_text=help_text, error_messages={"max_value": said}
        )
    if name == "observe_until":
        widget_at = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=_MOMENT)
        return forms.DateTimeField(label=label, required=False, help_text=help_text, widget=widget_at)
    return LineField(label=label, required=False, max_length=40, help_text=help_text)


def _initial(rules: wire.MachineRules) -> dict[str, Any]:
    found = {name: getattr(rules, name) for name in words.RULES}
    for name in _MINUTES:
        if found[name] is not None:
            found[name] = int(found[name] / 60) if found[name] % 60 == 0 else round(found[name] / 60, 4)
    if rules.observe_until is not None:
        found["observe_until"] = _local(rules.observe_until)
    return found


def _local(moment: datetime) -> datetime:
    # A command may have set it without a zone: then it is the site's own time.
    return timezone.localtime(moment) if moment.tzinfo else timezone.make_aware(moment)


def _kept(name: str, value: Any) -> Any:
    """Return a value as a machine keeps it: seconds, and text for a moment; None: the default."""
    if name in _MINUTES:
        return None if value is None else round(value * 60)
    if name == "observe_until":
        return None if value is None else value.isoformat()
    return value or None if name == "price_hint" else value
