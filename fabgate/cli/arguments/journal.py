"""The arguments and the help of ``fabgate journal`` and ``fabgate audit``."""

from __future__ import annotations

from typing import Any, Final

from fabgate.cli.arguments.shared import add_group, add_verb, with_json, with_state_folder

_JOURNAL: Final = """\
Print the entries of a gate's journal, the oldest first. Of a badge only the end of its digest is shown.
"""
_AUDIT: Final = """\
Check the journal's chain from its anchor on: each entry has the hash of the one before. Exit code 1 if it is broken.
"""


def add_verbs(verbs: Any) -> None:
    """Add the verbs to the subparsers `verbs`."""
    examples = ("fabgate journal --config gate.yaml", "fabgate journal --after 1200 --json")
    verb = add_verb(
        verbs, "journal", ("journal", "journal"), "print the entries of a gate's journal", _JOURNAL, *examples
    )
    with_state_folder(verb)
    verb.add_argument("--after", type=int, default=0, metavar="SEQ", help="print only entries after this number")
    with_json(verb, "print the stored entries unchanged, one JSON object per line")

    short = "check the journal"
    audits = add_group(verbs, "audit", short)
    short = "check that no entry was changed or removed"
    verb = add_verb(
        audits, "verify", ("journal", "audit_verify"), short, _AUDIT, "fabgate audit verify --config gate.yaml"
    )
    with_state_folder(verb)
    with_json(verb, "print the journal, its bounds and its first broken entry as JSON")
