"""The form "Add a gate": its name, its machine, and how it is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.machines.forms import NewMachineForm, checked_gate_name
from fabgate.collector.ground.models import Gate, Machine
from fabgate.collector.members.machines import builds, presets
from fabgate.collector.members.machines.enrol_gate import NewMachine

_BUILDS: Final[Mapping[str, Any]] = {
    "bench": gettext_lazy("Bench: a lamp in place of a machine"),
    "standard": gettext_lazy("Standard: a contactor switches the machine"),
    "three-phases": gettext_lazy("Standard, three phases and neutral"),
    "three-phases-no-neutral": gettext_lazy("Standard, three phases without neutral"),
    "plug": gettext_lazy("Plug: a Shelly over Wi-Fi"),
    "emulated": gettext_lazy("Emulated: no hardware"),
}
_NAME_INPUT: Final = {"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"}


class JoinForm(forms.Form):
    """A gate that is to join."""

    machine = forms.ChoiceField(label=gettext_lazy("Machine"), required=False)
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=63,
        required=False,
        help_text=NewMachineForm.base_fields["name"].help_text,
        widget=forms.TextInput(attrs=_NAME_INPUT),
    )
    title = LineField(label=gettext_lazy("Title"), max_length=120, required=False)
    preset = forms.ChoiceField(
        label=gettext_lazy("What kind of machine?"), choices=[("", ""), *presets.TITLES.items()], required=False
    )
    gate = forms.CharField(
        label=gettext_lazy("Name of the gate"),
        max_length=63,
        help_text=gettext_lazy("Such as laser-1."),
        widget=forms.TextInput(attrs=_NAME_INPUT),
    )
    replaces = forms.BooleanField(
        label=gettext_lazy("This gate exists, and its Raspberry Pi or SD card is replaced"),
        required=False,
        help_text=gettext_lazy("The old one keeps working until the new one has joined."),
    )
    build = forms.ChoiceField(label=gettext_lazy("How is it built?"), widget=forms.RadioSelect)
    plug_host = LineField(label=gettext_lazy("Address of the plug"), max_length=15, required=False)
    plug_id = LineField(
        label=gettext_lazy("Device id of the plug"),
        max_length=40,
        required=False,
        help_text=gettext_lazy("On the plug's page under Settings, Device information."),
    )

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        machines = Machine.objects.filter(retired_at=None).order_by("title", "name")
        self._choose("machine", [("", _("a new machine")), *((one.name, str(one)) for one in machines)])
        is_simulated = settings.ENVIRONMENT.simulated
        self._choose("build", [one for one in _BUILDS.items() if one[0] != builds.EMULATED or is_simulated])

    def _choose(self, name: str, choices: list[tuple[str, Any]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    @property
    def build_values(self) -> dict[str, str]:
        """Return what only this gate has of its build."""
        if self.cleaned_data["build"] != builds.PLUG:
            return {}
        return {"host": self.cleaned_data["plug_host"], "device_id": self.cleaned_data["plug_id"]}

    @property
    def new_machine(self) -> NewMachine:
        """Return what the machine will be, if it does not exist."""
        return NewMachine(self.cleaned_data["title"], self.cleaned_data["preset"])

    def clean_gate(self) -> str:
        """Refuse an invalid name."""
        return checked_gate_name(self.cleaned_data["gate"])

    def clean(self) -> dict[str, Any]:
        """Check what belongs together; a new machine as the form does that adds one alone."""
        cleaned = super().clean() or self.cleaned_data
        if not cleaned.get("machine"):
            self._take("name", NewMachineForm({"name": cleaned.get("name", "")}))
            self._take("preset", NewMachineForm({"preset": cleaned.get("preset", "")}))
        is_there = Gate.objects.filter(name=cleaned.get("gate", "")).exclude(token_hash="").exists()
        if is_there and not cleaned.get("replaces"):
            self.add_error(
                "gate", _("This gate already exists. Tick the box below if it is replaced, or choose another name.")
            )
        if cleaned.get("build") == builds.PLUG:
            for name, form in (("plug_host", "host"), ("plug_id", "device_id")):
                if not builds.PLUG_VALUES[form].fullmatch(cleaned.get(name, "")):
                    self.add_error(name, _("Enter it as the plug's own page shows it."))
        return cleaned

    def _take(self, name: str, form: forms.Form) -> None:
        """Take the errors of a field from another form that has it."""
        for error in form.errors.get(name, []):
            self.add_error(name, error)
