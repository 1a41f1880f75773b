"""A folder of a closed month, which appears at once when all its files are written, and is never replaced."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final, Self

from fabgate.collector.money.billing.sinks.contract import Later

_SUMS: Final = "SHA256SUMS"


class MonthFolder:
    """A folder of a month, which appears when the block ends. Raises Later instead of an OSError.

    If it is there already, the files that the block writes first must have the same content: `write` compares them.
    """

    def __init__(self, parent: Path, name: str) -> None:
        self._folder = parent / name
        self._new = parent / f".{name}.new"
        self._sums: dict[str, str] = {}
        self._first = ""

    def __enter__(self) -> Self:
        """Make an empty folder next to the final one."""
        try:
            if not self._folder.parent.is_dir():
                raise Later(f"{self._folder.parent}: found no such folder; mount its disk, or make it")
            shutil.rmtree(self._new, ignore_errors=True)
            self._new.mkdir()
        except OSError as error:
            raise _later(error, self._new) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Let it appear, unless something went wrong."""
        try:
            if error is None:
                self._appear()
        except OSError as problem:
            raise _later(problem, self._folder) from problem
        finally:
            shutil.rmtree(self._new, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, Later):
            raise _later(error, self._folder) from error

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a file; the first one is the one that is compared."""
        with self.open(name) as file:
            file.writelines(chunks)

    def open(self, name: str) -> IO[bytes]:
        """Open a file for writing."""
        self._first = self._first or name
        self._sums[name] = ""
        return (self._new / name).open("w+b")

    def _appear(self) -> None:
        for name in self._sums:
            with (self._new / name).open("rb") as file:
                self._sums[name] = hashlib.file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())
        if self._folder.exists():
            self._compare()
            return
        sums = self._new / _SUMS
        sums.write_text("".join(f"{sha256}  {name}\n" for name, sha256 in self._sums.items()), encoding="ascii")
        for path in (sums, self._new):
            _sync(path)
        self._new.rename(self._folder)
        _sync(self._folder.parent)

    def _compare(self) -> None:
        try:
            lines = (self._folder / _SUMS).read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError):
            lines = []
        if f"{self._sums[self._first]}  {self._first}" not in lines:
            raise Later(
                f"{self._folder}: found another month than the one that was closed, as after a restore; compare them, and"
                " move the folder away"
            )


def _later(error: OSError, where: Path) -> Later:
    return error if isinstance(error, Later) else Later(f"{where}: {error.strerror or error}")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
