"""What an empty page offers to do next, and to whom."""

from __future__ import annotations

import re

import pytest

from fabgate.collector.ground.models import Training
from tests.collector.faces.pages.counter import text

pytestmark = pytest.mark.usefixtures("env", "told")


def offered(page: str) -> set[str]:
    """Return the addresses of the buttons on an empty page."""
    found = re.search(r'<div class="empty">(.*?)</div>', page, re.DOTALL)
    assert found
    return set(re.findall(r'<a role="button"[^>]* href="([^"]+)"', found[1]))


@pytest.mark.parametrize(
    ("path", "role", "buttons"),
    [
        ("/people", "manager", {"/people/new", "/people/import"}),
        ("/people", "desk", {"/people/new"}),
        ("/people", "trainer", set()),
        ("/people/groups", "desk", {"/people/groups/new"}),
        ("/people/groups", "auditor", set()),
        ("/people/trainings", "manager", {"/people/trainings/new"}),
        ("/people/trainings", "trainer", set()),
        ("/machines", "maintainer", {"/machines/new"}),
        ("/machines", "desk", set()),
        ("/gates", "maintainer", {"/machines"}),
    ],
)
def test_an_empty_page_offers_what_its_reader_may_do_next(browse, path, role, buttons):
    assert offered(text(browse(role).get(path))) == buttons


@pytest.mark.parametrize(("role", "buttons"), [("trainer", {"/people/trainings/who"}), ("desk", set())])
def test_a_training_that_no_one_has_offers_to_grant_it(browse, role, buttons):
    training = Training.objects.create(name="laser", title="Laser")
    assert offered(text(browse(role).get(f"/people/trainings/{training.pk}"))) == buttons
