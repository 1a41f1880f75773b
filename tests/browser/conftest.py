"""One browser a process, and one furnished house that it looks at. Without a Chromium all of it is skipped.

Playwright keeps an event loop in its process, and Django refuses its database where one runs: the browser ends with the
last test of this folder, and ``make test`` runs the folder by itself.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import window
from tests.browser.house import House, furnish
from tests.demo.running import Demo, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark ours; the longest come first, so that no process is left with them while the others have ended."""
    places = [place for place, item in enumerate(items) if item.path.parent.name == "browser"]
    ours = sorted((items[place] for place in places), key=lambda item: item.path.stem not in {"test_week", "test_wall"})
    for place, item in zip(places, ours, strict=True):
        items[place] = item
        item.add_marker(pytest.mark.browser)
        if not window.is_there():
            item.add_marker(pytest.mark.skip(reason="no Chromium on this computer: apt install chromium"))


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    with window.chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every house begins with: made once, by the process that comes first."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made = shared / "furnished"
    with (shared / "furnishing").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            furnish(shared / "half-furnished")
            (shared / "half-furnished").rename(made)
    return made


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory, furnished: Path) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("house"), furnished)
    yield made
    made.close()


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running(tmp_path_factory.mktemp("demo"), timed_s=30) as made:
        yield made


@pytest.fixture
def person(chromium: Any) -> Iterator[Callable[..., window.Person]]:
    """Let somebody sit down at a browser of their own; whatever it complains of fails the test."""
    people: list[window.Person] = []

    def sit_down(address: str, **looks: Any) -> window.Person:
        people.append(window.Person(chromium, address, **looks))
        return people[-1]

    yield sit_down
    complaints = [said for one in people for said in one.complaints]
    for one in people:
        one.close()
    assert complaints == []


@pytest.fixture(scope="package")
def visitor(chromium: Any, house: House) -> Iterator[Callable[[str, str], window.Person]]:
    """Somebody in the house with this account ("" is none) and language: who has signed in stays so for other tests."""
    here: dict[tuple[str, str], window.Person] = {}

    def find(name: str, lang: str) -> window.Person:
        if (name, lang) not in here:
            here[name, lang] = window.Person(chromium, house.address, lang=lang)
            if name:
                here[name, lang].sign_in(name, house.password)
        return here[name, lang]

    yield find
    for one in here.values():
        one.close()
