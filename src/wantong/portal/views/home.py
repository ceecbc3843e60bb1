"""The first page of a node."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from wantong.ground import config
from wantong.portal.respond import page


def home(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    node = config.current()
    data = {"participant_id": node.participant_id, "jurisdiction": node.jurisdiction, "name": node.name}
    return page(request, "portal/home.html", data, as_json=as_json)
