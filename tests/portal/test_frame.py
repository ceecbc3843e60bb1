"""The frame of every page: languages, fonts, texts, signing in."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils import timezone, translation

from wantong.ground.http import throttle
from wantong.ground.http.models import SignInFailures
from wantong.ground.i18n import LANG_ATTRIBUTE, LANGUAGES
from wantong.portal import services
from wantong.portal.problems import UnknownRole, WeakPassword
from wantong.portal.templatetags import wantong as tags

PASSWORD = "harbour lotus kapok nine"
BROWSER = {"HTTP_ACCEPT": "text/html"}
pytestmark = pytest.mark.django_db


def test_every_language_says_which_it_is(client: Client):
    for lang in LANGUAGES:
        body = client.get(f"/{lang}/", **BROWSER).content.decode()
        assert f'<html lang="{LANG_ATTRIBUTE[lang]}"' in body
        assert "⟦" not in body


def test_the_language_switch_keeps_the_page_and_its_query(client: Client):
    body = client.get("/en/sign-in?next=/en/password", **BROWSER).content.decode()
    for lang in LANGUAGES:
        assert f'href="/{lang}/sign-in?next=/en/password"' in body


def test_no_page_needs_an_inline_script_or_style(client: Client):
    body = client.get("/en/", **BROWSER).content.decode()
    assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=", body)


def test_a_page_is_json_by_extension_and_by_accept(client: Client):
    by_extension = client.get("/en/index.json")
    by_accept = client.get("/en/", HTTP_ACCEPT="application/json")
    assert by_extension.json() == by_accept.json()
    assert by_extension.json()["participant_id"] == "gd.test.example"


def test_what_is_not_there_is_said_in_the_reader_s_language(client: Client):
    response = client.get("/zh-hant/nothing", **BROWSER)
    assert response.status_code == 404
    assert "找不到此頁面" in response.content.decode()


@pytest.mark.parametrize(
    ("lang", "written"),
    [
        ("en", "7 March 2026, 09:05"),
        ("zh-hans", "2026年3月7日 09:05"),
        ("zh-hant", "2026年3月7日 09:05"),
        ("pt", "7 de Março de 2026, 09:05"),
    ],
)
def test_moments_are_written_in_the_bay_s_time(lang, written):
    with translation.override(lang):
        assert f">{written}</time>" in tags.localtime_bay("2026-03-07T01:05:00Z")


def test_content_in_another_language_says_so():
    with translation.override("pt"):
        made = tags.tr({"zh-hans": "社保<记录>"})
    assert made.startswith('<span lang="zh-Hans">社保&lt;记录&gt;</span>')
    assert "简体中文" in made


def test_an_operator_signs_in_and_out(client: Client):
    services.make_operator("ana", ["approver"], PASSWORD, name="Ana")
    response = client.post("/pt/sign-in", {"username": "ana", "password": PASSWORD}, **BROWSER)
    assert response.status_code == 302
    assert "Ana" in client.get("/pt/", **BROWSER).content.decode()
    assert client.get("/pt/sign-out").status_code == 405
    client.post("/pt/sign-out")
    assert "Iniciar sessão" in client.get("/pt/", **BROWSER).content.decode()


def test_repeated_failures_earn_a_pause_even_for_the_right_password(client: Client):
    services.make_operator("ana", [], PASSWORD)
    wrong = {"username": "ana", "password": "wrong"}
    for _ in range(throttle.NAME_AND_ADDRESS.free + 1):
        assert client.post("/en/sign-in", wrong, **BROWSER).status_code == 422
    refused = client.post("/en/sign-in", {**wrong, "password": PASSWORD}, **BROWSER)
    assert refused.status_code == 429
    assert "seconds" in refused.content.decode()
    # somebody else's place is not punished for it
    elsewhere = client.post(
        "/en/sign-in", {**wrong, "password": PASSWORD}, REMOTE_ADDR="192.0.2.7", **BROWSER
    )
    assert elsewhere.status_code == 302
    SignInFailures.objects.update(blocked_until=timezone.now())
    assert client.post("/en/sign-in", {**wrong, "password": PASSWORD}, **BROWSER).status_code == 302


def test_pauses_double_and_end_at_an_hour():
    limit = throttle.NAME_AND_ADDRESS
    pauses = [limit.pause(n).total_seconds() for n in range(20)]
    assert pauses[:8] == [0, 0, 0, 0, 0, 30, 60, 120]
    assert max(pauses) == throttle.LONGEST.total_seconds() == pauses[-1]


def test_bad_operators_are_not_made():
    with pytest.raises(UnknownRole):
        services.make_operator("ana", ["king"], PASSWORD)
    with pytest.raises(WeakPassword) as weak:
        services.make_operator("ana", ["approver"], "password123")
    assert weak.value.params == {"faults": ["too-short", "too-common"], "least": 12}
    assert weak.value.explain("pt")["detail"] == "Tem menos de 12 caracteres. É uma palavra-passe comum."
    assert not services.User.objects.filter(username="ana").exists()
