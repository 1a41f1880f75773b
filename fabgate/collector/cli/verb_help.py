"""What does the help of each verb of ``fabgate collector`` say beside its arguments?"""

from __future__ import annotations

from fabgate.collector import DEFAULT_DATA

ABOUT = (
    f"Every verb reads FABGATE_SITE (the site's name, as the gates write it; it has no default) and FABGATE_DATA (the"
    f" directory of database and keys; default: {DEFAULT_DATA}) from the environment, such as: FABGATE_SITE=lyon"
    " FABGATE_DATA=/srv/fabgate fabgate collector gates. See docs/reference.md for the others."
)
ENVIRONMENT = f"""\
environment:
  FABGATE_SITE  the site's name, as the gates write it (required)
  FABGATE_DATA  the directory of database and keys (default: {DEFAULT_DATA})

example:
  FABGATE_SITE=lyon fabgate collector """
MONTH = "--from 2026-11-01 --to 2026-12-01"
USAGE = (
    "A session belongs to the period in which it ended. One of a gate whose clock was never synchronised counts by its"
    " latest possible end and is shown as 'about'. Open sessions stand apart. Times on are h:mm:ss."
)
SESSIONS = (
    "The sessions that ended in the period, in the order of their ends, then those that are open. '~' before a moment"
    " says that nobody knows it exactly: the session lies between not_before and not_after, which CSV and JSON show,"
    " and counts by the latter. The true time on lies between energised_ms and energised_ms + uncertainty_ms. A review"
    " reason says why a person should look: journal-lost, time-above-clock, running-above-time,"
    " longer-than-allowed, before-first, overlap, no-start,"
    " restored-image, counter-above-end, uncertain, undated,"
    " earlier-holder, clock."
)
HOLES = (
    "Missing are numbers that a gate no longer has, or that were in a journal which ended; awaited are those that a"
    " gate will still send. Quarantine holds what could not be an entry. Exit code 1 when something is missing, else 0."
)
GATES = (
    "'entries' says up to which number everything that the gate wrote is stored, and how far it has written beyond"
    " that; 'roster' whether the gate has fetched the newest one."
)
GATE_ADD = (
    "Prints where the token and the keys of the gate are, and every rule of its machine: they replace what 'machine:' of"
    " the gate's gate.yaml says, so give those that must not change, such as limit_s."
)
IMPORT = (
    "XLSX, or CSV separated by ',', ';' or tabs. Columns: id (which must be there), name, badges, lang, level,"
    " valid_until, machines, email, category, plan, payer, minor, joined_on. Several badges or machines in a cell are separated"
    " by ';'. A column that is not there leaves what is stored alone, an empty cell clears it; members who are not in the file stay as they are."
)
BLOCK = (
    "Every roster carries the member among its refusals from now on, with every reason; a session that runs ends when"
    " the machine is idle. The same reason again changes until when. Importing members does not lift a block."
)
LOCK = "A running session is not cut unless --when now says so. The machine stays locked until 'unlock'."
BACKUP = (
    "The file holds the database as it is at this moment, the keys, and the gates' tokens, with a checksum of each:"
    " whoever has it can open every machine, so keep it where only you can read it. Nothing has to be stopped, and a file that"
    " is there already is never replaced. A database on PostgreSQL is copied with pg_dump, and restored with pg_restore"
    " and then `migrate --restored`."
)
RESTORE = (
    "Stop the collector first. What was written after the copy was taken comes again from the gates, as far as they keep"
    " it (journal.keep_days of gate.yaml); what was done on pages since then has to be done again. Rosters are built"
    " anew at the next start, and everybody signs in again."
)
WORKER = "It looks once a minute, and tells the gates whose rosters change. 'run' starts it too."
RUN = (
    "Each is a process of its own. One that ends is started again, after a pause that doubles up to 30 s while it keeps"
    " ending; SIGTERM or Ctrl-C ends all of them in order."
)
WEB = (
    "It listens on FABGATE_WEB_HOST and FABGATE_WEB_PORT, without TLS: put a proxy in front of it where others than this"
    " computer come. /healthz tells monitors whether all is well, /metrics is for Prometheus."
)
INGEST = (
    "It takes what has queued up at the broker, stores it in one transaction and acknowledges it afterwards. One"
    " collector serves a site; a second one refuses to start unless --takeover says that it is to."
)
RULES = (
    "An empty value goes back to the default. Without RULE=VALUE it prints what is set. docs/reference.md names the"
    " rules, under gate.yaml, machine."
)
