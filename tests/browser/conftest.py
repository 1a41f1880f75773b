"""One browser a process, and one furnished house that it looks at. Without a Chromium all of it is skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser import window
from tests.browser.house import House


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.parent.name == "browser"]
    for item in ours:
        item.add_marker(pytest.mark.browser)
        if not window.is_there():
            item.add_marker(pytest.mark.skip(reason="no Chromium on this computer: apt install chromium"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    with window.chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("house"))
    yield made
    made.close()


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
