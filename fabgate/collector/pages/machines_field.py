"""Which machines are ticked in a form? Those of the workshop, and of the retired ones those that are ticked already."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext as _

from fabgate.collector.models import Machine


class MachinesField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # Django's takes no argument at run time
    """Machines to tick.

    A retired machine that is chosen stays on the form: left out, it would be removed by whoever saves something else, and
    missing when it comes back.
    """

    def __init__(self, chosen: Any, **more: Any) -> None:
        """`chosen` are the machines that a row has; None for a row that is not there yet."""
        wanted = Q(retired_at=None)
        if chosen is not None:
            wanted |= Q(pk__in=chosen.values("pk"))
        machines = Machine.objects.filter(wanted).order_by("title", "name")
        super().__init__(machines, required=False, widget=forms.CheckboxSelectMultiple, **more)

    def label_from_instance(self, obj: Machine) -> str:
        """Return what a machine is called, and that it is retired."""
        return str(obj) if obj.retired_at is None else _("%(machine)s (retired)") % {"machine": obj}
