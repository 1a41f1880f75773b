"""/metrics for Prometheus: figures of the workshop and the collector, without personal data.

They are computed from the database at each request, whichever process wrote the data. Only this computer, and clients
with FABGATE_METRICS_TOKEN, may read them.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, F, Sum
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

import fabgate
from fabgate.collector.faces.api import health
from fabgate.collector.ground.base import data_folder
from fabgate.collector.ground.base.env_values import is_loopback
from fabgate.collector.ground.models import (
    Charge,
    Gate,
    Heartbeat,
    Hole,
    Journal,
    Machine,
    Order,
    Quarantine,
    Refusal,
    Review,
    UsageDay,
    UsageSession,
    Verification,
)
from fabgate.collector.members.machines.keys import clones
from fabgate.collector.money.billing import rating, terms
from fabgate.collector.money.billing.charges import behind
from fabgate.collector.money.billing.sinks import status
from fabgate.errors import UsageError

#: The period of recent refusals and commands.
LATELY: Final = timedelta(hours=24)
_OF_PROXIES: Final = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Serve the metrics to this computer, and to clients with the token."""
    if not _may_read(request):
        text = "found no FABGATE_METRICS_TOKEN in 'Authorization: Bearer', which is required from other computers\n"
        answer = HttpResponse(text, status=401, content_type="text/plain; charset=utf-8")
        answer.headers["WWW-Authenticate"] = 'Bearer realm="fabgate"'
        return answer
    registry = CollectorRegistry()
    registry.register(Workshop(datetime.now(UTC)))
    return HttpResponse(exposition.generate_latest(registry), content_type=TEXT)


def _may_read(request: HttpRequest) -> bool:
    token = settings.ENVIRONMENT.metrics_token
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if token and scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
        return True
    # A proxy on this computer must not make the metrics public. Its requests have a forwarding header, or our public
    # host name.
    if any(header in request.headers for header in _OF_PROXIES):
        return False
    host = request.headers.get("Host", "").rpartition(":")[0] or request.headers.get("Host", "")
    return is_loopback(request.META.get("REMOTE_ADDR", "")) and is_loopback(host.strip("[]"))


class Workshop:
    """The metrics, as a collector of prometheus_client."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering does not query the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its values."""
        yield _gauge("fabgate_build", "The version of the collector.", ("version",), [((fabgate.__version__,), 1)])
        yield from self._itself()
        yield from self._gates()
        yield from self._books()
        yield from self._sinks()
        yield from self._today()
        yield from self._money()

    def _itself(self) -> Iterator[Metric]:
        found = health.look(self._now)
        yield _gauge("fabgate_healthy", "Whether /healthz reports no problems.", (), [((), found.is_well)])
        yield _gauge(
            "fabgate_disk_free_bytes", "Free space for the database.", (), [((), found.found["disk"]["free_bytes"])]
        )
        copy = data_folder.last_copied(settings.ENVIRONMENT.data)
        yield _gauge(
            "fabgate_copy_seconds",
            "Since the last copy of the collector was made.",
            (),
            [] if copy is None else [((), (self._now - copy).total_seconds())],
        )
        beats = [((beat.name,), (self._now - beat.at).total_seconds()) for beat in Heartbeat.objects.order_by("name")]
        yield _gauge("fabgate_process_heard_seconds", "Since the last heartbeat of a process.", ("process",), beats)
        last = Verification.last()
        done = [last] if last is not None and not last.trouble else []
        yield _gauge(
            "fabgate_books_findings",
            "Rows and columns that the last verification of the books found altered.",
            (),
            [((), one.findings) for one in done],
        )
        yield _gauge(
            "fabgate_books_verified_seconds",
            "Since the last verification of the books.",
            (),
            [((), (self._now - one.ended_at).total_seconds()) for one in done],
        )

    def _gates(self) -> Iterator[Metric]:
        gates = list(Gate.objects.select_related("machine").order_by("name"))
        waiting = {row.gate_id: max(0, row.head - row.ack_seq) for row in Journal.newest()}
        heard = [(gate, (self._now - gate.seen_at).total_seconds()) for gate in gates if gate.seen_at is not None]
        label = ("gate",)
        is_there = {gate: gate.is_online(self._now) for gate in gates}
        yield _gauge(
            "fabgate_gate_online",
            "Whether the gate is online: connected, and no heartbeat missed.",
            label,
            [((gate.name,), there) for gate, there in is_there.items()],
        )
        yield _gauge(
            "fabgate_gate_heard_seconds", "Since the gate's last message.", label, [((g.name,), s) for g, s in heard]
        )
        yield _gauge(
            "fabgate_gate_entries_waiting",
            "Entries that it has written and that are not stored here.",
            label,
            [((gate.name,), waiting.get(gate.pk, 0)) for gate in gates],
        )
        yield _gauge(
            "fabgate_gate_roster_known",
            "Whether it uses the newest roster.",
            label,
            [((gate.name,), gate.knows_roster) for gate in gates if gate.roster_version],
        )
        yield _gauge(
            "fabgate_gate_clock_synced",
            "Whether it reports that its clock is synchronised.",
            label,
            [((g.name,), g.synced) for g in gates],
        )
        yield _gauge(
            "fabgate_gate_clock_off_seconds",
            "How wrong its clock is, at least, by its last entry; positive if it is ahead.",
            label,
            [((g.name,), (g.clock_off_ms or 0) / 1000) for g in gates],
        )
        yield _gauge(
            "fabgate_gate_problems",
            "How many problems it reports.",
            label,
            [((g.name,), len(g.problems)) for g in gates],
        )
        cards = clones.of(gates)
        yield _gauge(
            "fabgate_gate_cloned",
            "Whether two devices use its keys.",
            label,
            [((gate.name,), cards[gate.pk].is_cloned) for gate in gates],
        )
        yield _gauge(
            "fabgate_gate_old_keys",
            "Whether a device lately used keys that the gate had before.",
            label,
            [((gate.name,), cards[gate.pk].has_old_card(gate, self._now)) for gate in gates],
        )
        yield _gauge(
            "fabgate_gate_in_use",
            "Whether a session is running.",
            label,
            [((gate.name,), there and bool(gate.session)) for gate, there in is_there.items()],
        )
        locked = Machine.objects.filter(retired_at=None).order_by("name").values_list("name", "lock_id")
        yield _gauge(
            "fabgate_machine_locked", "Whether it is locked.", ("machine",), [((n,), bool(lock)) for n, lock in locked]
        )

    def _books(self) -> Iterator[Metric]:
        stored = Journal.objects.aggregate(sum=Sum("ack_seq"))["sum"] or 0
        missing = Hole.objects.filter(state=Hole.LOST).aggregate(sum=Sum(F("last") - F("first") + 1))["sum"] or 0
        numbers = {
            "fabgate_entries_stored": ("Entries that are stored with all below them.", stored),
            "fabgate_entries_missing": ("Entries that no gate has any more.", missing),
            "fabgate_quarantined": ("Messages that are not valid entries.", Quarantine.objects.count()),
            "fabgate_sessions_open": ("Sessions that have not ended.", UsageSession.open().count()),
            "fabgate_reviews_waiting": (
                "Sessions that wait for a review.",
                Review.objects.filter(settled_at=None).count(),
            ),
        }
        for name, (text, value) in numbers.items():
            yield _gauge(name, text, (), [((), value)])

    def _sinks(self) -> Iterator[Metric]:
        try:
            found = list(status.everything())
        except UsageError:  # the log and the page show the mistakes in sinks.yaml
            found = list(status.gone(set()))
        unsent = [((one.row.name,), one.unsent) for one in found]
        dead = [((one.row.name,), one.dead) for one in found]
        label = ("sink",)
        yield _gauge("fabgate_sink_unsent", "Items that were not sent, without skipped ones.", label, unsent)
        yield _gauge("fabgate_sink_dead", "Refused items.", label, dead)

    def _today(self) -> Iterator[Metric]:
        day = self._now.astimezone(ZoneInfo(settings.ENVIRONMENT.tz)).date()
        names = dict(Machine.objects.values_list("id", "name"))
        rows = UsageDay.between(day, day).values("machine_key").order_by("machine_key")
        sums = rows.annotate(ended=Sum("sessions"), on_ms=Sum("counted_ms"))
        used = [((names.get(row["machine_key"], ""),), row) for row in sums]
        label = ("machine",)
        yield _gauge(
            "fabgate_today_sessions", "Sessions that ended today.", label, [(key, row["ended"]) for key, row in used]
        )
        yield _gauge(
            "fabgate_today_on_seconds",
            "How long the machine was on in sessions that ended today.",
            label,
            [(key, row["on_ms"] / 1000) for key, row in used],
        )
        lately = self._now - LATELY
        reasons: Counter[str] = Counter()
        for found in Refusal.between(lately).values_list("reasons", flat=True).iterator():
            reasons.update(found[:1])
        yield _gauge(
            "fabgate_lately_refusals",
            "Badges refused in 24 hours, by the most serious reason.",
            ("reason",),
            [((reason,), count) for reason, count in sorted(reasons.items())],
        )
        unanswered = Order.objects.filter(at__gte=lately, until__lt=self._now, answered_at=None).count()
        yield _gauge(
            "fabgate_lately_orders_unanswered", "Commands in 24 hours without an answer.", (), [((), unanswered)]
        )

    def _money(self) -> Iterator[Metric]:
        """Yield nothing where billing has not been started."""
        if (found := terms.started()) is None:
            return
        first = terms.first_open_day() or found.first_month
        kinds = Charge.objects.filter(month__gte=first).order_by("kind").values("kind")
        sums = list(kinds.annotate(n=Count("pk"), amount=Sum("amount_minor")))
        waiting = behind.now()
        yield _gauge(
            "fabgate_charges_provisional",
            "Charges and reversals in months that are not closed.",
            (),
            [((), sum(row["n"] for row in sums))],
        )
        yield _gauge(
            "fabgate_charges_provisional_minor",
            "What they come to, in the smallest unit of the currency.",
            ("currency",),
            [((found.currency,), sum(row["amount"] for row in sums))],
        )
        yield _gauge(
            "fabgate_charges_in_review",
            "Sessions among them that wait for a review.",
            (),
            [((), sum(row["n"] for row in sums if row["kind"] == rating.IN_REVIEW))],
        )
        yield _gauge(
            "fabgate_charges_behind_seconds",
            "The age of the oldest change of a session, a rule or a plan that is not charged yet; 0 if there is none.",
            (),
            [((), max(0.0, (self._now - waiting.since).total_seconds()) if waiting is not None else 0)],
        )


def _gauge(
    name: str, text: str, labels: tuple[str, ...], values: Sequence[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    made = GaugeMetricFamily(name, text, labels=labels)
    for key, value in values:
        made.add_metric(key, float(value))
    return made
