"""Lists of members in files."""

from __future__ import annotations

import argparse
from pathlib import Path

from fabgate.collector.cli import people

HEADER = "id,name,badges,lang,level,valid_until,machines"


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join((HEADER, *lines)) + "\n", encoding="utf-8")
    return path


def import_(path: Path, text: str | bytes, *, new: int | None = None) -> None:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    people.import_members(argparse.Namespace(file=str(path), dates="", plans_from=None, sure=False, new=new))
