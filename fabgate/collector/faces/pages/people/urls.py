"""Routes and rights of the pages about people.

The desk finds and adds people, assigns and lends badges, and blocks people. Trainers read, and grant or revoke trainings.
Accountants choose payers and keep their records. Only managers mark people as left, import lists and decide what a
training gives access to.
"""

from __future__ import annotations

from typing import Final

from django.urls import path, register_converter

from fabgate.collector.faces.pages.ids import MemberConverter
from fabgate.collector.faces.pages.people import groups, import_trainings, imports, search, trainings
from fabgate.collector.faces.pages.people.badges import to_replace
from fabgate.collector.faces.pages.people.payers import choice, records
from fabgate.collector.faces.pages.people.person import actions, edit, enrol, page
from fabgate.collector.faces.pages.roles import Asks, Right, reads, writes
from fabgate.collector.ground.models import Account

register_converter(MemberConverter, "member")

urlpatterns = [
    path("people", search.people, name="people"),
    path("people/new", edit.new, name="people-new"),
    path("people/enrol", enrol.enrol, name="people-enrol"),
    path("people/import", imports.upload, name="people-import"),
    path("people/import/template.csv", imports.template, name="people-import-template"),
    path("people/import/trainings.csv", imports.trainings_template, name="people-import-trainings-template"),
    path("people/import/<slug:token>", imports.preview, name="people-import-preview"),
    path("people/import/<slug:token>/trainings", import_trainings.preview, name="people-import-trainings"),
    path("people/trainings", trainings.trainings, name="people-trainings"),
    path("people/trainings/new", trainings.new, name="people-training-new"),
    path("people/trainings/who", trainings.matrix, name="people-matrix"),
    path("people/trainings/<int:pk>", trainings.detail, name="people-training"),
    path("people/trainings/<int:pk>/edit", trainings.edit, name="people-training-edit"),
    path("people/groups", groups.groups, name="people-groups"),
    path("people/groups/new", groups.new, name="people-group-new"),
    path("people/groups/<int:pk>", groups.detail, name="people-group"),
    path("people/groups/<int:pk>/edit", groups.edit, name="people-group-edit"),
    path("people/groups/<int:pk>/payer", groups.payer, name="people-group-payer"),
    path("people/groups/<int:pk>/badge", groups.give, name="people-group-badge"),
    path("people/groups/<int:pk>/end", groups.end, name="people-group-end"),
    path("people/payers", records.records, name="people-payers"),
    path("people/payers/new", records.new, name="people-payer-new"),
    path("people/payers/people", choice.paid_for, name="people-paid-for"),
    path("people/payers/<member:pk>", records.detail, name="people-payer-one"),
    path("people/payers/<member:pk>/edit", records.edit, name="people-payer-edit"),
    path("people/payers/<member:pk>/end", records.end, name="people-payer-end"),
    path("people/badges/to-replace", to_replace.to_replace, name="people-badges-to-replace"),
    path("people/badges/<int:pk>/end", actions.end_badge, name="people-badge-end"),
    path("people/<member:pk>", page.detail, name="people-one"),
    path("people/<member:pk>/edit", edit.edit, name="people-edit"),
    path("people/<member:pk>/plan", actions.change_plan, name="people-plan"),
    path("people/<member:pk>/payer", choice.payer, name="people-payer"),
    path("people/<member:pk>/grant", actions.grant, name="people-grant"),
    path("people/<member:pk>/revoke", actions.revoke, name="people-revoke"),
    path("people/<member:pk>/block", actions.block, name="people-block"),
    path("people/<member:pk>/lift", actions.lift, name="people-lift"),
    path("people/<member:pk>/give", actions.give, name="people-give"),
    path("people/<member:pk>/lend", actions.lend, name="people-lend"),
    path("people/<member:pk>/tap", enrol.tap, name="people-tap"),
    path("people/<member:pk>/undo", edit.undo, name="people-undo"),
    path("people/<member:pk>/leave", actions.leave, name="people-leave"),
    path("people/<member:pk>/back", actions.come_back, name="people-back"),
]
_READ: Final = reads(Account.DESK, Account.TRAINER)
_DESK: Final = writes(Account.DESK)
_TRAINER: Final = writes(Account.TRAINER)
_NOBODY: Final = frozenset[str]()
_FORM: Final = Right(get=_DESK, post=_DESK)
#: A form in which some fields decide what people pay.
_MONEY_FORM: Final = Right(get=_DESK, post=_DESK, asks_password=Asks.IF_MONEY_CHANGES)
_ACCOUNTING: Final = writes(Account.ACCOUNTANT)
_MANAGERS: Final = Right(get=writes(), post=writes())
RIGHTS: Final = {
    "people": Right(get=_READ),
    "people-new": _MONEY_FORM,
    "people-enrol": _FORM,
    "people-import": _MANAGERS,
    "people-import-preview": Right(get=writes(), post=writes(), asks_password=Asks.ALWAYS),
    "people-import-template": Right(get=reads()),
    "people-import-trainings": _MANAGERS,
    "people-import-trainings-template": Right(get=reads()),
    "people-trainings": Right(get=_READ),
    "people-training-new": _MANAGERS,
    "people-matrix": Right(get=_READ, post=_TRAINER),
    "people-training": Right(get=_READ),
    "people-training-edit": _MANAGERS,
    "people-groups": Right(get=_READ | {Account.ACCOUNTANT}),
    "people-group-new": _MONEY_FORM,
    "people-group": Right(get=_READ | {Account.ACCOUNTANT}),
    "people-group-edit": _MONEY_FORM,
    "people-group-payer": Right(get=_NOBODY, post=_ACCOUNTING, asks_password=Asks.ALWAYS),
    "people-group-badge": Right(get=_NOBODY, post=_DESK),
    "people-group-end": Right(get=_NOBODY, post=_DESK),
    "people-plan": Right(get=_NOBODY, post=_DESK, asks_password=Asks.ALWAYS),
    "people-payers": Right(get=reads(Account.ACCOUNTANT)),
    "people-payer-new": Right(get=_ACCOUNTING, post=_ACCOUNTING, asks_password=Asks.ALWAYS),
    "people-paid-for": Right(get=reads(Account.ACCOUNTANT)),
    "people-payer-one": Right(get=reads(Account.ACCOUNTANT)),
    "people-payer-edit": Right(get=_ACCOUNTING, post=_ACCOUNTING, asks_password=Asks.ALWAYS),
    "people-payer-end": Right(get=_NOBODY, post=_ACCOUNTING, asks_password=Asks.ALWAYS),
    "people-payer": Right(get=reads(Account.ACCOUNTANT), post=_ACCOUNTING, asks_password=Asks.ALWAYS),
    "people-badges-to-replace": Right(get=reads(Account.DESK)),
    "people-badge-end": Right(get=_NOBODY, post=_DESK),
    "people-one": Right(get=_READ),
    "people-edit": _MONEY_FORM,
    "people-grant": Right(get=_NOBODY, post=_TRAINER),
    "people-revoke": Right(get=_NOBODY, post=_TRAINER),
    "people-block": Right(get=_NOBODY, post=_DESK),
    "people-lift": Right(get=_NOBODY, post=_DESK),
    "people-give": Right(get=_NOBODY, post=_DESK),
    "people-lend": Right(get=_NOBODY, post=_DESK),
    "people-tap": Right(get=reads(Account.DESK)),
    "people-undo": Right(get=_NOBODY, post=_DESK),
    "people-leave": _MANAGERS,
    "people-back": Right(get=_NOBODY, post=writes()),
}
