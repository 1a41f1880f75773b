"""One browser and one site with sample data for each process. Without Chromium, all tests visitors are skipped.

Playwright keeps an event loop running in its process, and Django refuses to use its database in such a process. So the
browser ends with the last test of this folder, and ``make test`` runs the folder on its own.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import window
from tests.browser.used_site import UsedSite, make_sample_data
from tests.demo.running import Demo, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and put the longest first, so that all processes end at about the same time."""
    places = [place for place, item in enumerate(items) if item.path.parent.name == "browser"]
    ours = sorted((items[place] for place in places), key=lambda item: item.path.stem not in {"test_week", "test_wall"})
    for place, item in zip(places, ours, strict=True):
        items[place] = item
        item.add_marker(pytest.mark.browser)
        if not window.is_installed():
            item.add_marker(
                pytest.mark.skip(reason="no Chromium on this computer: apt install chromium-headless-shell")
            )


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    with window.chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def sample_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder that every site is copied from. The first process makes it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made = shared / "sample-data"
    with (shared / "sample-data.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make_sample_data(shared / "sample-data.part")
            (shared / "sample-data.part").rename(made)
    return made


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory, sample_data: Path) -> Iterator[UsedSite]:
    made = UsedSite(tmp_path_factory.mktemp("site"), sample_data)
    yield made
    made.close()


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running(tmp_path_factory.mktemp("demo"), timed_s=30) as made:
        yield made


@pytest.fixture
def person(chromium: Any) -> Iterator[Callable[..., window.Person]]:
    """Open a browser context for one more person. Errors and warnings in its console fail the test."""
    people: list[window.Person] = []

    def open_context(address: str, **looks: Any) -> window.Person:
        people.append(window.Person(chromium, address, **looks))
        return people[-1]

    yield open_context
    complaints = [complaint for person in people for complaint in person.complaints]
    for person in people:
        person.close()
    assert complaints == []


@pytest.fixture(scope="package")
def visitor(chromium: Any, site: UsedSite) -> Iterator[Callable[[str, str], window.Person]]:
    """A person on the site with this account ("" for none) and language, who stays signed in for other tests."""
    visitors: dict[tuple[str, str], window.Person] = {}

    def find(name: str, lang: str) -> window.Person:
        if (name, lang) not in visitors:
            visitors[name, lang] = window.Person(chromium, site.address, lang=lang)
            if name:
                visitors[name, lang].sign_in(name, site.password)
        return visitors[name, lang]

    yield find
    for person in visitors.values():
        person.close()
