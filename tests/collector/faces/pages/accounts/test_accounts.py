"""Does a manager invite people, change their role and switch them off, and always keep a manager?"""

from __future__ import annotations

import re

import pytest
from django.utils import timezone

from fabgate.collector.faces.pages.accounts.forms import AccountForm
from fabgate.collector.ground.models import Account, ApiKey, Change, Member, OneTimeLink
from fabgate.collector.members.accounts import links


def link_in(response) -> str:
    return re.search(r'value="http://localhost(/welcome/[^"]+)"', response.content.decode())[1]


def test_an_invited_person_sets_their_own_password_by_the_link_that_is_shown_once(browse, visitor):
    manager = browse("manager")
    response = manager.post("/accounts/new", {"name": "Bob", "display_name": "Bob N.", "role": "trainer"})
    assert response.status_code == 200
    link = link_in(response)
    assert "/welcome/" not in manager.get("/accounts").content.decode()
    assert not Account.objects.get(name="bob").has_usable_password()
    assert visitor.post(link, {"password": "seven small boats"}).status_code == 303
    assert Account.objects.get(name="bob").role == "trainer"
    verbs = [change.verb for change in Change.objects.order_by("id")]
    assert verbs == ["account.added", "link.made", "link.used", "account.password"]


def test_a_role_is_chosen_and_nobody_is_made_a_manager_by_not_looking(browse):
    manager = browse("manager")
    page = manager.get("/accounts/new").content.decode()
    assert '<option value="" selected>Choose one</option>' in page
    assert " selected>Manager" not in page
    assert manager.post("/accounts/new", {"name": "bob", "role": ""}).status_code == 400
    assert not Account.objects.filter(name="bob").exists()


def test_who_has_no_password_is_invited_only_until_they_were_here(browse, account):
    one = account("desk", name="lea")
    one.set_unusable_password()
    one.save()
    client = browse("manager")
    assert "Invited" in client.get("/accounts").content.decode()
    one.last_login = timezone.now()
    one.save()
    page = client.get("/accounts").content.decode()
    assert "Invited" not in page
    assert "No password" in page


def test_a_member_account_needs_its_member(browse):
    manager = browse("manager")
    Member.objects.create(id="m-1", name="Mia")
    refused = manager.post("/accounts/new", {"name": "mia", "role": "member"})
    assert "member" in refused.context["form"].errors
    refused = manager.post("/accounts/new", {"name": "mia", "role": "member", "member": "m-2"})
    assert "member" in refused.context["form"].errors
    assert manager.post("/accounts/new", {"name": "mia", "role": "member", "member": "m-1"}).status_code == 200
    mia = Account.objects.get(name="mia")
    assert mia.member_id == "m-1"
    form = manager.get(f"/accounts/{mia.pk}").context["form"]
    shown = {name: form[name].value() for name in form.fields}
    assert shown["member"] == "Mia (m-1)"
    assert manager.post(f"/accounts/{mia.pk}", {**shown, "seen": form.seen}).status_code == 303
    assert Account.objects.get(name="mia").member_id == "m-1"


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("name", ""),
        ("name", "a b"),
        ("name", "manager"),
        ("role", ""),
        ("role", "king"),
        ("email", "x"),
        ("display_name", "x" * 121),
    ],
)
def test_what_is_typed_wrongly_makes_no_account(browse, field, typed):
    manager = browse("manager")
    response = manager.post("/accounts/new", {"name": "bob", "role": "desk", field: typed})
    assert response.status_code == 400
    assert list(response.context["form"].errors) == [field]
    assert Account.objects.count() == 1


def test_a_role_is_changed_and_written_down(browse, account):
    desk = account("desk")
    response = browse("manager").post(f"/accounts/{desk.pk}", {"role": "trainer", "display_name": "Dee"})
    assert response.status_code == 303
    desk.refresh_from_db()
    assert (desk.role, desk.display_name) == ("trainer", "Dee")
    change = Change.objects.get()
    assert (change.before, change.after) == (
        {"role": "desk", "display_name": ""},
        {"role": "trainer", "display_name": "Dee"},
    )
    assert (change.actor, change.verb) == ("manager", "account.updated")


def test_switching_off_ends_sign_ins_and_links_and_can_be_undone(browse, account):
    desk, manager = account("desk"), browse("manager")
    there = browse(desk)
    token = links.make("reset", desk, "manager")
    manager.post(f"/accounts/{desk.pk}", {"active": "0"})
    assert there.get("/me").status_code == 303
    assert OneTimeLink.open(token) is None
    assert manager.post(f"/accounts/{desk.pk}/link").status_code == 400
    manager.post(f"/accounts/{desk.pk}", {"active": "1"})
    assert OneTimeLink.open(token) is None
    assert browse(desk).get("/me").status_code == 200


def test_the_keys_of_an_account_that_is_switched_off_are_revoked_where_they_are_ticked(browse, account):
    desk, manager = account("desk", display_name="Dee"), browse("manager")
    tokens = {name: made(name, desk) for name in ("Invoices", "Old one", "Statistics")}
    foreign = made("Foreign", account("trainer"))
    keys = dict(ApiKey.objects.values_list("name", "pk"))
    ApiKey.objects.filter(name="Old one").update(expires_at=timezone.now())
    page = manager.get(f"/accounts/{desk.pk}").content.decode()
    ticked = re.findall(r'name="key" value="(\d+)" checked', page)
    assert ticked == [str(keys["Invoices"]), str(keys["Statistics"])]
    sent = [keys["Invoices"], keys["Foreign"], "x"]
    assert manager.post(f"/accounts/{desk.pk}", {"active": "0", "key": sent}).status_code == 303
    works = {name for name, token in [*tokens.items(), ("Foreign", foreign)] if ApiKey.by_token(token)}
    assert works == {"Statistics", "Foreign"}
    told = Change.objects.order_by("id").values_list("verb", "key", "actor")
    assert list(told) == [
        ("key.revoked", str(keys["Invoices"]), "manager"),
        ("account.deactivated", "desk", "manager"),
    ]
    assert "1 key created by this account still works." in manager.get(f"/accounts/{desk.pk}").content.decode()
    shown = manager.get("/accounts/keys").content.decode()
    assert shown.count("created by Dee, whose account is switched off") == 3


def made(name: str, by: Account) -> str:
    _key, token = ApiKey.make(name, ["sessions:read"], made_by=by, expires_at=None)
    return token


@pytest.mark.parametrize("fields", [{"active": "0"}, {"role": "desk"}])
def test_the_last_manager_cannot_go(browse, account, fields):
    own = account("manager")
    response = browse(own).post(f"/accounts/{own.pk}", fields)
    assert response.status_code == 409
    own.refresh_from_db()
    assert (own.is_active, own.role) == (True, "manager")
    assert not Change.objects.exists()


def test_a_manager_who_was_only_invited_does_not_count_as_one(browse, account):
    own = account("manager")
    client = browse(own)
    client.post("/accounts/new", {"name": "new", "role": "manager"})
    assert client.post(f"/accounts/{own.pk}", {"role": "desk"}).status_code == 409


def test_a_link_for_somebody_who_forgot_replaces_the_one_before(browse, account, visitor):
    desk, manager = account("desk"), browse("manager")
    first, second = (link_in(manager.post(f"/accounts/{desk.pk}/link")) for _ in range(2))
    assert visitor.get(first).status_code == 404
    assert visitor.get(second).status_code == 200


def test_an_auditor_sees_accounts_and_no_button(browse, account):
    desk = account("desk")
    text = browse("auditor").get(f"/accounts/{desk.pk}").content.decode()
    assert "Save" not in text
    assert "one-time link" not in text


def test_an_account_that_is_not_there_is_404(browse):
    assert browse("manager").get("/accounts/999").status_code == 404
    assert browse(Account.objects.get()).post("/accounts/999/link").status_code == 404


def test_a_password_that_is_set_while_a_manager_saves_the_account_holds(browse, account, monkeypatch):
    who = account("desk")
    is_valid = AccountForm.is_valid

    def slowly(form):
        Account.objects.filter(pk=who.pk).update(password="!newer")
        return is_valid(form)

    monkeypatch.setattr(AccountForm, "is_valid", slowly)
    assert browse("manager").post(f"/accounts/{who.pk}", {"role": "trainer"}).status_code == 303
    who.refresh_from_db()
    assert (who.role, who.password) == ("trainer", "!newer")


def send_link(manager, account, response):
    token = re.search(r'name="token" value="([^"]+)"', response.content.decode())[1]
    return token, manager.post(f"/accounts/{account.pk}/mail", {"token": token})


@pytest.mark.parametrize(
    ("lang", "subject", "words"),
    [("fr", "Votre compte", "ce lien"), ("", "Your account", "this link")],
)
def test_an_invitation_can_be_sent_by_mail_in_the_language_of_the_account(
    browse, visitor, mail_server, lang, subject, words
):
    got = mail_server()
    manager = browse("manager")
    response = manager.post("/accounts/new", {"name": "bob", "role": "trainer", "email": "bob@example.org"})
    Account.objects.filter(name="bob").update(lang=lang)
    bob = Account.objects.get(name="bob")
    _, response = send_link(manager, bob, response)
    assert "was sent to bob@example.org" in response.content.decode()
    assert 'name="token"' not in response.content.decode()
    ((recipient, message),) = got.taken
    text = message.get_content()
    assert recipient == "bob@example.org"
    assert message["Subject"].startswith(subject)
    assert words in text.lower()
    link = re.search(r"http://localhost(/welcome/\S+)", text)[1]
    assert visitor.post(link, {"password": "seven small boats"}).status_code == 303
    change = Change.objects.get(verb="account.mailed")
    assert (change.actor, change.key, change.after) == ("manager", "bob", {"email": "bob@example.org"})
    assert link.rpartition("/")[2] not in str(list(Change.objects.values()))


def test_a_new_password_is_another_letter_and_what_went_wrong_is_told_beside_the_link(browse, account, mail_server):
    got = mail_server(refused={"desk@example.org"})
    manager, desk = browse("manager"), account("desk", email="desk@example.org")
    token, response = send_link(manager, desk, manager.post(f"/accounts/{desk.pk}/link"))
    page = response.content.decode()
    assert "could not be sent to desk@example.org: the mail server refused the address" in page
    assert link_in(response).endswith(token)
    assert Change.objects.get(verb="account.not-mailed").reason.startswith("the mail server refused the address")
    got.refused.clear()
    send_link(manager, desk, response)
    assert got.taken[0][1]["Subject"] == "A new password for your account"


def test_a_link_goes_to_nobody_else_and_only_while_it_opens(browse, account, mail_server):
    got = mail_server()
    manager, desk, other = (
        browse("manager"),
        account("desk", email="desk@example.org"),
        account("trainer", email="t@example.org"),
    )
    token = links.make("reset", desk, "manager")
    assert manager.post(f"/accounts/{other.pk}/mail", {"token": token}).status_code == 404
    links.make("reset", desk, "manager")  # the one before opens nothing any more
    assert manager.post(f"/accounts/{desk.pk}/mail", {"token": token}).status_code == 404
    assert manager.post(f"/accounts/{desk.pk}/mail").status_code == 404
    assert not got.taken


def test_without_a_server_or_an_address_nothing_is_offered(browse, account, mail_server):
    manager, desk, other = browse("manager"), account("desk", email="desk@example.org"), account("trainer")
    assert 'name="token"' not in manager.post(f"/accounts/{desk.pk}/link").content.decode()
    assert manager.post(f"/accounts/{desk.pk}/mail", {"token": links.make("reset", desk, "x")}).status_code == 400
    mail_server()
    assert 'name="token"' in manager.post(f"/accounts/{desk.pk}/link").content.decode()
    assert 'name="token"' not in manager.post(f"/accounts/{other.pk}/link").content.decode()


def test_that_an_account_is_switched_off_is_said_in_ones_own_language(account, browse):
    other = account("auditor", is_active=False)
    answer = browse(account("manager", lang="fr")).post(f"/accounts/{other.pk}/link")
    assert answer.status_code == 400
    assert "le compte «\u00a0auditor\u00a0» est désactivé" in answer.content.decode()


def test_a_link_ends_with_the_role_for_which_it_was_made(browse, account, visitor):
    """A link for a trainer asks for no password of the manager; it must not open the accounting later."""
    one, manager = account("trainer", name="tim"), browse("manager")
    link = link_in(manager.post(f"/accounts/{one.pk}/link"))
    shown = {"display_name": "Tim", "email": "", "member": ""}
    manager.post(f"/accounts/{one.pk}", {**shown, "role": "trainer"})
    assert visitor.get(link).status_code == 200
    manager.post(f"/accounts/{one.pk}", {**shown, "role": "accountant"})
    assert Account.objects.get(pk=one.pk).role == "accountant"
    assert visitor.get(link).status_code != 200
    assert visitor.post(link, {"password": "seven small boats"}).status_code != 303
