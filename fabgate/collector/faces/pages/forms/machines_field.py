"""A form field for choosing machines: those in service, and retired ones that are already chosen."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext as _

from fabgate.collector.ground.models import Machine


class MachinesField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # Django's takes no argument at run time
    """Machines, as checkboxes.

    A chosen machine that is retired stays on the form. Otherwise saving the form would remove it, and it would be
    missing once it returns to service.
    """

    def __init__(self, chosen: Any, **more: Any) -> None:
        """`chosen` are the machines of the row; None for a new row."""
        wanted = Q(retired_at=None)
        if chosen is not None:
            wanted |= Q(pk__in=chosen.values("pk"))
        machines = Machine.objects.filter(wanted).order_by("title", "name")
        super().__init__(machines, required=False, widget=forms.CheckboxSelectMultiple, **more)

    def label_from_instance(self, obj: Machine) -> str:
        """Return the machine's title, marked where it is retired."""
        return str(obj) if obj.retired_at is None else _("%(machine)s (retired)") % {"machine": obj}
