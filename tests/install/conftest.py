"""What the cases need: packages, repositories, roots; and the report of what was seen."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.install import builds, computer, images, possible, report, roots
from tests.install.images import Image
from tests.install.roots import Root
from tests.support.patience import wait


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=30, help="how often apt is killed (default: 30)")
    parser.addoption("--seed", type=int, default=None, help="chooses the moments of the kills (default: by chance)")
    parser.addoption("--report", type=Path, default=None, help="the folder that gets a report with today's date")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.seed is None:
        config.option.seed = random.SystemRandom().randrange(1_000_000)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(report.Reporter(config.option.report, config.option.seed), "install-report")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a case once for each kill that was asked for."""
    if "number_of_kill" in metafunc.fixturenames:
        metafunc.parametrize("number_of_kill", range(metafunc.config.option.kills))


def pytest_report_header(config: pytest.Config) -> str:
    return f"roots: {images.CACHE}; the kills: --kills {config.option.kills} --seed {config.option.seed}"


@pytest.fixture(scope="session", autouse=True)
def _possible() -> None:
    if possible.reason():
        pytest.skip(f"no roots here: {possible.reason()}")
    roots.forget_left_over()


#: The packages that the cases of a file need: a version, and a suite. Each takes minutes to build.
_ALL: Final = (
    *((name, "trixie") for name in (builds.THIS, builds.NEXT, builds.LATER)),
    *((name, "bookworm") for name in (builds.THIS, builds.LATER)),
)
_OF_FILE: Final = {
    "install_broker.py": ((builds.THIS, "trixie"), (builds.THIS, "bookworm")),
    "install_core.py": ((builds.THIS, "trixie"), (builds.LATER, "trixie")),
    "install_setup.py": ((builds.THIS, "trixie"), (builds.LATER, "trixie"), (builds.THIS, "bookworm")),
}


@pytest.fixture(scope="session")
def repositories(_possible: None, request, tmp_path_factory) -> Path:
    """A folder with a signed repository of each version, by its name, and one with the key of somebody else."""
    wanted = {pair for item in request.session.items for pair in _OF_FILE.get(item.path.name, _ALL)}
    return builds.repositories(tmp_path_factory.mktemp("repositories"), sorted(wanted))


class Systems:
    """Makes roots, and removes them at the end. What several cases begin with is made once and copied."""

    def __init__(self, repositories: Path, stack: ExitStack, images_made: dict[str, Image], forever: ExitStack) -> None:
        self._repositories = repositories
        self._stack = stack
        self._images = images_made
        self._forever = forever

    def bare(self, suite: str = "trixie") -> Root:
        """Start a bare system, in which apt knows the repository of this version."""
        root = self._start(images.bare(suite), f"bare-{suite}", self._stack)
        computer.use(root, builds.THIS, suite)
        return root

    def installed(self, *packages: str, suite: str = "trixie") -> Root:
        """Start a system in which this version of the packages was installed, and set up, and the gate has a session behind it."""

        def make(root: Root) -> None:
            computer.use(root, builds.THIS, suite)
            computer.install(root, *packages)
            computer.set_up(root, *packages)
            if computer.GATE in packages:
                computer.tap(root)
                computer.tap(root)

        return self.made(make, f"{suite}-{'-'.join(packages)}", *packages, suite=suite)

    def made(self, make: Callable[[Root], None], name: str, *packages: str, suite: str = "trixie") -> Root:
        """Start a system that `make` has set up, with the gate or the collector or both; it is made once under its name."""
        if name not in self._images:
            root = self._start(images.bare(suite), f"make-{name}", self._forever)
            make(root)
            self._images[name] = root.freeze()
        root = self._start(self._images[name], name, self._stack)
        for package in packages:
            wait(lambda package=package: computer.running(root, package), f"{package} after the start")
        if computer.COLLECTOR in packages:
            wait(lambda: computer.page(root), "a page of the collector")
        if computer.GATE in packages:
            computer.idle(root)
        return root

    def _start(self, image: Image, name: str, stack: ExitStack) -> Root:
        root = Root(image, name, repositories=self._repositories)
        stack.callback(root.remove)
        root.start()
        return root


@pytest.fixture(scope="session")
def _kept() -> Iterator[tuple[dict[str, Image], ExitStack]]:
    with ExitStack() as stack:
        yield {}, stack


@pytest.fixture
def systems(repositories: Path, _kept) -> Iterator[Systems]:
    made, forever = _kept
    with ExitStack() as stack:
        yield Systems(repositories, stack, made, forever)


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """Note for the report what a case has seen."""
    return lambda text: request.node.user_properties.append(("seen", text))


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str, float], Any]:
    """Note seconds under a name for `make bench`. No case depends on them."""
    return lambda name, seconds: request.node.user_properties.append((name, round(seconds, 1)))


@pytest.fixture
def measured(figure: Callable[[str, float], Any]) -> Callable[[str], AbstractContextManager[None]]:
    """Take the seconds of something, as a figure."""

    @contextmanager
    def take(name: str) -> Iterator[None]:
        began_s = time.monotonic()
        yield
        figure(name, time.monotonic() - began_s)

    return take
