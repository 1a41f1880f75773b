"""Programs behind sinks, as fakes that keep their state: over real HTTP, or in a real folder."""

from __future__ import annotations

import csv
import json
import shutil
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from standardwebhooks.webhooks import Webhook

from fabgate.collector.money.billing.sinks import contract
from fabgate.collector.money.billing.sinks.config import Configured
from fabgate.collector.money.billing.sinks.contract import Site
from fabgate.collector.money.billing.sinks.drivers.files import FilesSink
from fabgate.collector.money.billing.sinks.drivers.journal import JournalSink
from fabgate.collector.money.billing.sinks.drivers.lago import LagoSink
from fabgate.collector.money.billing.sinks.drivers.openmeter import OpenMeterSink
from fabgate.collector.money.billing.sinks.drivers.stripe import StripeSink
from fabgate.collector.money.billing.sinks.drivers.tryton import TrytonSink
from fabgate.collector.money.billing.sinks.drivers.webhook import WebhookSink
from fabgate.collector.money.billing.sinks.http import Program as HttpProgram
from tests.support.patience import HANGS_S

SECRET = "whsec_" + "c2VjcmV0" * 4

#: What a program does with a request: it takes it and says so; it is down, too busy, or the key is wrong: nothing
#: happens; it takes it, but the answer is lost, or comes too late; it names another address.
WELL, DOWN, BUSY, WRONG_KEY, LOST, SLOW, REDIRECTS = "well", "down", "busy", "wrong key", "lost", "slow", "redirects"
#: The statuses of answers with which nothing happens.
_STATUSES = {DOWN: 503, BUSY: 429, WRONG_KEY: 401, REDIRECTS: 307}


class Program:
    """A program that sinks write to. `effects` has what happened there: (key, amount), in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mood = WELL
        #: Keys that it refuses.
        self.refused: set[str] = set()
        self.effects: list[tuple[str, int]] = []
        self.requests = 0
        self.is_over = threading.Event()

    def configured(self, since: str) -> Configured:
        """Return the sink in front of it."""
        raise NotImplementedError

    def take(self, headers: dict[str, str], body: bytes, path: str) -> int:
        """Store what was sent, and return the status of the answer."""
        raise NotImplementedError

    def loses(self, made: int) -> bool:
        """Return whether an answer is lost, after so many effects."""
        return True

    def said(self, status: int) -> Any:
        """Return the JSON of an answer."""
        return {}

    def look_up(self, path: str, asked: dict[str, str]) -> Any:
        """Answer a question."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    port = 0

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any] | None:
        """Return status and JSON; None to say nothing."""
        self.requests += 1
        if self.mood in _STATUSES:
            status = _STATUSES[self.mood]
            return status, self.said(status)
        if method == "GET":
            found = self.look_up(urlsplit(path).path, dict(parse_qsl(urlsplit(path).query)))
            return (404, {}) if found is None else (200, found)
        before = len(self.effects)
        status = self.take(headers, body, path)
        if self.mood in {LOST, SLOW} and self.loses(len(self.effects) - before):
            if self.mood == SLOW:
                self.is_over.wait(HANGS_S)
            return None
        return status, self.said(status)

    @contextmanager
    def running(self) -> Iterator[Program]:
        """Serve on a free port while the block runs."""
        program = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = program.answer(self.command, self.path, headers, body)
                if answer is None:
                    self.close_connection = True
                    return
                text = json.dumps(answer[1]).encode()
                self.send_response(answer[0])
                if answer[0] == HTTPStatus.TOO_MANY_REQUESTS:
                    self.send_header("Retry-After", "600")
                if answer[0] == HTTPStatus.TEMPORARY_REDIRECT:
                    self.send_header("Location", f"{program.url}/elsewhere")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_GET = handle_one  # noqa: N815

            def log_message(self, *_args: Any) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield self
            finally:
                self.is_over.set()
                server.shutdown()
                thread.join()


class WebhookReceiver(Program):
    """A receiver that checks each signature with the library of Standard Webhooks, and knows the ids that it has seen."""

    takes = "charges"

    def configured(self, since: str) -> Configured:
        secret = self.folder / "secret"
        secret.write_text(SECRET + "\n")
        options = WebhookSink.Options(since=since, url=self.url, secret_file=secret, takes=self.takes)
        return Configured("hook", "webhook", WebhookSink, options)

    def take(self, headers: dict[str, str], body: bytes, path: str) -> int:
        event = Webhook(SECRET).verify(body, headers)
        assert event["id"] == headers["webhook-id"]
        assert event["specversion"] == "1.0"
        if event["id"] in self.refused:
            return 422
        if event["id"] not in dict(self.effects):
            amount = "amount_minor" if self.takes == "charges" else "counted_ms"
            self.effects.append((event["id"], event["data"][amount]))
        return 200


class UsageReceiver(WebhookReceiver):
    """The same for usage."""

    takes = "usage"


class TrytonRecorder(Program):
    """What Tryton's JSON-RPC says about invoices and their lines. It knows no keys."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        #: Their references and lines.
        self.invoices: list[tuple[str, list[dict[str, Any]]]] = []
        self.result: Any = None

    def configured(self, since: str) -> Configured:
        (self.folder / "tryton").write_text("tryton-1")
        options = TrytonSink.Options(
            since=since,
            url=self.url,
            username="ada",
            password_file=self.folder / "tryton",
            receivable="411",
            income="706",
        )
        return Configured("tryton", "tryton", TrytonSink, options)

    def loses(self, made: int) -> bool:
        return made > 0

    def take(self, headers: dict[str, str], body: bytes, path: str) -> int:
        assert path == "/hook/"
        asked = json.loads(body)
        name, (*parameters, _context) = asked["method"].removeprefix("model."), asked["params"]
        if name == "common.db.login":
            assert asked["params"] == ["ada", {"password": "tryton-1"}]
            self.result = {"result": [1, "session", None]}
            return 200
        assert headers["authorization"].startswith("Session ")
        try:
            self.result = {"result": getattr(self, name.replace(".", "_"))(*parameters)}
        except PermissionError:
            self.result = {"error": ["UserError", ["The account is closed.", "", None]]}
        return 200

    def said(self, status: int) -> Any:
        return self.result

    def res_user_get_preferences(self, _only: bool) -> Any:
        return {"company": 1}

    def account_invoice_default_get(self, _names: Any) -> Any:
        return {"company": 1, "currency": 1}

    def currency_currency_search_read(self, *_asked: Any) -> Any:
        return [{"id": 1, "code": "EUR"}]

    def account_journal_search_read(self, *_asked: Any) -> Any:
        return [{"id": 1}]

    def account_account_search_read(self, *_asked: Any) -> Any:
        return [{"id": 7}]

    def party_party_search_read(self, where: Any, *_asked: Any) -> Any:
        return [{"id": int(where[0][2][4:]), "addresses": [1], "account_receivable": None}]

    def account_invoice_search_read(self, where: Any, *_asked: Any) -> Any:
        return [{"id": n} for n, (name, _lines) in enumerate(self.invoices) if name == where[0][2]]

    def account_invoice_line_search_read(self, where: Any, *_asked: Any) -> Any:
        return [{"note": key} for key, _amount in self.effects if key in where[0][2]]

    def account_invoice_create(self, values: Any) -> None:
        (one,) = values
        self.add(one["lines"][0][1][0])
        self.invoices.append((one["reference"], one["lines"][0][1]))

    def account_invoice_write(self, ids: Any, values: Any) -> None:
        self.add(values["lines"][0][1][0])
        self.invoices[ids[0]][1].append(values["lines"][0][1][0])

    def add(self, line: dict[str, Any]) -> None:
        if line["note"] in self.refused:
            raise PermissionError
        self.effects.append((line["note"], minor(line["unit_price"]["decimal"])))


class OpenMeterRecorder(Program):
    """What OpenMeter publishes: CloudEvents in batches; an event with a source and an id that it knows is dropped."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.events: dict[tuple[str, str], dict[str, Any]] = {}

    def configured(self, since: str) -> Configured:
        (self.folder / "om.key").write_text("om_1\n")
        options = OpenMeterSink.Options(since=since, url=self.url, key_file=self.folder / "om.key", with_members=True)
        return Configured("openmeter", "openmeter", OpenMeterSink, options)

    def take(self, headers: dict[str, str], body: bytes, path: str) -> int:
        assert path == "/hook/api/v1/events"
        assert headers["content-type"] == "application/cloudevents-batch+json"
        if headers["authorization"] != "Bearer om_1":
            return 401
        events = json.loads(body)
        for event in events:
            assert event["specversion"] == "1.0"
            assert all(isinstance(event[name], str) and event[name] for name in ("id", "source", "type", "subject"))
            assert datetime.fromisoformat(event["time"]).tzinfo
            if event["id"] in self.refused:
                return 400
        for event in events:
            if self.events.setdefault((event["source"], event["id"]), event) is event:
                self.effects.append((event["id"], ms(event["data"]["counted_s"])))
        return 204

    def sums(self) -> dict[tuple[str, str], int]:
        """Return what the meter shows: (subject, machine) -> milliseconds."""
        found: Counter[tuple[str, str]] = Counter()
        for event in self.events.values():
            found[event["subject"], event["data"]["machine"]] += ms(event["data"]["counted_s"])
        return {key: amount for key, amount in found.items() if amount}


class LagoRecorder(Program):
    """What Lago publishes: at most 100 events; a batch with one that is wrong or known is refused as a whole."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.subscriptions = {f"sub-{number}" for number in range(9)}
        self.wrong: dict[str, Any] = {}
        #: How many events each batch had.
        self.batches: list[int] = []

    def configured(self, since: str) -> Configured:
        (self.folder / "lago.key").write_text("lago-1")
        options = LagoSink.Options(since=since, url=self.url, key_file=self.folder / "lago.key")
        return Configured("lago", "lago", LagoSink, options)

    def take(self, headers: dict[str, str], body: bytes, path: str) -> int:
        assert path == "/hook/api/v1/events/batch"
        assert headers["authorization"] == "Bearer lago-1"
        events = json.loads(body)["events"]
        self.batches.append(len(events))
        if len(events) > 100:
            self.wrong = {"events": ["too_many_events"]}
            return 422
        self.wrong = {}
        for place, event in enumerate(events):
            assert event["code"] == "machine_time"
            assert isinstance(event["timestamp"], int)
            if event["transaction_id"] in self.refused or event["external_subscription_id"] not in self.subscriptions:
                self.wrong[str(place)] = {"subscription": ["not_found"]}
            elif event["transaction_id"] in dict(self.effects):
                self.wrong[str(place)] = {"transaction_id": ["value_already_exist"]}
        if self.wrong:
            return 422
        self.effects += [(event["transaction_id"], ms(event["properties"]["counted_s"])) for event in events]
        return 200

    def said(self, status: int) -> Any:
        return {"status": 422, "error_details": self.wrong} if status == 422 else {}


class StripeRecorder(Program):
    """What Stripe publishes of invoice items, but it forgets each Idempotency-Key at once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.items: list[dict[str, Any]] = []

    def configured(self, since: str) -> Configured:
        (self.folder / "stripe.key").write_text("sk_test_1")
        return Configured(
            "stripe",
            "stripe",
            StripeSink,
            StripeSink.Options(since=since, url=self.url, key_file=self.folder / "stripe.key"),
        )

    def take(self, headers: dict[str, str], body: bytes, path: str) -> int:
        assert path == "/hook/v1/invoiceitems"
        assert headers["authorization"] == "Bearer sk_test_1"
        sent = dict(parse_qsl(body.decode()))
        key = sent["metadata[fabgate_charge]"]
        assert headers["idempotency-key"] == key
        assert sent["currency"] == "eur"
        assert sent["description"]
        if key in self.refused or not sent["customer"].startswith("sub-"):
            return 400
        item = {"id": f"ii_{len(self.items)}", "object": "invoiceitem", "customer": sent["customer"]}
        self.items.append(item | {"metadata": {"fabgate_charge": key}})
        self.effects.append((key, int(sent["amount"])))
        return 200

    def said(self, status: int) -> Any:
        wrong = {"error": {"type": "invalid_request_error", "message": "No such customer", "param": "customer"}}
        return wrong if status >= 400 else self.items[-1]

    def look_up(self, path: str, asked: dict[str, str]) -> Any:
        known = [item for item in self.items if item["customer"] == asked["customer"]]
        start = next((n + 1 for n, item in enumerate(known) if item["id"] == asked.get("starting_after")), 0)
        page = known[start : start + 2]
        return {
            "object": "list",
            "url": "/v1/invoiceitems",
            "has_more": start + 2 < len(known),
            "data": page,
        }


def ms(seconds: str) -> int:
    """Return seconds in milliseconds."""
    return int(Decimal(seconds) * 1000)


class KeylessSink:
    """A sink for a program without keys: it stores all items that it gets, and lists them when asked."""

    class Options(contract.Options, frozen=True, kw_only=True):
        url: str

    most = 3
    searches = True
    needs_reference = False
    only_money = True
    only_receivables = False

    def __init__(self, options: Any, _site: Site) -> None:
        self._client = HttpProgram(options.url, {})

    def send(self, items: Sequence[Any]) -> None:
        self._client.post("", json.dumps([(item.key, item.amount) for item in items]).encode(), {})

    def find(self, items: Sequence[Any]) -> Collection[str]:
        return set(self._client.get("", {"keys": " ".join(item.key for item in items)}))


class KeylessProgram(Program):
    """The program behind it."""

    def configured(self, since: str) -> Configured:
        return Configured("keyless", "keyless", KeylessSink, KeylessSink.Options(since=since, url=self.url))

    def take(self, headers: dict[str, str], body: bytes, path: str) -> int:
        items = [tuple(item) for item in json.loads(body)]
        if any(key in self.refused for key, _amount in items):
            return 400
        self.effects += items
        return 200

    def look_up(self, path: str, asked: dict[str, str]) -> Any:
        return [key for key, _amount in self.effects if key in asked["keys"].split()]


class Folder(Program):
    """A folder. It has no answers that could be lost; it is away, or full."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.books = folder / "books"
        self.books.mkdir()

    @contextmanager
    def running(self) -> Iterator[Program]:
        yield self

    def configured(self, since: str) -> Configured:
        return Configured("books", "files", FilesSink, FilesSink.Options(since=since, folder=self.books))

    @property  # type: ignore[override]
    def mood(self) -> str:
        return WELL if self.books.exists() else DOWN

    @mood.setter
    def mood(self, mood: str) -> None:
        away = self.folder / "away"
        if mood == WELL and away.exists():
            away.rename(self.books)
        elif mood != WELL and self.books.exists():
            self.books.rename(away)

    @property  # type: ignore[override]
    def effects(self) -> list[tuple[str, int]]:
        found = []
        for path in sorted(self.books.glob("*/charges.csv")):
            with path.open(encoding="utf-8-sig", newline="") as file:
                found += [(row["charge_id"], int(row["amount_minor"])) for row in csv.DictReader(file)]
        return found

    @effects.setter
    def effects(self, effects: list[tuple[str, int]]) -> None:
        assert not effects

    def clear(self) -> None:
        """Lose everything."""
        for path in self.books.iterdir():
            shutil.rmtree(path)


class UsageFolder(Folder):
    """The same for usage."""

    def configured(self, since: str) -> Configured:
        return Configured("hours", "files", FilesSink, FilesSink.Options(since=since, folder=self.books, takes="usage"))

    def rows(self) -> list[dict[str, str]]:
        """Return the rows of all months."""
        found: list[dict[str, str]] = []
        for path in sorted(self.books.glob("*/usage.csv")):
            with path.open(encoding="utf-8-sig", newline="") as file:
                found += csv.DictReader(file)
        return found

    @property  # type: ignore[override]
    def effects(self) -> list[tuple[str, int]]:
        return [(row["usage_id"], int(row["counted_ms"])) for row in self.rows()]

    @effects.setter
    def effects(self, effects: list[tuple[str, int]]) -> None:
        assert not effects


class JournalFolder(Folder):
    """The same for entries: what has happened there is what each month adds to the accounts of income."""

    def configured(self, since: str) -> Configured:
        options = JournalSink.Options(since=since, folder=self.books, layout="csv")
        return Configured("journal", "journal", JournalSink, options)

    @property  # type: ignore[override]
    def effects(self) -> list[tuple[str, int]]:
        found = []
        for path in sorted(self.books.glob("*/entries.csv")):
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = [row for row in csv.DictReader(file, delimiter=";") if row["account"].startswith("706")]
            found.append((path.parent.name, sum(minor(row["credit"]) - minor(row["debit"]) for row in rows)))
        return found

    @effects.setter
    def effects(self, effects: list[tuple[str, int]]) -> None:
        assert not effects


def minor(amount: str) -> int:
    """Return an amount with two decimals in cents."""
    return int(Decimal(amount) * 100)


@dataclass
class Clock:
    """A clock that is set by hand."""

    at: Any
    #: Called at each look.
    hooks: list[Any] = field(default_factory=list)

    def __call__(self) -> Any:
        for hook in self.hooks:
            hook()
        return self.at


#: All of them: those that answer over HTTP, and folders.
ANSWERING = [
    WebhookReceiver,
    UsageReceiver,
    KeylessProgram,
    OpenMeterRecorder,
    LagoRecorder,
    StripeRecorder,
    TrytonRecorder,
]
FOLDERS = [Folder, UsageFolder, JournalFolder]
