"""A move to the package: what is where afterwards, and what stays as it was."""

from __future__ import annotations

import pytest

from fabgate.by_hand import use_package
from fabgate.by_hand.part import COLLECTOR, GATE
from fabgate.by_hand.unit_changes import DROP_IN
from fabgate.computer import Answer
from fabgate.doctor import shipped
from fabgate.errors import FabgateError
from tests.by_hand import emulated
from tests.by_hand.emulated import ENABLED, ETC, GATE_UNIT, LIB, NEW, SERVICES, UNITS
from tests.deploy.places import SYSTEMD
from tools.packages import paths

LINK = "/usr/local/bin/fabgate"
VERB = "/usr/local/sbin/fabgate-collector"
WATCHDOG = "/etc/systemd/system.conf.d/10-fabgate-watchdog.conf"
parts = pytest.mark.parametrize("part", [GATE, COLLECTOR], ids=["gate", "collector"])


def prepared(computer, *parts):
    for part in parts:
        computer.install_by_hand(part)
        computer.install_package(part)
    return computer


@parts
def test_the_package_is_enabled_and_runs_and_nothing_by_hand_is_in_its_way(computer, part):
    prepared(computer, part)
    assert set(computer.programs(part).values()) == {"by hand"}
    computer.move(part)
    assert computer.programs(part).keys() >= {*ENABLED[part]} - {emulated.FIREWALL}
    assert set(computer.programs(part).values()) == {"package"}
    for unit in ENABLED[part]:
        assert computer.enabled(unit) == [f"{LIB}/{unit}"]
    for name in (*(f"{ETC}/{unit}" for unit in UNITS[part]), *part.scripts, LINK):
        assert not computer.is_there(name), name
    assert not part.is_by_hand(computer)


@parts
def test_each_file_that_is_moved_is_whole_in_the_backup_folder(computer, part):
    before = prepared(computer, part).files()
    said = computer.move(part)
    (folder,) = computer.system.found(f"/var/backups/fabgate-by-hand/{part.name}-*")
    gone = {name: text for name, text in before.items() if name not in computer.files() and text != "a folder"}
    kept = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_symlink() or path.is_file()}
    assert gone.keys() < kept.keys()
    for name, text in gone.items():
        path = kept[name]
        assert text == (f"link to {path.readlink()}" if path.is_symlink() else path.read_text())
        assert f"/{name}" in said
    assert folder.stat().st_mode & 0o077 == 0


@parts
def test_settings_data_and_drop_ins_stay(computer, part):
    prepared(computer, part)
    unit = UNITS[part][-1]
    computer.put(f"{ETC}/{unit}.d/10-own.conf", "[Service]\nNice=5\n")
    before = computer.files()
    computer.move(part)
    after = computer.files()
    for name in before:
        if name.startswith(("etc/fabgate", "var/lib", "opt/fabgate")) or name.endswith("10-own.conf"):
            assert after[name] == before[name]


@parts
def test_the_doctor_examines_what_was_moved_and_the_person_reads_it(computer, part):
    prepared(computer, part).move(part)
    assert computer.shown == [(part.program, "doctor")]


@parts
def test_the_person_reads_what_happens_to_the_machines(computer, part):
    said = prepared(computer, part).move(part)
    assert ("the power of its machine goes off" in said) is (part is GATE)
    assert ("the gates go on, and keep what they record" in said) is (part is COLLECTOR)


def test_the_limits_of_connections_stay_loaded(computer):
    stopped = []
    stop = computer._stop
    computer._stop = lambda unit: stopped.append(unit) or stop(unit)
    prepared(computer, COLLECTOR).move(COLLECTOR)
    assert emulated.SOCKET in stopped
    assert emulated.FIREWALL not in stopped


def test_each_unit_that_is_shipped_for_a_part_moves_with_it():
    shipped_units = {path.name for path in SYSTEMD.glob("fabgate-*.*") if path.suffix != ".conf"}
    # docs/install-by-hand.md does not install these by hand: they belong to `setup` of the package.
    of_setup = {path.name for path in SYSTEMD.glob("fabgate-broker.*")}
    of_setup |= {path.name for path in SYSTEMD.glob("fabgate-collector-certificates.*")}
    assert {*UNITS[GATE], *UNITS[COLLECTOR]} == shipped_units - of_setup
    for part in (GATE, COLLECTOR):
        assert {*part.starters, *part.others} == {*UNITS[part]}
        assert all(part.unit.fullmatch(unit) for unit in (*UNITS[part], *part.running))


@pytest.mark.parametrize("required", [True, False])
def test_a_computer_that_has_to_be_started_again_is_named(computer, required):
    prepared(computer, GATE)
    if required:  # the package of the gate changed config.txt
        computer.put("/run/reboot-required", "")
    assert ("sudo reboot" in computer.move(GATE)) is required


def test_power_of_a_gate_goes_off_before_the_package_has_it(computer):
    prepared(computer, GATE)
    computer.move(GATE)
    assert computer.history == ["on, by hand", "off", "on, package"]


@parts
def test_what_was_neither_enabled_nor_running_is_neither_enabled_nor_started(computer, part):
    prepared(computer, part)
    computer.ask("systemctl", "stop", *computer.running)
    for path in computer.system.found(f"{ETC}/*.wants/*"):
        path.unlink()
    computer.move(part)
    assert not computer.running
    assert not computer.system.found(f"{ETC}/*.wants/*")
    assert not part.is_by_hand(computer)


def test_a_timer_alone_that_is_enabled_stays_the_only_one(computer):
    prepared(computer, COLLECTOR)
    computer.ask("systemctl", "stop", "fabgate-collector.target", emulated.SOCKET, *SERVICES)
    for path in computer.system.found(f"{ETC}/*.wants/*"):
        if path.name != emulated.TIMER:
            path.unlink()
    computer.move(COLLECTOR)
    assert computer.running == {emulated.TIMER: "package"}


@parts
def test_a_second_move_has_nothing_to_do(computer, part):
    prepared(computer, part).move(part)
    before = computer.files()
    assert computer.move(part).startswith("Nothing to do")
    assert computer.files() == before


@parts
def test_a_person_who_says_no_changes_nothing(computer, part):
    before = prepared(computer, part).files(but=("run",))
    said = computer.move(part, ask=lambda _question: False)
    assert said.endswith("Nothing was changed.")
    assert computer.files(but=("run",)) == before
    assert set(computer.programs(part).values()) == {"by hand"}


@pytest.mark.parametrize(("first", "second"), [(GATE, COLLECTOR), (COLLECTOR, GATE)], ids=["gate", "collector"])
def test_both_parts_of_one_computer_move_one_after_the_other(computer, first, second):
    prepared(computer, first, second)
    said = computer.move(first)
    assert set(computer.programs(first).values()) == {"package"}
    assert set(computer.programs(second).values()) == {"by hand"}
    assert f"apt install {second.package}, then sudo {second.program} use-package" in said
    assert "rm -r /opt/fabgate" not in said
    # The link is that of the gate, as long as there is one by hand.
    assert computer.is_there(LINK) is (first is COLLECTOR)
    assert "rm -r /opt/fabgate" in computer.move(second)
    assert set(computer.running.values()) == {"package"}
    assert not computer.is_there(LINK)


def test_the_link_goes_with_the_collector_where_the_gate_is_a_package_already(computer):
    prepared(computer, GATE, COLLECTOR).move(GATE)
    computer.path(LINK).symlink_to("/opt/fabgate/bin/fabgate")
    computer.move(COLLECTOR)
    assert not computer.is_there(LINK)


def test_a_watchdog_file_that_a_person_changed_stays(computer):
    prepared(computer, GATE)
    computer.put(WATCHDOG, "[Manager]\nRuntimeWatchdogSec=9\n")
    computer.move(GATE)
    assert computer.is_there(WATCHDOG)


def test_a_watchdog_file_as_it_came_is_moved_because_the_package_has_it(computer):
    prepared(computer, GATE).move(GATE)
    assert not computer.is_there(WATCHDOG)


def test_files_that_still_name_the_old_program_are_named(computer):
    prepared(computer, COLLECTOR)
    computer.put("/etc/cron.d/ours", "0 4 * * * root /opt/fabgate/bin/fabgate collector gates\n")
    assert "these files still name /opt/fabgate" in (said := computer.move(COLLECTOR))
    assert "/etc/cron.d/ours" in said


# --- units that a person changed --------------------------------------------------------------------------------------


def change(computer, unit, **lines):
    text = computer.text(f"{ETC}/{unit}") + "\n"
    for old, new in lines.values():
        assert old in text
        text = text.replace(old, new)
    computer.put(f"{ETC}/{unit}", text)


def effective(computer, unit):
    drop_ins = computer.system.found(f"{ETC}/{unit}.d/*.conf")
    return shipped.settings([computer.text(f"{LIB}/{unit}"), *(path.read_text() for path in drop_ins)])


def test_lines_of_a_person_go_on_working_in_a_drop_in(computer):
    prepared(computer, GATE)
    change(
        computer,
        GATE_UNIT,
        value=("MemoryMax=200M", "MemoryMax=222M"),
        list=("#IPAddressDeny=any", "IPAddressDeny=any"),
        password=("#LoadCredential=gate.token", "LoadCredential=gate.token"),
    )
    wanted = effective(computer, GATE_UNIT)
    said = computer.move(GATE)
    found = effective(computer, GATE_UNIT)
    different = {setting[1]: values for setting, values in found.items() if wanted.get(setting) != values}
    assert different == {
        "MemoryMax": ["222M"],
        "IPAddressDeny": ["any"],
        "LoadCredential": ["gate.token:/etc/fabgate/gate.token"],
    }
    assert (
        "a drop-in keeps LoadCredential=gate.token:/etc/fabgate/gate.token, IPAddressDeny=any, MemoryMax=222M" in said
    )


def test_a_list_that_a_person_shortened_is_that_list(computer):
    prepared(computer, GATE)
    change(computer, GATE_UNIT, pins=("DeviceAllow=char-spi rw\n", ""))
    computer.move(GATE)
    assert effective(computer, GATE_UNIT)["Service", "DeviceAllow"] == ["char-gpiochip rw"]


def test_a_line_that_switches_the_machine_off_is_that_of_the_package_again(computer):
    prepared(computer, GATE)
    change(computer, GATE_UNIT, off=("ExecStopPost=+/usr/lib/fabgate/line-off", "ExecStopPost=/bin/true"))
    said = computer.move(GATE)
    assert effective(computer, GATE_UNIT)["Service", "ExecStopPost"] == ["+/usr/lib/fabgate-gate/line-off"]
    assert "so they are not kept: ExecStopPost=/bin/true" in said


@parts
def test_a_unit_as_it_came_needs_no_drop_in(computer, part):
    prepared(computer, part).move(part)
    assert not computer.system.found(f"{ETC}/*.d/*")


@parts
def test_paths_are_those_that_the_package_has(part):
    for name in UNITS[part]:
        text = (SYSTEMD / name).read_text()
        wanted = shipped.settings([paths.adapted(text, part.package)])
        assert {
            key: [part.adapted(value) for value in values] for key, values in shipped.settings([text]).items()
        } == wanted


# --- a move that fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "fails"),
    [
        (GATE, "systemctl enable"),
        (COLLECTOR, emulated.RUNS),
        (COLLECTOR, emulated.RESTARTS),
        (COLLECTOR, "/usr/sbin/fabgate-collector migrate"),
        (COLLECTOR, "install"),
    ],
)
def test_a_move_that_fails_is_undone_and_says_why(computer, part, fails):
    prepared(computer, part)
    computer.put(f"{ETC}/{UNITS[part][0]}.d/10-own.conf", "[Unit]\nAfter=x.service\n")
    computer.tables = NEW
    before, running = computer.files(), dict(computer.running)
    computer.fails = fails
    with pytest.raises(FabgateError, match="the installation by hand is as it was, and runs again"):
        computer.move(part)
    assert computer.files() == before
    assert computer.running == running
    computer.fails = ""
    computer.move(part)
    assert set(computer.programs(part).values()) == {"package"}


@parts
def test_a_way_back_that_failed_ends_and_the_move_begins_again(computer, part):
    before, running = prepared(computer, part).files(), dict(computer.running)
    computer.tables, computer.fails = NEW, "systemctl daemon-reload"
    with pytest.raises(FabgateError, match=r"could not be restored .* run the same command again"):
        computer.move(part)
    computer.fails = "systemctl enable"  # the way back works again, and the move fails for another reason
    with pytest.raises(
        FabgateError, match=r"(?s)systemctl enable .*the installation by hand is as it was, and runs again"
    ):
        computer.move(part)
    assert (computer.files(), computer.running) == (before, running)
    computer.fails = ""
    computer.move(part)
    assert set(computer.programs(part).values()) == {"package"}


@parts
def test_a_move_that_was_interrupted_while_it_was_undone_is_made_by_the_same_command(computer, part):
    prepared(computer, part)
    computer.tables, computer.fails = NEW, "systemctl daemon-reload"
    with pytest.raises(FabgateError, match="could not be restored"):
        computer.move(part)
    computer.fails = ""
    said = computer.move(part)
    assert "The installation by hand is as it was, and runs again. The move begins again." in said
    assert set(computer.programs(part).values()) == {"package"}


def test_a_move_that_fails_before_its_first_change_removes_nothing(computer):
    prepared(computer, GATE)
    computer.put(f"{ETC}/{GATE_UNIT}", computer.text(f"{ETC}/{GATE_UNIT}").replace("MemoryMax=200M", "MemoryMax=222M"))
    computer.put(f"{ETC}/{GATE_UNIT}.d/{DROP_IN}", "[Unit]\nAfter=x.service\n")
    before = computer.files()
    ask, failed = computer.ask, []

    def fails_once(*command):
        if command[1] == "stop" and not failed:
            failed.append(command)
            return Answer(1, "", "Job failed.")
        return ask(*command)

    computer.ask = fails_once
    with pytest.raises(FabgateError, match="Job failed"):
        computer.move(GATE)
    assert computer.files() == before
    assert computer.running == {GATE_UNIT: "by hand"}


def test_a_service_that_restarts_while_it_is_watched_is_named(computer):
    prepared(computer, COLLECTOR)
    computer.fails = emulated.RESTARTS
    with pytest.raises(
        FabgateError, match=r"fabgate-collector@web.service: .* journalctl -u fabgate-collector@web.service"
    ):
        computer.move(COLLECTOR)
    assert set(computer.running.values()) == {"by hand"}


# --- tables -----------------------------------------------------------------------------------------------------------


def test_tables_change_once_after_both_copies(computer):
    prepared(computer, COLLECTOR)
    computer.tables = NEW
    computer.put(emulated.DATABASE, "tables 1\na row\n")
    assert "copy the database, and change its tables" in computer.move(COLLECTOR)
    assert (computer.tables_of_database(), computer.rows()) == (NEW, ["a row"])
    copies = computer.system.found("/var/backups/fabgate-by-hand/*/var/lib/fabgate-collector/collector.db")
    assert [path.read_text() for path in copies] == ["tables 1\na row\n"]
    assert computer.is_there("/var/lib/fabgate-collector-copies/before-update/copy")


def test_on_postgresql_a_failure_before_the_tables_change_is_undone(computer):
    prepared(computer, COLLECTOR)
    computer.tables, computer.on_postgresql, computer.fails = NEW, True, "/usr/sbin/fabgate-collector migrate"
    before = computer.files()
    with pytest.raises(FabgateError, match="is as it was"):
        computer.move(COLLECTOR)
    assert computer.files() == before


def test_on_postgresql_a_move_only_goes_on_once_the_tables_have_changed(computer):
    prepared(computer, COLLECTOR)
    computer.tables, computer.on_postgresql, computer.fails = NEW, True, emulated.RUNS
    with pytest.raises(FabgateError, match="`/usr/sbin/fabgate-collector rollback` says the way back"):
        computer.move(COLLECTOR)
    assert computer.tables_of_database() == NEW
    assert not COLLECTOR.is_by_hand(computer)
    computer.fails = ""
    assert computer.move(COLLECTOR).startswith("An earlier move was interrupted")
    assert set(computer.running.values()) == {"package"}


def test_only_one_move_runs_at_a_time(computer):
    prepared(computer, GATE)

    def ask(_question):
        with pytest.raises(FabgateError, match="another use-package is running"):
            computer.move(GATE)
        return True

    assert use_package.run(computer, GATE, ask=ask, say=lambda _: None, ends_session=False) == 0
