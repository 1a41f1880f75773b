"""Do our own sinks keep the contract against which the author of a sink tests it?"""

from __future__ import annotations

import pytest

from fabgate.testing.sinks import SinkContract
from tests.collector.money.billing.sinks import programs
from tests.collector.money.billing.sinks.programs import DOWN, LOST, REDIRECTS, WELL, WRONG_KEY


class OfOurs(SinkContract):
    """A sink with one of our programs."""

    def use(self, program):
        self.program = program
        self.sink = self.options_and_driver().driver

    def options_and_driver(self):
        return self.program.configured("2027-01")

    def options(self):
        return self.options_and_driver().options

    def stored(self):
        return self.program.effects

    def stop(self):
        self.program.mood = DOWN

    def start(self):
        self.program.mood = WELL


class TestOverHttp(OfOurs):
    @pytest.fixture(autouse=True, params=programs.ANSWERING, ids=lambda kind: kind.__name__)
    def bench(self, request, tmp_path):
        with request.param(tmp_path).running() as program:
            self.use(program)
            yield

    def lock_out(self):
        self.program.mood = WRONG_KEY

    def lose_answers(self):
        self.program.mood = LOST

    def redirect(self):
        self.program.mood = REDIRECTS

    def refuse(self, key):
        self.program.refused.add(key)

    def requests(self):
        return self.program.requests


class TestFolder(OfOurs):
    """A folder has no answers that could be lost, and refuses nothing."""

    @pytest.fixture(autouse=True, params=programs.FOLDERS, ids=lambda kind: kind.__name__)
    def bench(self, request, tmp_path):
        self.use(request.param(tmp_path))

    def expected(self, items):
        if isinstance(self.program, programs.JournalFolder):
            return [(item.key, item.amount) for item in items]
        return super().expected(items)
