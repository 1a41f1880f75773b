"""One workshop a module, and every machine free and whole before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.demo.running import Demo, running


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running(tmp_path_factory.mktemp("wall"), timed_s=30) as demo:
        yield demo


@pytest.fixture
def page(demo: Demo) -> Demo:
    """The same, with every machine free and whole."""
    demo.mend()
    return demo
