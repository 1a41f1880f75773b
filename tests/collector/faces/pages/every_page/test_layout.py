"""Does every page carry the right tabs, language, colours and headers?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.test.signals import template_rendered
from django.urls import get_resolver

from fabgate.collector.faces.pages import layout, rights
from fabgate.collector.ground.db import pulse
from fabgate.collector.ground.models import Account, Pulse
from fabgate.collector.money.billing import terms
from fabgate.demo.live.picture import KEYS


def test_a_role_sees_the_tabs_that_it_may_open_and_no_other(browse):
    terms.start("EUR", date(2027, 1, 1), "UTC", includes_vat=True, actor="maya")  # before, there is no Month
    for role, _label in Account.ROLES:
        page = browse(role).get("/me")
        shown = {tab["route"] for tab in [*page.context["tabs"], *page.context["more"]]}
        open_to = {tab.route for tab in (*layout.TABS, *layout.MORE) if rights.may(role, tab.route)}
        # Who is no member has no minutes to look at.
        assert shown == open_to - (set() if role == Account.MEMBER else {"my-minutes"})


@pytest.mark.parametrize("role", [role for role, _label in Account.ROLES])
def test_everybody_begins_on_a_page_that_they_may_open(browse, role):
    client = browse(role)
    page = client.get("/", follow=True)
    assert page.status_code == 200
    assert page.redirect_chain[0][1] == 303


def test_the_tab_of_a_page_is_marked(browse):
    text = browse("manager").get("/accounts/new").content.decode()
    assert re.search(r'href="/accounts" aria-current="page"', text)


def test_a_place_that_a_text_names_is_called_so_on_the_pages():
    root = Path(layout.__file__).parents[2]
    code = "\n".join(path.read_text("utf-8") for path in root.rglob("*.py"))
    pages = "\n".join(path.read_text("utf-8") for path in root.rglob("*.html"))
    named = re.findall("More(?:,| →) ([A-Z][a-z]+)(?:,| →) ([A-Z][A-Za-z ]+)", code)
    assert len(named) > 2
    for tab, page in named:
        assert tab in {str(tab.title) for tab in layout.MORE}
        assert f'{{% translate "{page}" %}}</a>' in pages, page


def test_a_page_that_is_not_built_yet_has_no_tab():
    built = {pattern.name for area in rights.areas() for pattern in area.urlpatterns}
    assert {way["route"] for way in layout.nav_links(Account.MANAGER, (*layout.TABS, *layout.MORE))} <= built
    assert get_resolver().reverse("home") == ""


@pytest.mark.parametrize(
    ("asked", "lang"),
    [
        ("fr", "fr"),
        ("fr-CH,en;q=0.8", "fr"),
        ("de,fr;q=0.5", "fr"),
        ("de", "en"),
        ("", "en"),
        ("FR", "fr"),
        ("*", "en"),
    ],
)
def test_a_page_speaks_the_language_that_the_browser_asks_for(visitor, asked, lang):
    page = visitor.get("/sign-in", headers={"accept-language": asked})
    assert f'<html lang="{lang}">' in page.content.decode()
    assert page.headers["Content-Language"] == lang
    assert {"Accept-Language", "Cookie"} <= set(page.headers["Vary"].split(", "))


def test_a_chosen_language_holds_in_this_browser_before_signing_in(visitor):
    response = visitor.post("/language", {"language": "fr", "next": "/sign-in"})
    assert (response.status_code, response.headers["Location"]) == (303, "/sign-in")
    assert "Se connecter" in visitor.get("/sign-in", headers={"accept-language": "en"}).content.decode()


def test_the_language_of_an_account_goes_with_it(browse, account):
    desk = account("desk")
    browse(desk).post("/language", {"language": "fr", "next": "/me"})
    assert "Mon compte" in browse(desk).get("/me", headers={"accept-language": "en"}).content.decode()


def test_chosen_colours_hold_in_this_browser(visitor):
    assert "data-theme" not in visitor.get("/sign-in").content.decode()
    visitor.post("/theme", {"theme": "dark", "next": "/sign-in"})
    assert 'data-theme="dark"' in visitor.get("/sign-in").content.decode()
    visitor.post("/theme", {"theme": "auto", "next": "/sign-in"})
    assert "data-theme" not in visitor.get("/sign-in").content.decode()


@pytest.mark.parametrize(
    ("path", "fields"), [("/theme", {"theme": "pink"}), ("/theme", {}), ("/language", {"language": "xx"})]
)
def test_a_choice_that_is_none_is_refused(visitor, path, fields):
    assert visitor.post(path, fields).status_code == 400


def test_nobody_is_sent_to_another_site_by_a_switch(visitor):
    assert visitor.post("/theme", {"theme": "dark", "next": "//evil.example/"}).headers["Location"] == "/"


def test_a_simulated_collector_says_so_on_every_page(visitor, monkeypatch):
    true = visitor.get("/sign-in").content.decode()
    assert "SIMULATED" not in true
    assert "<kbd>" not in true
    monkeypatch.setattr(settings, "ENVIRONMENT", replace(settings.ENVIRONMENT, simulated=True))
    simulated = visitor.get("/sign-in").content.decode()
    assert "SIMULATED" in simulated
    assert "Press <kbd>o</kbd> in its terminal" in simulated
    assert "   o page" in KEYS[1]


def test_no_page_may_run_or_paint_anything_that_is_not_a_file_of_ours(browse):
    page = browse("manager").get("/accounts")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*src=)|<style| style=| on\w+=", page.content.decode())
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_cookies_are_not_for_scripts_and_not_for_other_sites(visitor, account):
    account("desk")
    visitor.get("/sign-in")
    visitor.post("/sign-in", {"name": "desk", "password": "three green chairs"})
    for name in ("fabgate_session_8000", "fabgate_csrf_8000"):
        cookie = visitor.cookies[name]
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax"), name


def test_two_collectors_on_one_host_do_not_sign_each_other_out(tmp_path):
    def names(port: int) -> list[str]:
        program = "from django.conf import settings\nprint(settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME)"
        given = {
            "FABGATE_SITE": "lyon",
            "FABGATE_DATA": str(tmp_path),
            "FABGATE_WEB_PORT": str(port),
            "DJANGO_SETTINGS_MODULE": "fabgate.collector.settings",
        }
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True, check=True)
        return done.stdout.split()

    # A browser gives a cookie to every port of the host that set it (RFC 6265, 8.5).
    assert not {*names(8123)} & {*names(8124)}


def test_what_changes_while_a_page_is_made_is_told_to_it_afterwards(browse):
    def change(**_more):
        pulse.notify({Pulse.FLOOR: {"laser-1"}}, datetime.now(UTC))

    client = browse("manager")
    change()
    before = Pulse.newest()
    template_rendered.connect(change)  # before the first tag is written
    try:
        page = client.get("/floor").content.decode()
    finally:
        template_rendered.disconnect(change)
    assert Pulse.newest() > before
    assert f'data-pulse="{before}"' in page
