"""Is garbage collected again once a gate has imported what it needs, and what is imported left alone?"""

from __future__ import annotations

import subprocess
import sys

from tests.support.patience import HANGS_S

RUN = """
import gc, sys
from fabgate.cli import main
code = main(["run", "--config", sys.argv[1]])
print(code, gc.isenabled(), gc.get_freeze_count() > 10_000)
"""


def test_garbage_is_collected_once_everything_is_imported(tmp_path):
    command = [sys.executable, "-c", RUN, str(tmp_path / "nowhere.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANGS_S, check=True)
    assert done.stdout == "2 True True\n", done.stderr
