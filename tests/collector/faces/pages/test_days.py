"""Each field for a day, in each form of the pages, asks back about a day that was probably mistyped."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django import forms
from django.utils import translation

from fabgate.collector.faces import pages
from fabgate.collector.faces.pages.machines.forms import RulesForm
from fabgate.collector.ground.models import Grant, Machine, Member
from tests.collector.faces.pages.counter import text

TEMPLATES = Path(pages.__file__).parents[2] / "templates"


def all_forms() -> Iterator[type[forms.BaseForm]]:
    for module in pkgutil.walk_packages(pages.__path__, f"{pages.__name__}."):
        importlib.import_module(module.name)
    waiting: list[type[forms.BaseForm]] = [forms.BaseForm]
    while waiting:
        found = waiting.pop().__subclasses__()
        waiting += found
        yield from (form for form in found if form.__module__.startswith(pages.__name__))


def day_fields() -> dict[str, forms.Field]:
    made = RulesForm(machine=Machine(name="saw"))  # its fields are made with it
    own = {f"rules.{name}": field for name, field in made.fields.items() if isinstance(field, forms.DateTimeField)}
    return own | {
        f"{form.__module__}.{form.__name__}.{name}": field
        for form in all_forms()
        for name, field in getattr(form, "base_fields", {}).items()
        if isinstance(field, forms.DateField | forms.DateTimeField)
    }


def refused(field: forms.Field, typed: str) -> str:
    with pytest.raises(forms.ValidationError) as caught:
        field.clean(typed)
    return " ".join(caught.value.messages)


@pytest.mark.parametrize(
    ("lang", "asked", "far"),
    [
        ("en", "This day is in the year 0026: did you mean 31 Dec 2026?", "in the year 9999. Choose a day from"),
        (
            "fr",
            "Ce jour est en l\u2019an 0026\xa0: vouliez-vous dire le 31/12/2026\u202f?",
            "en l\u2019an 9999. Choisissez un jour",
        ),
    ],
)
def test_each_field_for_a_day_asks_back(lang, asked, far):
    found = day_fields()
    assert len({name.rpartition(".")[0] for name in found}) >= 12, sorted(found)
    with translation.override(lang):
        for name, field in found.items():
            time = "T08:00" if isinstance(field, forms.DateTimeField) else ""
            assert refused(field, f"0026-12-31{time}") == asked, name
            assert "2062" in refused(field, f"2062-12-31{time}"), name
            assert far in refused(field, f"9999-12-31{time}"), name
            assert asked in refused(field, f"26-12-31{time}"), name
            assert refused(field, "31.12.26"), name
            field.clean(f"2026-12-31{time}")


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize(
    "typed", ["01/02/2027 10:00", "12/31/62 10:00", "31/12/62 10:00", "2027-03-01T10:00+01:00", "1e4"]
)
def test_no_field_reads_a_moment_in_the_format_of_a_language(lang, typed):
    moments = {name: field for name, field in day_fields().items() if isinstance(field, forms.DateTimeField)}
    assert len(moments) == 2, sorted(moments)
    with translation.override(lang):
        for name, field in moments.items():
            assert "2027-05-01 16:30" in refused(field, typed), name
            assert field.clean("2027-03-01T10:00") == field.clean("2027-03-01 10:00:00"), name
            assert f"{field.clean('2027-03-01T10:00'):%Y-%m-%d %H:%M}" == "2027-03-01 10:00", name


def test_no_template_has_a_field_for_a_day_that_no_form_reads():
    own = {
        path.name for path in TEMPLATES.rglob("*.html") if re.search('type="(date|datetime-local)"', path.read_text())
    }
    assert own == {"amount.html", "import_preview.html"}  # tested below, and in people/imports


@pytest.mark.parametrize("typed", ["0026-12-31", "2062-12-31"])
def test_a_person_a_grant_and_a_balance_ask_back_and_store_nothing(house, browse, typed):
    manager = browse("manager")
    answer = manager.post(
        "/people/new",
        {"id": "m-50", "name": "Noémie", "lang": "fr", "grace_days": "0", "level": "user", "valid_until": typed},
    )
    assert answer.status_code == 400
    assert "did you mean 31 Dec 2026?" in text(answer)
    assert not Member.objects.filter(pk="m-50").exists()
    Grant.objects.all().delete()
    answer = manager.post(
        "/people/m-1/grant", {"training": "1", "stage": "autonomous", "since": typed, "trainer": "Maya"}
    )
    assert answer.status_code == 400
    assert "did you mean 31 Dec 2026?" in text(answer)
    assert not Grant.objects.exists()
