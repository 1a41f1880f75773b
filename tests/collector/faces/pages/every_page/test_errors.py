"""Does a person learn what went wrong and what to do, whatever it was?"""

from __future__ import annotations

import pytest

from fabgate.collector.faces.pages import errors
from fabgate.collector.faces.pages.home import views
from fabgate.collector.ground.models import Badge, Machine
from fabgate.errors import UsageError


def raising(monkeypatch, error: Exception) -> None:
    def account_of(_request):
        raise error

    monkeypatch.setattr(views, "account_of", account_of)


def test_a_page_that_is_not_there_is_404_in_the_frame(browse):
    response = browse("desk").get("/nope")
    assert response.status_code == 404
    assert "Page not found" in response.content.decode()
    assert "My account" in response.content.decode()


def test_404_needs_nobody_signed_in(visitor):
    assert visitor.get("/nope").status_code == 404


def test_a_program_is_told_in_the_form_of_the_api(visitor):
    response = visitor.get("/api/v1/nope")
    assert response.status_code == 404
    assert response.json()["detail"].startswith("Page not found. ")


def test_input_that_cannot_be_read_is_400_with_its_own_words(browse, monkeypatch):
    raising(monkeypatch, UsageError("found 31 June, wanted a day that exists"))
    response = browse("desk").get("/")
    assert response.status_code == 400
    assert "wanted a day that exists" in response.content.decode()


def test_what_somebody_else_changed_first_is_409(browse, monkeypatch):
    raising(monkeypatch, errors.Conflict("Ada locked it a moment ago."))
    response = browse("desk").get("/")
    assert response.status_code == 409
    assert "Ada locked it a moment ago." in response.content.decode()


def test_what_is_there_already_is_409_whoever_wrote_it(browse, monkeypatch):
    def account_of(_request):
        Machine.objects.create(name="saw")
        Machine.objects.create(name="saw")

    monkeypatch.setattr(views, "account_of", account_of)
    response = browse("desk").get("/")
    assert response.status_code == 409
    assert "or the form was sent twice. Nothing was saved a second time." in response.content.decode()


def test_a_row_that_may_never_be_is_our_own_mistake(browse, monkeypatch):
    def account_of(_request):
        Badge.objects.create(digest="0")  # nobody's

    monkeypatch.setattr(views, "account_of", account_of)
    client = browse("desk")
    client.raise_request_exception = False
    assert client.get("/").status_code == 500


def test_text_of_an_error_cannot_become_part_of_the_page(browse, monkeypatch):
    raising(monkeypatch, UsageError("<script>alert(1)</script>"))
    assert "<script>alert" not in browse("desk").get("/").content.decode()


def test_a_mistake_of_ours_is_500_and_says_nothing_of_itself(browse, monkeypatch):
    raising(monkeypatch, RuntimeError("a secret"))
    client = browse("desk")
    client.raise_request_exception = False
    response = client.get("/", headers={"accept-language": "fr"})
    assert response.status_code == 500
    assert "Une erreur est survenue" in response.content.decode()
    assert "a secret" not in response.content.decode()


@pytest.mark.parametrize("path", ["/theme", "/sign-out"])
def test_a_page_that_is_only_sent_to_is_405_when_it_is_opened(browse, path):
    response = browse("desk").get(path)
    assert response.status_code == 405
    assert "Allow" in response.headers


def test_a_host_that_is_not_allowed_is_told_where_to_allow_it(visitor):
    response = visitor.get("/sign-in", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert "FABGATE_ALLOWED_HOSTS" in response.content.decode()


def test_a_gate_and_a_monitor_may_use_any_host(visitor):
    # Whatever the monitor is told, it is told it under this name too.
    assert visitor.get("/healthz", headers={"host": "evil.example"}).headers["Content-Type"] == "application/json"
    assert visitor.get("/api/v1/gates/laser-1/roster", headers={"host": "evil.example"}).status_code == 401


@pytest.mark.parametrize("path", ["/people?q=a%00b", "/people/a%00b", "/machines/%00", "/use/%00", "/log?actor=%00"])
def test_a_null_character_is_400_on_every_database(browse, path):
    assert browse("manager").get(path).status_code == 400


@pytest.mark.parametrize("path", ["/people/a~00b", "/people/%00", "/people?q=%00", "/floor/machines/%00/lock"])
def test_a_nul_in_an_address_is_400_on_every_database(browse, path):
    assert browse("manager").get(path).status_code == 400


def test_a_nul_in_a_form_or_in_a_cookie_is_400_on_every_database(browse):
    client = browse("manager")
    assert client.post("/people/trainings/who", {"member": ["m\0"]}).status_code == 400
    cookie = {"cookie": r'fabgate_session_8000="12345678\000"'}  # quoted, as a browser that means harm would send it
    assert client.get("/people", headers=cookie).status_code == 400
    assert client.get("/nope", headers=cookie).status_code == 400


def test_a_number_that_is_larger_than_any_row_has_is_400(browse):
    typed = {"name": "2de B", "kind": "class", "machines": ["9" * 30]}
    assert browse("manager").post("/people/groups/new", typed).status_code == 400


@pytest.mark.parametrize("path", ["/people/new", "/me/password", "/floor", "/people/trainings/who"])
def test_what_can_be_read_can_be_asked_for_its_head(browse, path):
    assert browse("manager").head(path).status_code == 200


def test_the_way_in_can_be_asked_for_its_head(visitor):
    assert visitor.head("/sign-in").status_code == 200
