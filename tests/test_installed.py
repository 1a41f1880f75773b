"""Does the advice fit how fabgate was installed: by hand, or as a Debian package?"""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import pytest

import fabgate
from fabgate import installed
from fabgate.cli import main
from fabgate.errors import UsageError
from fabgate.gate.config import hardware
from tests.deploy.places import ROOT
from tools.packages import paths


@pytest.fixture
def as_package(monkeypatch, request):
    monkeypatch.setattr(installed, "package", lambda: request.param)
    return request.param


both = pytest.mark.parametrize("as_package", [installed.GATE, installed.COLLECTOR], indirect=True)
gate = pytest.mark.parametrize("as_package", [installed.GATE], indirect=True)


@pytest.mark.parametrize(
    ("program", "package"),
    [
        ("/usr/lib/fabgate-gate/fabgate/__init__.py", "fabgate-gate"),
        ("/usr/lib/fabgate-collector/lib/python3.13/site-packages/fabgate/__init__.py", "fabgate-collector"),
        ("/opt/fabgate/lib/python3.13/site-packages/fabgate/__init__.py", ""),
        ("/usr/lib/fabgate-gate-2/fabgate/__init__.py", ""),
        (fabgate.__file__, ""),
    ],
)
def test_the_folder_of_the_program_says_which_package_it_is(program, package):
    assert installed.package(Path(program)) == package


def test_the_packages_are_built_into_these_folders():
    assert (f"usr/lib/{installed.GATE}", f"usr/lib/{installed.COLLECTOR}") == (paths.GATE, paths.COLLECTOR)
    assert paths.adapted("/usr/lib/fabgate/line-off", installed.GATE) == "/usr/lib/fabgate-gate/line-off"


@both
def test_in_a_package_nothing_refers_to_an_installation_by_hand(as_package):
    error = ImportError("no module")
    said = [
        *(
            installed.again(),
            installed.cleanly(),
            installed.file("x.conf"),
            installed.unit("x.service"),
            installed.account("fabgate"),
        ),
        *(installed.line_off_again(), installed.watchdog(), installed.pin_libraries(), installed.database_library()),
        *(installed.library(module, f"fabgate[{module}]") for module in ("gpiozero", "RPLCD", "luma.oled")),
        *(installed.driver("pi"), installed.collector(error), installed.demo(error), installed.example("x.conf")),
    ]
    for text in said:
        assert not [word for word in ("/opt/", "fabgate[", "install -m", "docs/", " systemd/x") if word in text], text


def test_by_hand_it_is_the_advice_of_the_page():
    assert installed.unit("x.service") == (
        "install it again: install -m 644 systemd/x.service -t /etc/systemd/system/; systemctl daemon-reload"
    )
    assert installed.library("RPLCD", "fabgate[lcd]") == "pip install 'fabgate[lcd]'"
    assert installed.line_off() == "/usr/lib/fabgate/line-off"
    assert installed.again() == 'see docs/install-by-hand.md, "Update, and back"'


def test_what_pip_installs_beside_a_package_is_what_setup_cfg_allows():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    allowed = {line for text in setup["options.extras_require"].values() for line in text.splitlines()}
    assert installed._FROM_PIP
    assert set(installed._FROM_PIP.values()) <= allowed


class Needy:
    needs = {"no_such_display": "no-such-display >= 2,<3"}  # noqa: RUF012 - as drivers of others have it


def test_a_package_changes_tables_by_its_own_verb(monkeypatch):
    assert installed.new_tables("RESTART") == "make a copy, then RESTART"
    monkeypatch.setattr(installed, "package", lambda: installed.COLLECTOR)
    assert installed.new_tables("RESTART") == "fabgate-collector migrate, which makes a copy first; then RESTART"


@gate
def test_a_library_that_a_driver_lacks_goes_where_an_update_leaves_it_alone(as_package, monkeypatch):
    monkeypatch.setattr(Needy, "needs", {"no_such_display": "no-such-display"})
    with pytest.raises(UsageError, match=r"--target /usr/local/lib/fabgate-gate 'no-such-display'$"):
        hardware.installed("panel", "mine", Needy)
    monkeypatch.setattr(Needy, "needs", {"gone": "apt install python3-gone"})
    with pytest.raises(UsageError, match=r"not installed: apt install python3-gone$"):
        hardware.installed("panel", "mine", Needy)
    assert installed.library("gpiod", "fabgate[wiegand]") == "apt install python3-libgpiod"


@gate
def test_a_gate_of_a_package_says_where_the_collector_is(as_package, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "fabgate.collector.cli.verbs", None)
    assert main(["collector", "gates"]) == 2
    error = capsys.readouterr().err
    assert "apt install fabgate-collector" in error
    assert "sudo fabgate-collector VERB" in error
