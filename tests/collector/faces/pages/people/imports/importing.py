"""Uploads a list to the page that imports it, and sends the form of its preview."""

from __future__ import annotations

from django.core.files.uploadedfile import SimpleUploadedFile

from tests.collector.faces.pages.counter import ADA, ZOE, text

#: The members of the small workshop as a whole list.
ALL = f"id,name,badges\nm-1,Ada Lovelace,{ADA}\nm-2,Zoé Müller-Østergård,{ZOE}\nm-3,Élise Noël,\n"


def upload(client, raw: str | bytes):
    raw = raw.encode() if isinstance(raw, str) else raw
    return client.post("/people/import", {"file": SimpleUploadedFile("list.csv", raw)})


def look(client, raw: str | bytes):
    """Upload a list and return its preview."""
    response = upload(client, raw)
    assert response.status_code == 303, text(response)
    page = client.get(response.headers["Location"])
    assert page.status_code == 200
    return page


def take(client, page, **more):
    """Import what the preview shows, with all new people, or those with the ids of `add`."""
    found = page.context["found"]
    new = [person.row.id for person in found.new] if found.asks_for_each else ["all"]
    return client.post(page.request["PATH_INFO"], {"seen": found.fingerprint, "add": new if found.new else [], **more})
