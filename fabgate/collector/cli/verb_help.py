"""The help texts of ``fabgate collector`` and its verbs; their arguments are in verbs.py."""

from __future__ import annotations

from fabgate.collector import DEFAULT_DATA

ABOUT = (
    f"Every verb reads FABGATE_SITE (the site's name, as in the gates' gate.yaml; it has no default) and FABGATE_DATA"
    f" (the directory of database and keys; default: {DEFAULT_DATA}) from the environment, such as: FABGATE_SITE=lyon"
    " FABGATE_DATA=/srv/fabgate fabgate collector gates. See docs/reference.md for the other variables."
)
ENVIRONMENT = f"""\
environment:
  FABGATE_SITE  the site's name, as in the gates' gate.yaml (required)
  FABGATE_DATA  the directory of database and keys (default: {DEFAULT_DATA})

example:
  FABGATE_SITE=lyon fabgate collector """
MONTH = "--from 2026-11-01 --to 2026-12-01"
USAGE = (
    "A session belongs to the period in which it ended. If the gate's clock was never synchronised, the latest possible"
    " end counts, and the session is shown as 'about'. Open sessions are listed separately. Times are h:mm:ss."
)
SESSIONS = (
    "Prints the sessions that ended in the period, in the order of their ends, then the open ones. '~' marks a time"
    " that is not exactly known: the session lies between not_before and not_after, which CSV and JSON contain, and"
    " counts by the latter. The true time lies between energised_ms and energised_ms + uncertainty_ms. The review"
    " column says why a person should check a session: journal-lost, time-above-clock, running-above-time,"
    " longer-than-allowed, before-first, overlap, no-start, restored-image, counter-above-end, uncertain, undated,"
    " earlier-holder, clock."
)
HOLES = (
    "Missing entries are lost: their gate no longer has them, or their journal has ended. Awaited entries are still on"
    " the gate, which sends them again. Quarantine holds messages that are not valid entries. The exit code is 1 if"
    " something is missing, else 0."
)
GATES = (
    "'entries' shows up to which number all entries of the gate are stored, and how many it has written; 'roster'"
    " whether the gate has the newest roster."
)
GATE_ADD = (
    "Prints where the gate's token and keys are, and all rules of its machine. These rules replace 'machine:' in the"
    " gate's gate.yaml. A machine that does not exist is made, with the rules of --preset, or with a time limit of"
    " four hours."
)
IMPORT = (
    "Reads XLSX, or CSV separated by ',', ';' or tabs. Columns: id (required), name, badges, lang, level, valid_until,"
    " machines, email, category, plan, payer, minor, joined_on. Separate several badges or machines in a cell with ';'."
    " A payer is a member's id, or the name or number of an organisation. A missing column changes nothing,"
    " an empty cell clears the value, and members who are not in the file stay as they are."
)
BADGE_FORMS = (
    "A reader that shortens numbers knows a badge by a part of it. FORM is BADGES:NUMBER. BADGES is em (125 kHz badges),"
    " uid-first or uid-last (cards, by the first or the last bytes of the UID). NUMBER is number10, number8 or number8-hex,"
    " each also with -reversed, as in the reader's format in gate.yaml; or w26 or w34, also with -reversed. Every badge whose"
    " whole number is known then has these forms in all rosters. A form that badges of two people have is refused."
    " Without FORM it prints what is set."
)
IMPORT_TRAININGS = (
    "Reads XLSX, or CSV separated by ',', ';' or tabs. Columns: id, training, since (required), stage, until, trainer. A"
    " training is named by its short name or its title. The stage is autonomous unless the file says supervised or"
    " instructor. Rows that would lower a member's stage, or that name a suspended member, change nothing."
)
BLOCK = (
    "From now on, every roster refuses the member and gives the reasons; a running session ends when the machine is"
    " idle. Blocking again for the same reason changes the end date. Importing members does not lift a block."
)
LOCK = "A running session is only cut with --when now. The machine stays locked until 'unlock'."
BACKUP = (
    "The file holds the database as it is at this moment, the keys, and the gates' tokens, each with a checksum. Anybody"
    " who has it can open every machine, so keep it where only you can read it. Nothing has to be stopped, and an"
    " existing file is never replaced. Copy a database on PostgreSQL with pg_dump, and restore it with pg_restore"
    " and then `migrate --restored`."
)
DOCTOR = (
    "Each finding is ok, warn or FAIL with the next step, or says why it was not checked. Nothing is made, migrated or"
    " sent; the broker's account is tried with empty messages that nobody receives. The exit code is 1 if a check failed."
    " docs/reference.md lists the findings."
)
RESTORE = (
    "Stop the collector first. The gates send again what they wrote after the copy was made, as far as they still have"
    " it (journal.keep_days in gate.yaml); changes made on pages since then have to be repeated. Rosters are rebuilt"
    " at the next start, and everybody has to sign in again."
)
WORKER = "It checks once a minute, and notifies the gates whose rosters change. 'run' starts it too."
RUN = (
    "Each is a separate process. If one ends it is restarted, after a pause that doubles up to 30 s while it keeps"
    " ending. SIGTERM or Ctrl-C stops all of them."
)
WEB = (
    "It listens on FABGATE_WEB_HOST and FABGATE_WEB_PORT, without TLS: put a proxy in front of it if other computers"
    " use it. /healthz is for monitors, /metrics for Prometheus."
)
INGEST = (
    "It stores the messages that have queued up at the broker in one transaction, and acknowledges them afterwards. Only"
    " one collector serves a site: a second one refuses to start without --takeover."
)
RULES = (
    "An empty value restores the default. Without RULE=VALUE it prints the rules that are set. docs/reference.md lists"
    " the rules under gate.yaml, machine."
)
VERIFY = (
    "Computes entries, sessions, sums and the ledger again, and checks the seals of the audit log, while the collector"
    " runs. Prints each row and column that was altered, with what is stored, what it should be and what to do; and the"
    " head of the audit log, to write down. The exit code is 0 if nothing was altered, 6 if something was, and 1 if it"
    " cannot be checked. docs/verify.md says what is compared."
)
