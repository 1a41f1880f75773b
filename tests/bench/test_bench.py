"""Does `make bench` know every promised measurement, and write what it promises?"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench.figures import Figure, Measurement, in_turn, percentile, save, table, turns
from bench.process import BenchError, calling
from bench.run import Run
from bench.running import packages

ROOT = Path(__file__).parents[2]
#: The ids of the numbers that are promised, of the gate and of the collector.
OF_THE_GATE = [
    "decide",
    "live-price",
    "tap-to-power",
    "tap-to-off",
    "off-in-stall",
    "tap-to-light",
    "panel-stall",
    "plug",
    "roster-swap",
    "roster-size",
    "spi-transfers",
    "chain",
    "idle-cpu",
    "reader-idle",
    "idle-writes",
    "memory",
    "start",
    "flush",
    "package-size",
    "install",
    "join",
]
OF_THE_COLLECTOR = [
    "ingest",
    "ingest-defaults",
    "ingest-pg",
    "ingest-history",
    "latency",
    "fleet",
    "pages",
    "reports",
    "export",
    "floor",
    "roster-push",
    "roster-crowd",
    "first-page",
    "verify",
    "rate",
    "close",
    "statement",
]
PROMISED = OF_THE_GATE + OF_THE_COLLECTOR


def test_every_promised_measurement_is_there_and_names_each_figure_once():
    assert list(bench.IDS) == PROMISED
    for id_ in PROMISED:
        names = [figure.what for figure in bench.measurement(id_).figures]
        assert names
        assert len(set(names)) == len(names)


def test_a_measurement_writes_its_figures(tmp_path, capsys):
    results = tmp_path / "results.json"
    assert bench.main(["--only", "spi-transfers"], results=results) == 0
    rows = json.loads(results.read_text())
    assert {row["id"] for row in rows} == {"spi-transfers"}
    for row in rows:
        assert {"id", "value", "unit", "goal", "meets"} <= set(row)
        assert len(row["passes"]) == 5
    assert [row["meets"] for row in rows] == [True, True, True, True, None]
    assert [row["value"] for row in rows if row["meets"] is None] == [2013]
    assert "no card, the stock package" in capsys.readouterr().out


def test_the_largest_file_of_each_package_counts_and_where_none_is_built_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "DIST", tmp_path)
    figures = bench.measure("package-size")
    assert [figure.meets for figure in figures] == [None] * 3
    assert "make packages builds it" in figures[0].note
    for name, size in (
        ("fabgate-gate_1_all", 1_200_000),
        ("fabgate-mfrc522_1_all", 30_000),
        ("fabgate-collector_1_amd64", 20),
        ("fabgate-collector_1_arm64", 23_000_000),
    ):
        (tmp_path / f"{name}.deb").write_bytes(b"")
        os.truncate(tmp_path / f"{name}.deb", size)
    figures = bench.measure("package-size")
    assert [(figure.value, figure.meets) for figure in figures] == [(1.2, False), (0.03, True), (23, True)]


def test_an_installation_is_compared_with_apt_alone_and_without_a_run_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "REPORT", tmp_path / "install.json")
    assert "make test-install-core writes it" in bench.measure("install")[0].note
    packages.REPORT.write_text('{"first_page_s": 30.0, "debian_s": 20.0}')
    assert [figure.value for figure in bench.measure("install")] == [1.5, 30]
    assert "make test-install-core writes it" in bench.measure("join")[0].note
    packages.REPORT.write_text('{"join_s": 4.5}')
    assert [(figure.value, figure.meets) for figure in bench.measure("join")] == [(4.5, True)]


def test_another_interpreter_measures_after_our_own_and_its_figures_name_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "TWICE", ("spi-transfers",))
    results = tmp_path / "results.json"
    assert bench.main(["--only", "spi-transfers", "--beside", sys.executable], results=results) == 0
    rows = json.loads(results.read_text())
    own, other = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    name = f" (Python {platform.python_version()})"
    assert [row | {"what": row["what"] + name} for row in own] == other
    assert f"spi-transfers, by {bench.versions()}:" in capsys.readouterr().out


def test_an_unknown_measurement_is_refused_and_the_known_ones_are_named():
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--only", "nonsense"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "nonsense" in done.stderr
    assert all(id_ in done.stderr for id_ in PROMISED)


def test_a_measurement_that_breaks_is_an_error_and_a_missed_goal_is_none(tmp_path, monkeypatch, capsys):
    def measure(id_: str) -> list[Figure]:
        if id_ == "decide":
            raise RuntimeError("the disk is gone")
        return [Figure("p50", "ms", 1, id=id_, passes=[2.0, 3.0, 4.0])]

    monkeypatch.setattr(bench, "measure", measure)
    results = tmp_path / "results.json"
    assert bench.main(["--only", "chain"], results=results) == 0
    assert json.loads(results.read_text())[0]["meets"] is False
    assert bench.main([], results=results) == 1
    assert "decide" in capsys.readouterr().err
    assert len(json.loads(results.read_text())) == len(OF_THE_GATE) - 1
    assert bench.main(["--set", "collector"], results=results) == 0
    assert [row["id"] for row in json.loads(results.read_text())] == OF_THE_COLLECTOR


@pytest.mark.parametrize(
    ("figure", "meets", "goal"),
    [
        (Figure("b", "ms", 2, passes=[1, 9, 2]), True, "<= 2"),
        (Figure("b", "ms", 2, passes=[3, 9, 2]), False, "<= 2"),
        (Figure("b", "ratio", 0.4, at_least=True, passes=[0.4]), True, ">= 0.4"),
        (Figure("b", "ratio", 0.4, at_least=True, passes=[0.3]), False, ">= 0.4"),
        (Figure("b", "ms"), None, ""),
    ],
)
def test_the_median_is_held_against_the_goal(figure, meets, goal):
    assert figure.meets is meets
    assert figure.goal == goal


def test_what_was_not_measured_says_so(tmp_path):
    figure = Figure("off", "ms", 50, note="not measured: ptrace is not allowed", id="off-in-stall")
    assert "not measured" in table([figure])
    assert "ptrace is not allowed" in table([figure])
    save([figure], tmp_path / "r.json")
    found = json.loads((tmp_path / "r.json").read_text())[0]
    assert (found["value"], found["meets"]) == (None, None)


def test_a_percentile_is_a_measured_value():
    assert percentile(list(range(1, 101)), 0.99) == 99
    assert percentile([5.0], 0.999) == 5.0


def test_each_pass_gives_a_value_of_each_figure_or_none(tmp_path):
    def passes(run):
        yield 1.0, 2.0
        run.notes["late"] = "found in the run"
        yield 3.0, None

    figures = Run("id", tmp_path, tmp_path).take(Measurement(passes, [Figure("early", "ms", 2), Figure("late", "s")]))
    assert [(one.id, one.what, one.passes, one.note) for one in figures] == [
        ("id", "early", [1.0, 3.0], ""),
        ("id", "late", [2.0], "found in the run"),
    ]


def test_a_measurement_without_a_pass_is_not_measured(tmp_path):
    figures = Run("id", tmp_path, tmp_path).take(
        Measurement(lambda _run: iter(()), [Figure("a", "ms"), Figure("b", "ms")])
    )
    assert [(one.what, one.value) for one in figures] == [("a", None), ("b", None)]


def test_the_sides_of_a_comparison_take_turns():
    order: list[str] = []
    sides = [lambda name=name: order.append(name) or name for name in "abc"]
    assert in_turn(1, *sides) == in_turn(2, *sides) == ["a", "b", "c"]
    assert order == ["a", "b", "c", "c", "b", "a"]
    order.clear()
    assert turns(2, *sides) == [["a", "a"], ["b", "b"], ["c", "c"]]
    assert order == ["a", "b", "c", "a", "b", "c"]


def test_a_function_is_called_in_a_process_and_one_that_fails_ends_it(capfd):
    with calling("bench.usage") as process:
        assert process.call("own_peak_mib") > 1
        with pytest.raises(BenchError, match=r"bench\.calls bench\.usage ended with 1"):
            process.call("core_share", "soon")
    assert "TypeError" in capfd.readouterr().err
