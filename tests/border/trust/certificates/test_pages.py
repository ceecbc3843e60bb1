"""The page, the API and the command: the chain drawn, the verdict in words, in four languages, for everybody."""

from __future__ import annotations

import base64
import json

import pytest
from click.testing import CliRunner
from django.utils import timezone
from tests.border.trust.certificates.forge import certificate, name
from tests.border.trust.certificates.test_path import World
from tests.browsers import DESK, PHONE, chromium, fits, needs_chromium, shot, violations

from wantong.border.trust.certificates import authority, roots, services
from wantong.cli.trust import command
from wantong.ground.actors import system
from wantong.ground.i18n import LANGUAGES

HEAD = "-----BEGIN CERTIFICATE-----"


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.fixture
def recognised(db, world, monkeypatch):
    """The node recognises this world's root, and has its lists."""
    monkeypatch.setattr(roots, "_PROVIDERS", [lambda at: (world.root.certificate,)])
    now = timezone.now().replace(microsecond=0)
    for issuer in (world.root, world.ca):
        der = authority.revocation_list(issuer, [], number=1, at=now, until=now.replace(year=now.year + 1))
        services.take_list(system("test"), der, [issuer.certificate])
    return world


def pem(*ders: bytes) -> str:
    return "".join(f"{HEAD}\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n" for der in ders)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_good_chain_is_drawn_to_its_root(client, recognised, lang):
    text = pem(recognised.leaf, recognised.ca.certificate)
    shown = client.post(f"/{lang}/trust/certificate/", {"text": text}).content.decode()
    assert shown.count("wt-chain__card--passed") == 3 and shown.count("wt-chain__bond--passed") == 2
    assert "wt-chain__bond--missing" not in shown and "⟦" not in shown
    for label in ("陳大文", "Signing CA", "Root"):
        assert label in shown


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_broken_chain_says_what_is_missing(client, recognised, lang):
    shown = client.post(f"/{lang}/trust/certificate/", {"text": pem(recognised.leaf)})
    assert shown.status_code == 200
    text = shown.content.decode()
    assert "wt-chain__card--missing" in text and "Signing CA" in text and "⟦" not in text


def test_a_file_and_roots_of_ones_own(client, recognised):
    stranger = World()
    upload = _file(pem(stranger.leaf, stranger.ca.certificate).encode())
    shown = client.post(
        "/en/trust/certificate/", {"file": upload, "roots": pem(stranger.root.certificate)}
    ).content.decode()
    assert (
        "by the roots that were handed in" in shown and "Cannot be decided" in shown
    )  # nobody has its lists


def test_names_in_certificates_stay_text(client, recognised):
    leaf = certificate(name("<script>alert(1)</script>"), name("\u202egnp.exe"), own=1)
    shown = client.post("/en/trust/certificate/", {"text": pem(leaf)}).content.decode()
    assert "<script>alert" not in shown and "&lt;script&gt;" in shown and "\u202e" not in shown


@pytest.mark.parametrize(
    "given", [{}, {"text": "hello"}, {"file": b""}, {"text": pem(b"junk")}, {"day": "soon"}]
)
def test_what_cannot_be_looked_at_is_said(client, recognised, given):
    if "file" in given:
        given = {"file": _file(given["file"])}
    shown = client.post("/pt/trust/certificate/", given)
    text = shown.content.decode()
    assert shown.status_code in (200, 422) and "⟦" not in text
    assert "govuk-error-summary" in text or "FORMAT" in text or "Reprovado" in text


def test_the_day_of_an_old_signature(client, recognised):
    shown = client.post("/en/trust/certificate/", {"text": pem(recognised.leaf), "day": "2020-01-01"})
    assert "It was not valid yet." in shown.content.decode()


def _file(content: bytes):
    from django.core.files.uploadedfile import SimpleUploadedFile

    return SimpleUploadedFile("chain.pem", content)


def test_the_api_answers_everybody(client, recognised):
    def ask(**body):
        return client.post("/api/trust/certificates/check", json.dumps(body), content_type="application/json")

    told = ask(certificates=pem(recognised.leaf, recognised.ca.certificate), lang="zh-hant").json()
    assert told["verdict"]["outcome"] == "passed" and told["roots"] == "recognised"
    assert [card["place"] for card in told["chain"]] == ["leaf", "issuer", "root"]
    assert told["verdict"]["steps"][0]["said"]["what"]
    stranger = World()
    now = timezone.now().replace(microsecond=0)
    lists = [
        base64.b64encode(
            authority.revocation_list(ca, [], number=1, at=now, until=now.replace(year=now.year + 1))
        ).decode()
        for ca in (stranger.root, stranger.ca)
    ]
    everything = {
        "certificates": base64.b64encode(stranger.leaf).decode(),
        "roots": pem(stranger.ca.certificate),
        "lists": lists,
        "purposes": ["1.3.6.1.5.5.7.3.36"],
        "at": now.isoformat(),
    }
    assert ask(**everything).json()["verdict"]["outcome"] == "passed"
    assert (
        ask(**{**everything, "purposes": ["1.2.3"]}).json()["verdict"]["indication"]
        == "CHAIN_CONSTRAINTS_FAILURE"
    )
    refused = ask(certificates="hello")
    assert refused.status_code == 422 and refused.json()["type"].endswith("certificates-none")
    assert ask(certificates=pem(b"\x30\x03\x02\x01\x01")).json()["verdict"]["indication"] == "FORMAT_FAILURE"


def test_the_command_needs_no_node(tmp_path, world):
    now = timezone.now().replace(microsecond=0)
    files = {
        "chain.pem": pem(world.leaf, world.ca.certificate).encode(),
        "root.pem": pem(world.root.certificate).encode(),
        "root.crl": authority.revocation_list(
            world.root, [], number=1, at=now, until=now.replace(year=now.year + 1)
        ),
        "ca.crl": authority.revocation_list(
            world.ca, [], number=1, at=now, until=now.replace(year=now.year + 1)
        ),
    }
    for filename, content in files.items():
        (tmp_path / filename).write_bytes(content)
    path = {filename: str(tmp_path / filename) for filename in files}
    asked = ["certificate", path["chain.pem"], "--root", path["root.pem"], "--lang", "en"]
    bare = CliRunner().invoke(command, asked)
    assert bare.exit_code == 1 and "Cannot be decided" in bare.output
    whole = CliRunner().invoke(command, [*asked, "--list", path["root.crl"], "--list", path["ca.crl"]])
    assert whole.exit_code == 0 and "Passed" in whole.output and "陳大文" in whole.output
    told = json.loads(CliRunner().invoke(command, [*asked, "--no-revocation", "--json"]).output)
    assert told["verdict"]["outcome"] == "passed" and len(told["chain"]) == 3
    (tmp_path / "none.pem").write_text("hello")
    none = CliRunner().invoke(command, ["certificate", str(tmp_path / "none.pem"), "--lang", "en"])
    assert none.exit_code == 2 and "No certificate" in none.output


@needs_chromium
@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_the_page_is_accessible_on_a_phone_and_a_desk(live_server, recognised):
    chains = {
        "good": pem(recognised.leaf, recognised.ca.certificate),
        "broken": pem(recognised.leaf),
        "foreign": pem(World().leaf, recognised.ca.certificate),
    }
    faults = []
    with chromium() as browser:
        for viewport, lang in ((PHONE, "zh-hant"), (DESK, "en")):
            page = browser.new_page(viewport=viewport)
            for kind in ("empty", *chains):
                page.goto(f"{live_server.url}/{lang}/trust/certificate/")
                if kind in chains:
                    page.fill("#id_text", chains[kind])
                    page.click(".wt-form button[type=submit]")
                    page.wait_for_selector(".wt-chain")
                page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
                assert fits(page), (kind, lang)
                faults += [(kind, lang, fault) for fault in violations(page)]
                page.evaluate(
                    "document.querySelectorAll('.wt-chain details').forEach((d, i) => d.open = i == 0)"
                )
                shot(page, f"certificate-{kind}-{viewport['width']}")
            page.close()
    assert not faults, faults
