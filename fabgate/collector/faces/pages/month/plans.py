"""Plans: free minutes and discounts, and how many members have each."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages import own_money
from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.forms import stale_form
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.forms.minor_field import MinorField
from fabgate.collector.faces.pages.forms.stale_form import StaleCheck
from fabgate.collector.faces.pages.month.difference import unless_seen
from fabgate.collector.faces.pages.month.tab import render_page
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import BillingTerms, Plan, TariffRule
from fabgate.collector.ground.models.billing.plans import MOST_OVERDRAFT
from fabgate.collector.money.billing import member_plans, rating, terms, trial
from fabgate.collector.money.paper import figures
from fabgate.collector.money.paper.figures import Money


class PlanForm(StaleCheck, forms.ModelForm):  # type: ignore[type-arg]  # Django's takes no argument at run time
    """The terms of a plan. Its name does not change, because members have it by its name."""

    name = LineField(
        label=gettext_lazy("Name"),
        max_length=60,
        help_text=gettext_lazy("Such as “student”. The name cannot be changed later."),
    )

    overdraft_minor = MinorField(
        least=0,
        most=MOST_OVERDRAFT,
        required=False,
        help_text=gettext_lazy("How far below 0 the balance of a member who prepays may fall."),
    )

    class Meta:
        """All columns."""

        model = Plan
        fields: tuple[str, ...] = ("name", "free_minutes", "discount_percent", "overdraft_minor")
        labels = {
            "free_minutes": gettext_lazy("Free minutes a month"),
            "discount_percent": gettext_lazy("Discount (%)"),
        }
        help_texts = {
            "free_minutes": gettext_lazy("Each member has these minutes once with each of their payers."),
            "discount_percent": gettext_lazy("Deducted from the cost of each session."),
        }

    def __init__(self, *args: Any, found: BillingTerms, **more: Any) -> None:
        super().__init__(*args, **more)
        overdraft = self.fields["overdraft_minor"]
        assert isinstance(overdraft, MinorField)
        overdraft.use(found, _("Overdraft (%(currency)s)"))
        self.fields["discount_percent"].localize = True
        self.fields["discount_percent"].widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
        self.fields["discount_percent"].widget.is_localized = True
        if self.instance.pk:
            self.fields["name"].disabled = True
            self.fields["name"].help_text = ""


def plans(request: HttpRequest) -> HttpResponse:
    """List the plans."""
    found = terms_or_404()
    members = member_plans.members_of(terms.today(found))
    rules = dict(
        TariffRule.objects.exclude(plan=None)
        .values_list("plan")
        .annotate(rules=Count("pk"))
        .values_list("plan", "rules")
    )
    own = own_money.plans_of(account_of(request))
    rows = [
        {
            "plan": plan,
            "discount": figures.percent(plan.discount_percent),
            "overdraft": Money.of(found).minor(plan.overdraft_minor) if plan.overdraft_minor else "",
            "members": members.get(plan.name, 0),
            "is_own": plan.name in own,
            "rules": rules.get(plan.pk, 0),
        }
        for plan in Plan.objects.order_by("name")
    ]
    return render_page(request, "plans.html", found, {"rows": rows})


def new(request: HttpRequest) -> HttpResponse:
    """Add a plan."""
    found = terms_or_404()
    form = PlanForm(request.POST if request.method == "POST" else None, found=found)
    if request.method == "POST" and form.is_valid():
        with audit.change(account_of(request).name, "plan.added", form.instance):
            form.save()
        messages.success(request, _("Plan %(name)s added.") % {"name": form.instance})
        return see_other(reverse("month-plans"))
    return render_page(request, "plan.html", found, {"form": form}, status=form.status)


def plan(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the terms of a plan."""
    found = terms_or_404()
    row = get_object_or_404(Plan, pk=pk)
    own_money.refuse_plan(request, row.name)
    form, change = PlanForm(instance=row, found=found), None
    if request.method == "POST":
        with transaction.atomic():
            form = PlanForm(request.POST, instance=stale_form.locked(row), found=found)
            is_saved = not form.has_conflicts() and form.is_valid()
            if is_saved:
                change = _difference(request, form.instance, found)
            if is_saved := is_saved and change is None:
                with audit.change(account_of(request).name, "plan.updated", form.instance):
                    form.save()
        if is_saved:
            messages.success(request, _("Plan %(name)s changed.") % {"name": row})
            return see_other(reverse("month-plans"))
    members = member_plans.members_of(terms.today(found)).get(row.name, 0)
    shown = {"form": form, "plan": row, "members": members, "difference": change}
    return render_page(request, "plan.html", found, shown, status=200 if change else form.status)


def _difference(request: HttpRequest, plan: Plan, found: BillingTerms) -> dict[str, Any] | None:
    """Return what the changed plan changes in open months, unless that was shown before."""
    now = terms.for_rating(found)
    changed = rating.Plan(plan.name, plan.free_minutes, plan.discount_percent)
    if now.plans[plan.name] == changed:
        return None
    then = now._replace(plans={**now.plans, plan.name: changed})
    months = trial.open_months(found, found.first_month)
    return unless_seen(request, found, trial.changes(months, now, then, lambda facts: facts.plan == plan.name))
