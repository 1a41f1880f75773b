"""Dumps the tables of a collector on PostgreSQL to a file, and restores them, with PostgreSQL's own programs.

Their connection is the one that Django has. It is given in the environment, because arguments are visible to every account
of the computer, and a password may be among them.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from django.db import connection

from fabgate.collector.ground.base import data_folder
from fabgate.collector.processes import backup, ends
from fabgate.collector.processes.rollback import copies
from fabgate.errors import FabgateError, UsageError

_INSTALL: Final = "apt install postgresql-client"
#: How the names of our tables begin, and of those of Django.
_OURS: Final = ("collector_", "auth_", "django_")
#: A table in the list of a dump: its number, two ids, the kind, the schema, the name and the owner.
_LISTED: Final = re.compile(r"^\d+; \d+ \d+ TABLE \S+ (\S+) ", re.MULTILINE)
#: pg_restore 17 writes this for every server, within its first lines. It is 0 anyway.
_OF_17: Final = b"SET transaction_timeout = 0;\n"
_HEAD: Final = 40
_AT_ONCE: Final = 1 << 20
#: For how long other programs may keep using a table that is to be replaced.
_OTHERS_END: Final = "60s"


def dump(target: Path) -> None:
    """Write a dump of the connected database, as it is at one moment, to a new file with mode 0600.

    Raises UsageError if pg_dump is missing or too old, or the file cannot be written, and FabgateError if it fails.
    """
    program = _program("pg_dump")
    part = target.with_name(f"{copies.TEMPORARY}{target.name}")
    try:
        try:
            with open(part, "xb", opener=_private) as file:
                _run([program, "--format=custom"], stdout=file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        data_folder.sync_directory(target.parent)
    except OSError as error:
        backup.refuse_full(error, target.parent)
        raise UsageError(f"{target} cannot be written ({error.strerror or error})") from error


def steps(source: Path) -> set[str]:
    """Return the migrations of the database in a dump. Raises UsageError if it cannot be read."""
    rows = _rows(source, "django_migrations")
    return {f"{row['app']}.{row['name']}" for row in rows if {"app", "name"} <= row.keys()}


def last(source: Path) -> ends.Ends:
    """Return where the tables in a dump end, without reading the large ones. Raises UsageError if it cannot be read."""
    found: dict[str, int | str] = {}
    for table, column in ends.COLUMNS.items():
        if column == "id":
            # What gives the numbers is a few bytes. It may be past the last row, never before it.
            given = re.search(r"setval\('[^']+', (\d+), true\)", _data(source, f"{table}_{column}_seq"))
            values: list[int | str] = [int(given[1])] if given else []
        else:
            values = [row[column] for row in _rows(source, table) if column in row]
        if values:
            found[table] = max(values)
    return found


def _rows(source: Path, table: str) -> list[dict[str, str]]:
    """Return the rows of a small table in a dump, as text."""
    lines = _data(source, table).splitlines()
    head = next((n for n, line in enumerate(lines) if line.startswith("COPY ")), len(lines))
    columns = re.findall(r"\w+", lines[head].partition("(")[2].partition(")")[0]) if head < len(lines) else []
    return [dict(zip(columns, line.split("\t"), strict=False)) for line in lines[head + 1 :] if "\t" in line]


def _data(source: Path, name: str) -> str:
    """Return the statements that fill a table, or set a sequence. Raises UsageError if the dump cannot be read."""
    program = _program("pg_restore")
    with _read(source), tempfile.TemporaryFile() as out:
        _run([program, "--data-only", f"--table={name}", "--file=-", str(source)], stdout=out)
        out.seek(0)
        return out.read().decode()


def restore(source: Path, *, lock: int) -> None:
    """Replace the tables of the connected database by those of a dump, all of them or none.

    `lock` is the handle of a lock, which lasts until PostgreSQL's programs have ended, even if this process is killed.
    Raises UsageError if the programs are missing, and FabgateError if the dump cannot be restored.
    """
    restoring, client = _program("pg_restore"), _program("psql")
    with _read(source), tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as read:
        # pg_restore alone would fail at a foreign key of a table that only the newer version has, and leave such tables.
        # Nothing is committed before pg_restore has read the whole dump: this process sends COMMIT, or nobody does.
        into = subprocess.Popen(  # noqa: S603 (PostgreSQL's own)
            [client, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-"],
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            pass_fds=(lock,),
        )
        assert into.stdin is not None
        read_code = -1
        with suppress(BrokenPipeError), into:  # psql has ended, and says why
            into.stdin.write(_clearing(_tables_in(source)).encode())
            into.stdin.flush()
            with subprocess.Popen(  # noqa: S603 (as above)
                [restoring, "--clean", "--if-exists", "--no-owner", f"--schema={_schema()}", "--file=-", str(source)],
                env=_environment(),
                stdout=subprocess.PIPE,
                stderr=read,
                pass_fds=(lock,),
            ) as out:
                assert out.stdout is not None
                _copy_statements(out.stdout, into.stdin)
            read_code = out.returncode
            if read_code == 0:
                into.stdin.write(b"COMMIT;\n")
        if into.returncode or read_code:
            why = _text(said) or _text(read) or f"it ended with {into.returncode or read_code}"
            raise FabgateError(f"{source} could not be restored, and the database is as it was ({why})")


def _copy_statements(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy what pg_restore writes, without a setting at its head that a server before 17 does not know."""
    for line in itertools.islice(source, _HEAD):
        if line != _OF_17:
            target.write(line)
    shutil.copyfileobj(source, target, _AT_ONCE)


def _clearing(dumped: set[str]) -> str:
    """Return the statements that begin a restore: no other program uses our tables, and no newer one is left."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid::regclass::text, relname FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY oid"
        )
        ours = {table: plain for table, plain in cursor.fetchall() if plain.startswith(_OURS)}
        cursor.execute(
            "SELECT conrelid::regclass::text, quote_ident(conname) FROM pg_constraint"
            " WHERE contype = 'f' AND connamespace = current_schema()::regnamespace ORDER BY oid"
        )
        keys = [(table, key) for table, key in cursor.fetchall() if table in ours]
    newer = [table for table, plain in ours.items() if plain not in dumped]
    return "\n".join(
        [
            "BEGIN;",
            f"SET LOCAL lock_timeout = '{_OTHERS_END}';",
            *([f"LOCK TABLE {', '.join(ours)} IN ACCESS EXCLUSIVE MODE;"] if ours else []),
            *(f"ALTER TABLE {table} DROP CONSTRAINT {key};" for table, key in keys),
            *([f"DROP TABLE {', '.join(newer)};"] if newer else []),
            "",
        ]
    )


def _tables_in(source: Path) -> set[str]:
    with tempfile.TemporaryFile() as out:
        _run([_program("pg_restore"), "--list", str(source)], stdout=out)
        out.seek(0)
        return set(_LISTED.findall(out.read().decode()))


def _schema() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        return str(cursor.fetchone()[0])


def _program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs. Raises UsageError if it is missing, or older than the server."""
    server = connection.pg_version // 10000  # type: ignore[attr-defined]  # of PostgreSQL's connection
    found = shutil.which(name)
    if found is None:
        raise UsageError(f"found no {name}, wanted that of PostgreSQL {server} or newer; {_INSTALL}")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603 (as above)
    version = re.search(r"\d+", said)
    if version is None or int(version[0]) < server:
        raise UsageError(
            f"found {said.strip() or found}, which is older than the server, wanted {name} of PostgreSQL {server} or"
            f" newer; {_INSTALL}-{server}, or {_INSTALL} of a newer Debian"
        )
    return found


def _run(command: list[str], *, stdout: IO[bytes]) -> None:
    """Run one of PostgreSQL's programs. Raises OSError for a full disk, and FabgateError for everything else."""
    done = subprocess.run(  # noqa: S603 (as above)
        command, env=_environment(), stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, check=False
    )
    if done.returncode:
        why = " ".join(done.stderr.decode(errors="replace").split())
        if os.strerror(errno.ENOSPC) in why:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise FabgateError(f"{Path(command[0]).name} failed ({why or done.returncode})")


def _environment() -> Mapping[str, str]:
    """Return the environment in which PostgreSQL's programs connect as Django does."""
    from psycopg import pq  # noqa: PLC0415 (installed only where PostgreSQL is used)

    given = connection.get_connection_params()
    ours = {"LC_ALL": "C"}
    for option in pq.Conninfo.get_defaults():
        value = given.get(option.keyword.decode())
        if option.envvar and value is not None:
            ours[option.envvar.decode()] = str(value)
    return {**os.environ, **ours}


@contextmanager
def _read(source: Path) -> Iterator[None]:
    """Name the file of which the block says that it cannot be read."""
    try:
        yield
    except FabgateError as error:
        if isinstance(error, UsageError) or str(source) in str(error):
            raise
        raise UsageError(f"{source} cannot be read ({error}); use another copy") from error


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return " ".join(file.read().decode(errors="replace").split())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
