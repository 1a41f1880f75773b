"""Who pays for whom before the table of payers is who pays for whom after it, and nothing is lost on the way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from fabgate.collector.models import Group, Member, Payer
from fabgate.errors import UsageError
from tests.collector.paying import organisation, paying

PAYERS = ("collector", "0007_payers")


def migrate(*wanted: tuple[str, str]) -> Any:
    """Bring the database to some steps; return the models as they are there."""
    executor = MigrationExecutor(connection)
    executor.migrate(list(wanted))
    return MigrationExecutor(connection).loader.project_state(list(wanted)).apps


@pytest.fixture
def stepping(database) -> Iterator[None]:
    """A database that has all steps again in the end: on PostgreSQL, the next test uses it too."""
    yield
    graph = MigrationExecutor(connection).loader.graph
    migrate(*(key for key in graph.leaf_nodes() if key[0] == "collector"))


@pytest.fixture
def before(stepping) -> Any:
    """A database of the state before."""
    loader = MigrationExecutor(connection).loader
    return migrate(*(node.key for node in loader.graph.node_map[PAYERS].parents))


def test_members_who_pay_become_payers_and_nobody_pays_for_others_than_before(before):
    member, group = before.get_model("collector", "Member"), before.get_model("collector", "Group")
    for pk in ("m-1", "m-2", "m-3", "école/1"):
        member.objects.create(id=pk, name=pk, folded=pk)
    member.objects.filter(pk="m-1").update(payer="m-2")
    member.objects.filter(pk="m-2").update(payer="école/1")
    group.objects.create(name="École B", kind="class", payer_id="m-2")
    group.objects.create(name="Acme", kind="company")
    group.objects.create(id=70, name="Gone", kind="company").delete()  # as after a restore, which skips numbers
    migrate(PAYERS)
    if connection.vendor == "sqlite":
        assert Group.objects.create(name="New", kind="class").pk == 71
        Group.objects.filter(name="New").delete()
    paid = {"m-1": "m-2", "m-2": "école/1", "m-3": None, "école/1": None}
    assert dict(Member.objects.values_list("pk", "payer")) == paid
    assert set(Group.objects.values_list("name", "folded", "payer")) == {
        ("École B", "ecole b", "m-2"),
        ("Acme", "acme", None),
    }
    assert set(Payer.objects.values_list("pk", "member", "group", "ended_on")) == {
        ("m-2", "m-2", None, None),
        ("école/1", "école/1", None, None),
    }
    connection.check_constraints()
    # The way back.
    migrate(*[node.key for node in MigrationExecutor(connection).loader.graph.node_map[PAYERS].parents])
    assert dict(member.objects.values_list("pk", "payer")) == paid
    connection.check_constraints()
    if connection.vendor == "sqlite":
        assert group.objects.create(name="Newer", kind="class").pk == 72


@pytest.mark.usefixtures("stepping")
def test_the_way_back_is_refused_while_an_organisation_pays():
    Member.objects.create(id="m-2")
    Member.objects.create(id="m-1", payer=paying("m-2"))
    paid = Member.objects.create(id="m-3", payer=organisation())
    parents = [node.key for node in MigrationExecutor(connection).loader.graph.node_map[PAYERS].parents]
    with pytest.raises(UsageError, match="payer:1 pays for member m-3"):
        migrate(*parents)
    assert Payer.objects.count() == 2
    paid.payer = None
    paid.save()
    apps = migrate(*parents)
    assert dict(apps.get_model("collector", "Member").objects.values_list("pk", "payer")) == {
        "m-1": "m-2",
        "m-2": None,
        "m-3": None,
    }
    migrate(PAYERS)
