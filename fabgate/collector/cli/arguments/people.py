"""The arguments of the verbs for people: their badges, plans, blocks and trainings."""

from __future__ import annotations

from typing import Final

from fabgate.collector.cli.arguments import shared

_IMPORT: Final = (
    "Reads XLSX, or CSV separated by ',', ';' or tabs. Columns: id (required), name, first_name, badges, lang, level, valid_until,"
    " machines, email, category, plan, payer, minor, joined_on. Separate several badges or machines in a cell with ';'."
    " A payer is a member's id, or the name or number of an organisation. A missing column changes nothing,"
    " an empty cell clears the value, and members who are not in the file stay as they are."
)
_IMPORT_TRAININGS: Final = (
    "Reads XLSX, or CSV separated by ',', ';' or tabs. Columns: id, training, since (required), stage, until, trainer. A"
    " training is named by its short name or its title. The stage is autonomous unless the file says supervised or"
    " instructor. Rows that would lower a member's stage, or that name a suspended member, change nothing."
)
_PLANS_FROM: Final = (
    "the first day of the plans in the file; without it today, or the first day of billing while no month was ever closed and"
    " no member of the file has had a plan"
)
_BADGE_FORMS: Final = (
    "A reader that shortens numbers knows a badge by a part of it. FORM is BADGES:NUMBER. BADGES is em (125 kHz badges),"
    " uid-first or uid-last (cards, by the first or the last bytes of the UID). NUMBER is number10, number8 or number8-hex,"
    " each also with -reversed, as in the reader's format in gate.yaml; or w26 or w34, also with -reversed. Every badge whose"
    " whole number is known then has these forms in all rosters. A form that badges of two people have is refused."
    " Without FORM it prints what is set."
)
_NEW: Final = (
    "the number of new people in the file; wanted if the file has no column of badges, so that no number is mistyped"
)
_SURE: Final = "change what sessions that have ended cost, as it was listed"
_BLOCK: Final = (
    "From now on, every roster refuses the member and gives the reasons; a running session ends when the machine is"
    " idle. Blocking again for the same reason changes the end date. Importing members does not lift a block."
)


def add_verbs(add: shared.Add) -> None:
    """Add the verbs by `add`."""
    people = add(
        "import-members",
        "people",
        "import members and badges from a CSV or XLSX file",
        "import_members",
        about=_IMPORT,
        example="members.csv",
        makes=True,
    )
    trainings = add(
        "import-trainings",
        "people",
        "import who completed which training from a CSV or XLSX file",
        "import_trainings",
        about=_IMPORT_TRAININGS,
        example="trainings.csv",
    )
    for verb in (people, trainings):
        verb.add_argument("file", metavar="FILE", help="XLSX; or CSV in UTF-8, UTF-16 or Windows-1252 (with a note)")
        verb.add_argument(
            "--dates",
            choices=["day-first", "month-first"],
            default="",
            help="how to read dates such as 01/03/2027 if no other date in the file decides it",
        )
    people.add_argument("--plans-from", metavar="DATE", help=_PLANS_FROM)
    people.add_argument("--new", type=int, metavar="COUNT", help=_NEW)
    people.add_argument("--sure", action="store_true", help=_SURE)
    forms = add(
        "badge-forms",
        "people",
        "say which short forms of badges the workshop's readers give",
        "badge_forms",
        about=_BADGE_FORMS,
        example="em:number8 em:w26",
    )
    forms.add_argument("forms", nargs="*", metavar="FORM", help="such as em:number8; replaces those that were set")
    forms.add_argument("--none", action="store_true", help="the workshop has no reader that shortens")
    shared.actor(forms)
    block = add(
        "member-block",
        "people",
        "keep a member from every machine",
        "block",
        about=_BLOCK,
        example="m-117 --reason payment-due",
    )
    block.add_argument("id", metavar="ID", help="the member's id")
    block.add_argument(
        "--reason",
        required=True,
        metavar="WORD",
        help="such as suspended, banned or payment-due; a wrong one lists the others",
    )
    block.add_argument("--until", metavar="DATE", help="the first day on which it no longer applies (default: no end)")
    unblock = add("member-unblock", "people", "lift all blocks of a member", "unblock", example="m-117")
    unblock.add_argument("id", metavar="ID", help="the member's id")
    plan = add(
        "member-plan",
        "people",
        "give a member a plan from a day on; without a plan, list those they have had",
        "plan",
        example="m-117 student --from 2027-01-01",
    )
    plan.add_argument("id", metavar="ID", help="the member's id")
    named = plan.add_mutually_exclusive_group()
    named.add_argument("plan", metavar="PLAN", nargs="?", help="one of those that bill-plan lists")
    named.add_argument("--none", action="store_true", help="no plan from that day on")
    named.add_argument("--cancel", metavar="DATE", help="cancel the change of a day that has not come")
    plan.add_argument("--from", dest="since", metavar="DATE", help="the first day (default: today)")
    plan.add_argument("--sure", action="store_true", help=_SURE)
    for verb in (block, unblock, plan):
        shared.actor(verb)
    grant = add(
        "training-grant",
        "people",
        "record that a member has a training",
        "grant",
        example="m-117 laser --stage supervised",
    )
    revoke = add(
        "training-revoke",
        "people",
        "revoke a training; the grant stays on record",
        "revoke",
        example='m-117 laser --reason "Ran it alone"',
    )
    for verb in (grant, revoke):
        verb.add_argument("id", metavar="ID", help="the member's id")
        verb.add_argument("training", metavar="TRAINING", help="the name of the training")
        shared.actor(verb)
    stages = ("supervised", "autonomous", "instructor", "suspended")
    grant.add_argument("--stage", choices=stages, default="autonomous", help="default: %(default)s")
    grant.add_argument("--since", metavar="DATE", help="the first day (default: today)")
    grant.add_argument("--until", metavar="DATE", help="the last day (default: as the training defines)")
    grant.add_argument("--trainer", metavar="NAME", help="who trained them: a member or an account")
    grant.add_argument("--lower", action="store_true", help="grant it even if they already hold a higher stage")
    revoke.add_argument("--reason", required=True, metavar="TEXT", help="why; kept with the grant")
