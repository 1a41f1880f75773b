"""Checks corrections and reviews of sessions against the audit log, which has each of them with its author."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

import msgspec

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Change, Correction, Review
from fabgate.collector.ground.models.sessions.words import CONTESTED
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.snapshot import PAGE, Workspace, grouped, moment
from fabgate.collector.recording.sessions.merge import DerivedSession

#: A correction and its row in the log have times of their own, from one transaction.
_AT_MOST_APART: Final = timedelta(minutes=1)
_CORRECTIONS: Final = (
    "SELECT session_id, field, old, new, reason, author, at, id FROM collector_correction WHERE session_id IN ({})"
    " ORDER BY id"
)
_REVIEWS: Final = (
    "SELECT session_id, id, why, opened_at, settled_at, settled_by, decision, note FROM collector_review"
    " WHERE session_id IN ({})"
)
_CONTESTED: Final = "review.contested"


class Logged(msgspec.Struct, frozen=True, array_like=True):
    """A row of the audit log about a session or a review."""

    verb: str
    actor: str
    reason: str
    at: datetime
    before: dict[str, Any]
    after: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Correction:
    field: str
    old: str
    new: str
    reason: str
    author: str
    at: datetime | None
    pk: int

    @property
    def key(self) -> tuple[str, ...]:
        return self.field, self.old, self.new, self.reason, self.author


@dataclass(frozen=True, slots=True)
class _Review:
    pk: int
    why: str
    opened_at: datetime | None
    settled_at: datetime | None
    settled_by: str
    decision: str
    note: str


_encode: Final = msgspec.msgpack.encode
_decode: Final = msgspec.msgpack.Decoder(Logged).decode


def load(workspace: Workspace) -> None:
    """Note the rows of the audit log about sessions and reviews in the workspace."""
    rows = Change.objects.filter(kind__in=("usagesession", "review")).order_by("id")
    columns = rows.values_list("id", "kind", "key", "verb", "actor", "reason", "at", "before", "after")
    page: list[tuple[str, int, bytes]] = []
    for pk, kind, key, *values in columns.iterator(chunk_size=PAGE):
        page.append((f"{kind}/{key}", pk, _encode(Logged(*values))))
        if len(page) == PAGE:
            workspace.insert("decided", page)
            page = []
    workspace.insert("decided", page)
    workspace.index("decided", "subject")


@dataclass(frozen=True, slots=True)
class Decisions:
    """What people decided about some sessions, and what the log says about it."""

    corrections: Mapping[str, list[_Correction]]
    reviews: Mapping[str, _Review]
    logged: Mapping[str, list[Logged]]

    @classmethod
    def of(cls, sessions: Mapping[str, DerivedSession], workspace: Workspace) -> Self:
        """Load the decisions about `sessions`."""
        ids = list(sessions)
        corrections = {
            session: [
                _Correction(field, old, new, reason, author, moment(at), pk)
                for field, old, new, reason, author, at, pk in rows
            ]
            for session, rows in grouped(_CORRECTIONS, ids).items()
        }
        reviews = {
            session: _Review(pk, why, moment(opened_at), moment(settled_at), *rest)
            for session, rows in grouped(_REVIEWS, ids).items()
            for pk, why, opened_at, settled_at, *rest in rows
        }
        subjects = [f"usagesession/{session}" for session in ids]
        subjects += [f"review/{review.pk}" for review in reviews.values()]
        logged = {
            subject: [_decode(line) for _pk, line in rows]
            for subject, rows in workspace.of("decided", subjects).items()
        }
        return cls(corrections, reviews, logged)

    def newest(self, session: str) -> dict[str, str]:
        """Return the newest correction of each corrected field."""
        return {one.field: one.new for one in self.corrections.get(session, ()) if one.field in Correction.FIELDS}

    def authors(self, session: str) -> set[tuple[str, str]]:
        """Return (author, reason) of everything that the log has about a session and its review."""
        rows = [*self._of_session(session), *self._of_review(session)]
        return {(row.actor, row.reason) for row in rows}

    def check(self, report: Report, row: DerivedSession) -> None:
        """Check the corrections and the review of a session."""
        self._check_corrections(report, row.id)
        review = self.reviews.get(row.id)
        if row.review not in (None, row.doubt, CONTESTED):
            report.changed("usagesession", row.id, "review", row.review, row.doubt)
        if review is None:
            if row.review is not None or row.doubt is not None:
                report.missing("review", row.id, f"the session has the doubt {row.doubt or row.review}")
            return
        report.compared["review"] += 1
        self._check_state(report, row, review)
        self._check_settled(report, row, review)

    def _of_session(self, session: str) -> list[Logged]:
        return self.logged.get(f"usagesession/{session}", [])

    def _of_review(self, session: str) -> list[Logged]:
        review = self.reviews.get(session)
        return self.logged.get(f"review/{review.pk}", []) if review else []

    def _check_corrections(self, report: Report, session: str) -> None:
        """Compare corrections with the log: equal ones first, then the others in their order."""
        stored = list(self.corrections.get(session, ()))
        logged = [row for row in self._of_session(session) if row.verb == "session.corrected"]
        report.compared["correction"] += len(stored)
        for one in list(stored):
            same = next((row for row in logged if _key(row) == one.key), None)
            if same is not None:
                _check_date(report, one, same)
                stored.remove(one)
                logged.remove(same)
        for one, row in zip(stored, logged, strict=False):
            for column, found, wanted in zip(
                ("field", "old", "new", "reason", "author"), one.key, _key(row), strict=True
            ):
                if found != wanted:
                    report.changed("correction", _name(one, session), column, found, wanted)
        for one in stored[len(logged) :]:
            report.added("correction", _name(one, session), "the audit log does not have it")
        for row in logged[len(stored) :]:
            report.missing("correction", session, f"the audit log has it: {row.after} by {row.actor}")

    def _check_state(self, report: Report, row: DerivedSession, review: _Review) -> None:
        """Check that session and review agree about whether a person still has to decide."""
        if review.settled_at is None:
            for column, found in (("settled_by", review.settled_by), ("decision", review.decision)):
                if found:
                    report.changed("review", row.id, column, found, "")
            if row.review != review.why:
                report.changed("review", row.id, "why", review.why, row.review or row.doubt)
                report.changed("usagesession", row.id, "review", row.review, review.why)
        elif row.review is not None:
            report.changed("review", row.id, "settled_at", review.settled_at, None)
            report.changed("usagesession", row.id, "review", row.review, None)
        elif row.doubt is not None and review.why not in (row.doubt, CONTESTED):
            report.changed("review", row.id, "why", review.why, row.doubt)

    def _check_settled(self, report: Report, row: DerivedSession, review: _Review) -> None:
        """Check a person's decision, and a member's text, against the log."""
        logged = self._of_review(row.id)
        if review.settled_at is None:
            _check_open(report, row, review, logged)
            return
        # While a contest is open, nothing but a decision changes `why`, and the decision leaves it.
        answers = [one.verb for one in logged[-2:-1]] == [_CONTESTED] and logged[-1].verb != _CONTESTED
        if (review.why == CONTESTED) != (answers and bool(review.settled_by)):
            report.changed("review", row.id, "why", review.why, CONTESTED if answers else row.doubt)
        last = next((one for one in reversed(logged) if one.verb != _CONTESTED), None)
        if not review.settled_by:
            if review.decision != Review.RESOLVED or row.doubt is not None:
                report.changed("review", row.id, "decision", review.decision, last and last.verb)
            return
        if last is None:
            report.changed("review", row.id, "settled_by", review.settled_by, None)
            return
        values: tuple[tuple[str, Any, Any], ...] = (
            ("settled_by", review.settled_by, last.actor),
            ("decision", review.decision, last.verb.removeprefix("review.")),
            ("note", review.note, last.reason),
            ("settled_at", review.settled_at, _moment_in(last.after.get("settled_at"))),
        )
        for column, found, wanted in values:
            if found != wanted:
                report.changed("review", row.id, column, found, wanted)


def _check_open(report: Report, row: DerivedSession, review: _Review, logged: list[Logged]) -> None:
    """Check a review that is not decided: what a member says is wrong, and since when."""
    if review.why != CONTESTED:
        if review.note:
            report.changed("review", row.id, "note", review.note, "")
        return
    contest = logged[-1] if logged and logged[-1].verb == _CONTESTED else None
    wanted = contest.reason if contest else None
    if review.note != wanted:
        report.changed("review", row.id, "note", review.note, wanted)
    # An admission of its payer leaves out what was contested before (money/billing/prepaid/if_accepted.py).
    since = _moment_in(contest.after.get("opened_at")) if contest else None
    if since is not None and review.opened_at != since:
        report.changed("review", row.id, "opened_at", review.opened_at, since)


def check_absent(report: Report) -> None:
    """Report corrections and reviews of sessions that do not exist: a tool may ignore foreign keys."""
    for table in ("correction", "review"):
        with statements.cursor() as cursor:
            cursor.execute(
                f"SELECT id, session_id FROM collector_{table}"  # noqa: S608
                " WHERE session_id NOT IN (SELECT id FROM collector_usagesession) ORDER BY id"
            )
            for pk, session in cursor.fetchall():
                report.added(table, f"{pk} ({session})", "its session does not exist")


def _key(row: Logged) -> tuple[str, ...]:
    """Return the log's row as the values of a correction."""
    field = next(iter(row.after), "")
    old, new = (str(values.get(field, "")) for values in (row.before, row.after))
    return field, old, new, row.reason, row.actor


def _check_date(report: Report, one: _Correction, row: Logged) -> None:
    at = row.at
    if one.at is None or abs(one.at - at) > _AT_MOST_APART:
        report.changed("correction", one.pk, "at", one.at, at)


def _name(one: _Correction, session: str) -> str:
    return f"{one.pk} ({session})"


def _moment_in(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
