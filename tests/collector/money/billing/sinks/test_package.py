"""A sink in a package of its own, as CONTRIBUTING says: it is built, installed, tested, named and used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import packages

PACKAGE = Path(__file__).with_name("package")
ROOT = Path(__file__).parents[5]
SINKS = """\
bar:
  driver: till
  from: 2027-01
  url: {url}
  token_file: /etc/fabgate/bar.token
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packages.install(PACKAGE, "till", tmp_path_factory.mktemp("package"))


def test_it_keeps_the_contract(installed, tmp_path):
    assert packages.keep_contract(PACKAGE, installed, tmp_path) == (10, 1)  # the till knows keys


def test_the_collector_finds_it_and_names_a_wrong_option(installed, tmp_path, env, monkeypatch):
    from fabgate.collector.money.billing import terms
    from fabgate.collector.money.billing.sinks import config
    from fabgate.errors import UsageError
    from tests.collector.money.billing.booked import FIRST

    terms.start("EUR", FIRST, "UTC", includes_vat=True, actor="eve")
    config.path().write_text(SINKS.format(url="https://till.example.org"))
    with pytest.raises(UsageError, match="found the driver 'till', wanted"):
        config.load()
    monkeypatch.syspath_prepend(str(installed))
    (found,) = config.load()
    assert (found.name, found.driver.__name__, found.feed) == ("bar", "TillSink", "charges")
    config.path().write_text(SINKS.format(url="http://till.example.org"))
    with pytest.raises(UsageError, match="wanted https://"):
        config.load()


POST = "program.post("
#: A client that sends again what got no answer.
AGAIN = """

class Again:
    def __init__(self, program):
        self._program = program

    def post(self, *values):
        try:
            return self._program.post(*values)
        except contract.Later as error:
            if "no answer" not in str(error):
                raise
            return self._program.post(*values)
"""
#: What a driver may get wrong: the text that is replaced, by what, and the test that finds it.
FAULTS = {
    "asks in its constructor": (
        "self._url = check_url(options.url)",
        "self._url = check_url(options.url)\n        Program(self._url, {}).post('/entries', b'[]', {})",
        "the_constructor_opens_nothing",
    ),
    "has another key each time": ("item.key", "str(id(item))", "everything_arrives_once_and_in_order"),
    "forgets signs": ("item.amount_minor", "abs(item.amount_minor)", "everything_arrives_once_and_in_order"),
    "sends the first item only": ("for item in items", "for item in items[:1]", "everything_arrives_once_and_in_order"),
    "tries again": (
        POST,
        f"with suppress(contract.Later):\n            {POST}'/entries', b'[]', {{}})\n        {POST}",
        "a_program_that_is_away_gets_everything_later",
    ),
    "tries again after a lost answer": (POST, "Again(program).post(", "it_sends_nothing_again_by_itself"),
    "hides that it is locked out": (
        POST,
        f"with suppress(contract.Later): {POST}",
        "a_wrong_key_is_the_fault_of_no_item",
    ),
    "hides a refusal": (POST, f"with suppress(contract.Refused): {POST}", "a_refused_item_holds_up_no_other"),
}


@pytest.mark.parametrize(("old", "new", "test"), FAULTS.values(), ids=FAULTS)
def test_the_contract_finds_a_fault(tmp_path, old, new, test):
    source = (PACKAGE / "till.py").read_text(encoding="utf-8")
    assert old in source
    source = source.replace("import msgspec\n", "from contextlib import suppress\nimport msgspec\n").replace(old, new)
    (tmp_path / "till.py").write_text(source + AGAIN, encoding="utf-8")
    (tmp_path / "contract.py").write_bytes((PACKAGE / "contract.py").read_bytes())
    with pytest.raises(AssertionError, match=rf"FAILED .*test_{test}\b"):
        packages.keep_contract(tmp_path, tmp_path, tmp_path)


def test_contributing_and_the_package_name_the_same_group():
    for path in (ROOT / "CONTRIBUTING.md", PACKAGE / "pyproject.toml"):
        assert re.search(
            r'^ *\[project.entry-points."fabgate.sinks"\]\n *till = "till:TillSink"$',
            path.read_text("utf-8"),
            re.MULTILINE,
        ), path
