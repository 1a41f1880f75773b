"""The folder of a demo."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from fabgate.demo.start import folder_of
from fabgate.errors import UsageError


def test_a_demo_wants_an_empty_folder_that_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    for folder, problem in (
        (tmp_path, "the folder is not empty; give a new one"),
        (tmp_path / "old", "no folder can be used there"),
        (tmp_path / "old" / "new", "no folder can be used there"),
        (Path("/proc/new"), "no folder can be used there"),
        (tmp_path / ("n" * 100), "wanted at most 92"),
    ):
        with pytest.raises(UsageError, match=problem) as found, folder_of(folder):
            pass
        assert str(found.value).startswith(f"--data {folder}: ")
    with folder_of(None) as temporary:
        assert temporary.is_dir()
    assert not temporary.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_demo_wants_a_folder_that_it_may_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="cannot be written by you"), folder_of(tmp_path):
        pass


def test_a_folder_whose_paths_just_fit_takes_a_socket(tmp_path: Path) -> None:
    room = 92 - len(os.fsencode(tmp_path)) - 1
    if room < 1:
        pytest.skip("the temporary folder's own path is too long")
    with folder_of(tmp_path / ("n" * room)) as folder, socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(folder / "printer-1.sock"))
