"""Another authority takes the place of the one in force: who waits for whom, and that a kill at any moment harms nobody."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from cryptography import x509

from fabgate.collector.setup import paths, run, turn
from fabgate.collector.setup.authority import authority
from fabgate.collector.setup.site import Suggestions, Wishes
from fabgate.computer import Computer
from fabgate.errors import FabgateError, UsageError
from fabgate.mqtt.authorities import certificates
from tests.collector.setup.computers import FakeComputer, Killed

SUGGESTED = Suggestions("Europe/Paris", "fr", ("atelier.local",), ())
LACKS = {"gate": "saw-1", "machine": "saw", "seen_at": "2026-05-12T08:00:00+00:00", "has_authorities": False}
HAS = {"gate": "laser-1", "machine": "laser", "seen_at": "2026-12-03T08:00:00+00:00", "has_authorities": True}
REVOKED = {"gate": "drill-1", "machine": "drill", "seen_at": None, "has_authorities": None}


def made(folder: Path) -> FakeComputer:
    """Return a computer that is a collector."""
    computer = FakeComputer(folder)
    run.setup(computer, Wishes(site="lyon"), SUGGESTED, ask=None, say=lambda _: None)
    return computer


@pytest.fixture
def computer(tmp_path: Path) -> FakeComputer:
    return made(tmp_path / "root")


def turned(computer: FakeComputer, **options: Any) -> tuple[int, str]:
    """Run the verb once; return its exit code, and what it said."""
    said: list[str] = []
    code = turn.turn(computer, (), say=said.append, **options)
    return code, "\n".join(said)


def published(computer: Computer) -> list[bytes]:
    return certificates(computer.text(paths.CA))


def signer(computer: Computer, name: str) -> bytes:
    """Return which of the published authorities signed the certificate of a server."""
    found = x509.load_pem_x509_certificate(computer.path(name).read_bytes())
    for der in published(computer):
        one = x509.load_der_x509_certificate(der)
        if not authority.why_renew(found, one, authority.Names(("atelier.local",)), computer.now()):
            return der
    raise AssertionError(f"nobody who trusts the published authorities can connect: {name}")


def signers(computer: Computer) -> set[bytes]:
    return {signer(computer, name) for name in (paths.BROKER, paths.PAGES)}


def pass_days(computer: Computer, days: int) -> None:
    """Let this time pass since the new authority signs: the day until which the old one is trusted comes nearer."""
    path = computer.path(f"{paths.ETC}/authority/before.crt")
    first, _, rest = path.read_text().partition("\n")
    words, _, day = first.rpartition(" ")
    path.write_text(f"{words} {date.fromisoformat(day) - timedelta(days=days)}\n{rest}")


def test_a_whole_turn(computer: FakeComputer) -> None:
    (old,) = published(computer)
    code, said = turned(computer)
    assert code == 0
    assert "It does not sign yet" in said
    assert published(computer)[0] == old
    (new,) = set(published(computer)) - {old}
    assert signers(computer) == {old}
    fingerprint = authority.fingerprint(x509.load_der_x509_certificate(new))
    assert fingerprint in " ".join(line.strip() for line in said.splitlines())

    computer.gates = [HAS, LACKS, REVOKED]
    code, said = turned(computer)
    assert code == 1
    assert "  - saw-1: last heard 2026-05-12" in said
    assert "laser-1" not in said
    assert "drill-1" not in said
    assert signers(computer) == {old}

    computer.gates = [HAS, {**LACKS, "has_authorities": True}, REVOKED]
    code, said = turned(computer)
    assert (code, signers(computer), published(computer)) == (0, {new}, [new, old])
    assert ("systemctl", "restart", paths.BROKER_UNIT) in computer.commands
    assert "visit" not in said

    pass_days(computer, 29)
    assert run.renew(computer, (), say=lambda _: None) == 0
    assert published(computer) == [new, old]
    pass_days(computer, 1)
    lines: list[str] = []
    assert run.renew(computer, (), say=lines.append) == 0
    assert lines == ["- drop the authority that signed before the one of now"]
    assert (published(computer), signers(computer)) == ([new], {new})


def test_the_key_of_the_one_that_signs_is_where_a_person_looks_for_it(computer: FakeComputer) -> None:
    turned(computer)
    turned(computer)
    folder = computer.path(f"{paths.ETC}/authority")
    assert sorted(path.name for path in folder.iterdir()) == ["before.crt", "ca.crt", "ca.key"]
    assert folder.joinpath("ca.key").stat().st_mode & 0o777 == 0o600
    found = authority.load(
        folder.joinpath("ca.crt").read_bytes(), folder.joinpath("ca.key").read_bytes(), whose="it", now=computer.now()
    )
    assert found.certificate_pem.decode() == computer.text(paths.CA).partition("-----END")[0] + (
        "-----END CERTIFICATE-----\n"
    )
    turned(computer, drops=True)
    turned(computer)
    assert folder.joinpath("next.pem").stat().st_mode & 0o777 == 0o600


def test_without_waiting_the_gates_that_need_a_visit_are_listed(computer: FakeComputer) -> None:
    (old,) = published(computer)
    turned(computer)
    computer.gates = [HAS, LACKS, {**LACKS, "gate": "cnc-1", "machine": None}]
    code, said = turned(computer, is_now=True)
    assert code == 0
    assert "sudo fabgate join atelier.local" in said
    assert "  - saw-1: last heard 2026-05-12\n  - cnc-1: no machine, so no roster" in said
    assert old not in signers(computer)
    code, said = turned(computer)
    assert code == 0
    assert "The new authority signs already" in said
    code, said = turned(computer, is_now=True)
    assert old in published(computer), "the same command again drops nothing"
    code, said = turned(computer, drops=True)
    assert published(computer) == list(signers(computer))
    assert turned(computer)[1].startswith("A new authority is made"), "the next turn can begin"


def test_a_new_name_is_refused_until_an_authority_is_valid_for_it(computer: FakeComputer) -> None:
    def set_up() -> None:
        wishes = Wishes(site="lyon", hosts=("atelier.local", "makers.example.org"))
        run.setup(computer, wishes, SUGGESTED, ask=None, say=lambda _: None)

    with pytest.raises(UsageError, match="authority-turn --name"):
        set_up()
    turned(computer, names=["makers.example.org"])
    with pytest.raises(UsageError, match=r"makers\.example\.org"):
        set_up()
    with pytest.raises(UsageError, match="an authority waits already"):
        turned(computer, names=["another.example.org"])
    turned(computer)
    set_up()
    found = x509.load_pem_x509_certificate(computer.path(paths.PAGES).read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "makers.example.org" in names.get_values_for_type(x509.DNSName)


def test_if_nobody_can_say_who_has_it_nothing_changes(computer: FakeComputer) -> None:
    turned(computer)
    before = {path: path.read_bytes() for path in computer.system.root.rglob("*") if path.is_file()}
    computer.gates_code = 1
    with pytest.raises(FabgateError, match="which gates know"):
        turned(computer, is_now=True)
    assert {path: path.read_bytes() for path in computer.system.root.rglob("*") if path.is_file()} == before


def test_nothing_is_dropped_before_another_one_signs(computer: FakeComputer) -> None:
    for _ in range(2):
        with pytest.raises(UsageError, match="found --drop"):
            turned(computer, drops=True)
        if len(published(computer)) == 1:
            turned(computer)
    assert len(published(computer)) == 2


def test_a_computer_that_is_no_collector_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fabgate-collector setup"):
        turned(FakeComputer(tmp_path / "root"))


# --- kills ------------------------------------------------------------------------------------------------------------


@contextmanager
def killed_at(place: int, check: Any) -> Iterator[list[str]]:
    """Die before or after the n-th change of a file, from 0; `check` is called after each. Yields what was changed."""
    done: list[str] = []

    def around(function: Any) -> Any:
        def counted(self: Path, *arguments: Any, **options: Any) -> Any:
            step(f"before {function.__name__} {self.name}")
            found = function(self, *arguments, **options)
            step(f"after {function.__name__} {self.name}")
            return found

        return counted

    def step(what: str) -> None:
        check()
        done.append(what)
        if len(done) - 1 == place:
            raise Killed

    with (
        mock.patch.object(Path, "replace", around(Path.replace)),
        mock.patch.object(Path, "unlink", around(Path.unlink)),
    ):
        yield done


def last_step(computer: FakeComputer) -> None:
    pass_days(computer, 30)
    run.renew(computer, (), say=lambda _: None)


STEPS = {
    "begin": ([], turned),
    "sign": ([turned], turned),
    "drop": ([turned, turned], lambda computer: turned(computer, drops=True)),
    "over": ([turned, turned], last_step),
}


@pytest.mark.parametrize("step", list(STEPS))
def test_a_kill_at_any_moment_leaves_servers_that_are_trusted_and_the_same_command_completes(
    tmp_path: Path, step: str
) -> None:
    earlier, last = STEPS[step]

    def begun(name: str) -> FakeComputer:
        computer = made(tmp_path / name)
        for one in earlier:
            one(computer)
        return computer

    whole = begun("whole")
    with killed_at(-1, lambda: signers(whole)) as done:
        last(whole)
    assert len(done) > 3
    for at in range(len(done)):
        computer = begun(str(at))
        with pytest.raises(Killed), killed_at(at, lambda computer=computer: signers(computer)):
            last(computer)
        signers(computer)
        if step != "over" or computer.is_there(f"{paths.ETC}/authority/before.crt"):
            repeat(computer, step)
        assert len(signers(computer)) == 1
        run.renew(computer, (), say=lambda _: None)
        assert files(computer) == files(whole), (at, done[at])
        assert len(published(computer)) == len(published(whole)), (at, done[at])
        assert len(signers(computer)) == 1
        ssl.create_default_context(cafile=computer.path(paths.CA))


def test_gates_are_asked_only_about_what_is_published(computer: FakeComputer) -> None:
    """Otherwise each gate would seem to have an authority that it cannot have heard of."""
    with pytest.raises(Killed), killed_at(1, lambda: None) as done:
        turned(computer)
    assert done == ["before unlink .next.pem.new", "after unlink .next.pem.new"]
    with pytest.raises(Killed), killed_at(3, lambda: None) as done:
        turned(computer)
    assert done[-1] == "after replace .next.pem.new"
    assert len(published(computer)) == 1
    asked = []

    def answer(self: FakeComputer, *command: str, **options: Any) -> Any:
        if command == (paths.PROGRAM, "gates", "--json"):
            asked.append(len(published(computer)))
        return run_(self, *command, **options)

    run_ = FakeComputer.run
    with mock.patch.object(FakeComputer, "run", answer):
        turned(computer)
    assert asked == [2]


def test_the_old_authority_is_dropped_only_after_what_it_signed_is_replaced(computer: FakeComputer) -> None:
    """The turn was killed before it renewed a certificate, and nobody ran anything for a month."""
    turned(computer)
    with pytest.raises(Killed), mock.patch.object(run, "do", side_effect=Killed):
        turned(computer)
    (old,) = signers(computer)
    assert published(computer)[0] == old, "the file is not written yet"
    pass_days(computer, 30)
    with killed_at(-1, lambda: signers(computer)) as done:
        run.renew(computer, (), say=lambda _: None)
    assert "after replace .broker.pem.new" in done
    assert old not in published(computer)


def repeat(computer: FakeComputer, step: str) -> None:
    """Run the command again, as a person does who saw it end too early: not beyond its own step."""
    folder = computer.path(f"{paths.ETC}/authority")
    if step == "begin" and (folder / "next.pem").exists():
        computer.gates = [LACKS]
        turned(computer)
    elif step == "over":
        run.renew(computer, (), say=lambda _: None)
    elif step != "drop" or (folder / "before.crt").exists():
        turned(computer, drops=step == "drop")


def files(computer: FakeComputer) -> list[str]:
    folder = computer.path(paths.ETC)
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.name.endswith(".new"))
