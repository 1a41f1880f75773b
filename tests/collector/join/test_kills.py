"""Is there ever half a gate, if gate and collector are killed while they join?"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from fabgate.collector.ground.models import Gate, JoinCode
from fabgate.collector.members.machines import joins
from fabgate.gate.config import gate_yaml
from fabgate.gate.joining.files import Files
from fabgate.join import code as codes
from tests.collector.join import kills
from tests.collector.join.joining import new_code
from tests.collector.join.lines import Line

pytestmark = [pytest.mark.usefixtures("env"), pytest.mark.kills, pytest.mark.chance]
#: How many joins by chance, of three each: one with kills, one of a replaced card, and one that ends well.
JOINS = 1_000 if os.environ.get("FABGATE_SOAK") else 100
#: More moments than a gate, or a request to the collector, has: kills at random ones hit each.
GATE_MOMENTS, COLLECTOR_MOMENTS = 75, 40


@pytest.fixture(autouse=True)
def loaded(env) -> None:
    """Load what the first request of a process loads, so that not each of the forked ones does."""
    Line().post("/api/v1/join/begin", b"")


def attempt(files: Files, gate: int | None = None, collector: tuple[int, int] | None = None) -> int:
    code = JoinCode.objects.order_by("-pk").first()
    assert code is not None
    ended = kills.attempt(files, codes.parse(joins.text_of(code)), gate=gate, collector=collector)
    assert ended in (kills.JOINED, kills.REFUSED, kills.KILLED)
    return ended


def check(files: Files, env: Any) -> None:
    """Fail unless both sides have a whole gate or none; the collector has one only if the gate has its files."""
    if not files.config.exists():
        assert not Gate.objects.exclude(token_hash="").exists(), "the collector has a gate that has no gate.yaml"
        return
    config = gate_yaml.load(files.config)  # it fails if one of the files is missing or cut off
    assert config.roster.token_file is not None
    token = (files.folder / config.roster.token_file).read_text().strip()
    row = Gate.objects.exclude(token_hash="").filter(name=config.gate).first()
    if row is not None:
        assert Gate.by_token(config.gate, token) is not None, "the collector has a token that the gate has not"


def finish(files: Files, env: Any) -> None:
    """Join without kills, as a person does who runs the command again, and makes a new code if it is refused."""
    for _ in range(4):
        if attempt(files) == kills.JOINED:
            break
        code = JoinCode.objects.order_by("-pk").first()
        assert code is not None
        if code.is_closed or code.agreed is not None:
            new_code(build="emulated", replaces=Gate.objects.exclude(token_hash="").exists())
    else:
        pytest.fail("the gate does not join any more")
    check(files, env)
    config = gate_yaml.load(files.config)
    assert config.gate_key_file is not None
    keys = (files.folder / config.gate_key_file).read_text()
    assert (env.gate_directory("saw-1") / "seal.keys").read_text() == keys
    assert Gate.objects.exclude(token_hash="").count() == 1
    assert not files.pending.exists()


def test_there_are_fewer_moments_than_are_tried(env, tmp_path):
    """And at each of the first ones a process does die, or the test below would show nothing."""
    new_code(build="emulated")
    files = Files(tmp_path / "pi" / "gate.yaml")
    assert attempt(files, gate=GATE_MOMENTS) == kills.JOINED
    new_code(build="emulated", replaces=True)
    assert attempt(files, gate=0) == kills.KILLED
    assert attempt(files, collector=(0, 0)) == kills.REFUSED
    assert attempt(files, collector=(2, COLLECTOR_MOMENTS)) == kills.JOINED


@pytest.mark.parametrize("seed", range(10))
def test_kills_at_moments_by_chance_leave_no_half_gate(env, tmp_path, seed):
    chance = random.Random(seed)
    for number in range(JOINS // 10):
        Gate.objects.all().delete()
        JoinCode.objects.all().delete()
        files = Files(tmp_path / f"pi-{number}" / "gate.yaml")
        new_code(build="emulated")
        for _ in range(chance.randrange(1, 4)):
            if chance.random() < 0.5:
                attempt(files, gate=chance.randrange(GATE_MOMENTS))
            else:
                attempt(files, collector=(chance.randrange(3), chance.randrange(COLLECTOR_MOMENTS)))
            check(files, env)
        finish(files, env)
