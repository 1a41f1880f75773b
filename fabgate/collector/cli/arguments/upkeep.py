"""The arguments of ``backup``, ``restore``, ``rollback`` and ``doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fabgate.collector.cli.arguments import shared

#: Where fabgate-collector-backup.service puts the copies.
_COPIES: Final = "/var/lib/fabgate-collector-copies"
#: Where the copies from before updates are.
BEFORE_UPDATE: Final = f"{_COPIES}/before-update"
_BACKUP: Final = (
    "The file holds the database as it is at this moment, the keys, and the gates' tokens, each with a checksum. Anybody"
    " who has it can open every machine, so keep it where only you can read it. Nothing has to be stopped, and an"
    " existing file is never replaced. Copy a database on PostgreSQL with pg_dump, and restore it with pg_restore"
    " and then `migrate --restored`."
)
_RESTORE: Final = (
    "Stop the collector first. The gates send again what they wrote after the copy was made, as far as they still have"
    " it (journal.keep_days in gate.yaml); changes made on pages since then have to be repeated. Rosters are rebuilt"
    " at the next start, and everybody has to sign in again."
)
_ROLLBACK: Final = (
    "It tells what is lost by going back to the newest copy that `migrate --copy` made before an update changed the tables:"
    " changes of people, closed months, credits, and sessions that no gate has any more. Without --yes nothing is changed,"
    " and the collector may run. Install the earlier version before --yes, and stop the collector. What was there is kept."
)
_DOCTOR: Final = (
    "Each finding is ok, warn or FAIL with the next step, or says why it was not checked. Nothing is made, migrated or"
    " sent; the broker's account is tried with empty messages that nobody receives. The exit code is 1 if a check failed."
    " docs/reference.md lists the findings."
)


_USE_PACKAGE: Final = (
    "The package fabgate-collector has to be installed. Database, keys and settings stay where they are; units and scripts of the"
    " installation by hand go to a folder of /var/backups. Everything is checked first, and a failed step is undone. If it is"
    " interrupted, run it again. Call the program of the package by its whole path, /usr/sbin/fabgate-collector."
)


def add_verbs(add: shared.Add) -> None:
    """Add the verbs by `add`."""
    backup = add(
        "backup",
        "upkeep.backup",
        "copy database and keys to one file",
        "backup",
        about=_BACKUP,
        example="/srv/copies/monday.tar.gz",
        prepares=False,
    )
    restore = add(
        "restore",
        "upkeep.backup",
        "restore database and keys from a copy",
        "restore",
        about=_RESTORE,
        example="/srv/copies/monday.tar.gz --replace",
        prepares=False,
    )
    new = "a new file NAME.tar.gz, with mode 0600; or an existing folder, in which it is named after site and time"
    for verb, text in ((backup, new), (restore, "a file made by 'backup'")):
        verb.add_argument("file", metavar="FILE", help=text)
    backup.add_argument("--keep", type=int, metavar="N", help="in a folder: delete all but the newest N copies")
    restore.add_argument("--replace", action="store_true", help="move the existing collector aside")
    _add_rollback(add)
    verb = add(
        "use-package",
        "upkeep.use_package",
        "move from an installation by hand to the Debian package",
        "use_package",
        about=_USE_PACKAGE,
        as_root=True,
    )
    verb.add_argument("--yes", action="store_true", help="do not ask")
    verb = add(
        "doctor",
        "upkeep.doctor",
        "examine the collector, its computer and its broker, and say what to do",
        "doctor",
        about=_DOCTOR,
        prepares=False,
    )
    verb.add_argument(
        "--copies",
        type=Path,
        default=Path(_COPIES),
        metavar="DIR",
        help="the folder of the nightly copies (default: %(default)s)",
    )
    verb.add_argument(
        "--root",
        type=Path,
        default=Path("/"),
        metavar="DIR",
        help="read /etc, /proc and /usr below this folder (default: %(default)s)",
    )
    verb.add_argument("--json", action="store_true", help="print the findings as JSON")


def _add_rollback(add: shared.Add) -> None:
    verb = add(
        "rollback",
        "upkeep.rollback",
        "say what going back to before an update would lose, and go back",
        "rollback",
        about=_ROLLBACK,
        prepares=False,
    )
    verb.add_argument(
        "--copies",
        type=Path,
        default=Path(BEFORE_UPDATE),
        metavar="FOLDER",
        help="the folder of the copies from before updates (default: %(default)s)",
    )
    verb.add_argument("--yes", action="store_true", help="go back")
    shared.as_json(verb)
