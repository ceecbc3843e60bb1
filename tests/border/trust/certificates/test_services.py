"""Evidence is read once and found by an index; what a chain lacks is fetched later, never while somebody waits."""

from __future__ import annotations

import http.server
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone
from tests.border.trust.certificates.test_path import BEGIN, World

from wantong.border.trust.certificates import authority, handlers, services
from wantong.border.trust.certificates.models import Answered, Revoked, Source, Version
from wantong.border.trust.certificates.problems import BadEvidence, NoCertificates
from wantong.ground.actors import system
from wantong.ground.crypto import Suite, generate
from wantong.ground.http.reach import EVERYWHERE
from wantong.ground.outbox import services as outbox

pytestmark = pytest.mark.django_db(transaction=True)
ME = system("test")


@pytest.fixture(scope="module")
def world():
    return World()


def take(world, *revoked, number=1, age=timedelta(hours=1), **changes):
    now = timezone.now().replace(microsecond=0)
    at, until = now - age, now - age + changes.pop("life", timedelta(days=7))
    for issuer, entries in ((world.root, []), (world.ca, revoked)):
        der = authority.revocation_list(issuer, entries, number=number, at=at, until=until)
        version = services.take_list(ME, der, [issuer.certificate])
    return version


def check(world, **changes):
    told = {"intermediates": [world.ca.certificate], "anchors": [world.root.certificate], **changes}
    return services.check(told.pop("leaf", world.leaf), **told)


def test_a_chain_passes_once_its_lists_are_there(world):
    missing = check(world)
    assert (missing.verdict.outcome, missing.verdict.indication) == ("indeterminate", "TRY_LATER")
    take(world)
    found = check(world)
    assert found.verdict.passed and found.links[0].status.source == "crl"
    assert not check(world, revocation=False).links[0].status


def test_a_revocation_counts_from_its_day_and_is_not_forgotten(world):
    now = timezone.now().replace(microsecond=0)
    entry = authority.Revoked(3, now - timedelta(days=2), "key_compromise")
    take(world, entry)
    assert check(world).verdict.indication == "REVOKED"
    before = check(world, at=now - timedelta(days=3))
    assert before.verdict.passed and before.links[0].status.entry.at == entry.at
    take(world, number=2, age=timedelta(minutes=1))  # gone from the list, but no hold was lifted
    assert check(world).verdict.indication == "REVOKED"


def test_a_hold_that_is_lifted_is_over(world):
    held = authority.Revoked(3, timezone.now() - timedelta(days=2), "certificate_hold")
    take(world, held)
    assert check(world).verdict.indication == "REVOKED"
    take(world, number=2, age=timedelta(minutes=1))
    assert check(world).verdict.passed
    (row,) = Revoked.objects.all()
    assert row.listed_until is not None


def test_a_list_is_read_once_and_never_replaced_by_an_older_one(world):
    version = take(world, number=2)
    assert services.take_list(ME, bytes(version.der), [world.ca.certificate]) == version
    with pytest.raises(BadEvidence) as error:
        take(world, number=1, age=timedelta(hours=2))
    assert error.value.params["reason"] == "superseded"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda der: der[:-1] + bytes((der[-1] ^ 1,)), "not-proven"),
        (lambda der: der[:-10], "unreadable"),
        (lambda der: bytes(services.LARGEST_LIST + 1), "too-large"),
    ],
)
def test_a_list_that_is_not_sound_is_refused(world, spoil, reason):
    now = timezone.now()
    der = authority.revocation_list(world.ca, [], number=1, at=now, until=now + timedelta(days=1))
    with pytest.raises(BadEvidence) as error:
        services.take_list(ME, spoil(der), [world.ca.certificate])
    assert error.value.params["reason"] == reason and "⟦" not in error.value.explain("pt")["detail"]
    assert not Version.objects.exists()


def test_thousands_of_entries_cost_a_check_nothing(world):
    now = timezone.now().replace(microsecond=0)
    many = (authority.Revoked(serial, now - timedelta(days=5)) for serial in range(10**9, 10**9 + 5_000))
    assert take(world, *many).entries == 5_000
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert check(world).verdict.passed
    assert len(asked) < 20
    kept = services.evidence([world.leaf, world.ca.certificate], now, now)
    assert all(not one.entries for one in kept.lists)  # neither is listed, and nothing else was loaded


def respond(world, standing="good", *, responder=None, serial=3):
    question = handlers.question(world.leaf, world.ca.certificate)
    now = timezone.now().replace(microsecond=0)
    signer = responder or authority.Responder.of(world.ca)
    return authority.respond(
        signer, question, lambda number: standing, at=now, until=now + timedelta(hours=8)
    )


def test_answers_count_if_whoever_may_has_signed_them(world):
    take(world)
    key = generate(Suite.ES256)
    ocsp = authority.issue(world.ca, "ocsp", key.public, {"common_name": "OCSP"}, serial=9, begin=BEGIN)
    appointed = authority.Responder(world.ca, key, ocsp)
    row = services.take_answer(ME, respond(world, responder=appointed), world.leaf, world.ca.certificate)
    assert row.known and row.at is None
    assert check(world).links[0].status.source == "ocsp"
    stranger = World()
    forged = authority.Responder(world.ca, stranger.ca.signer, stranger.ca.certificate)
    with pytest.raises(BadEvidence):
        services.take_answer(ME, respond(world, responder=forged), world.leaf, world.ca.certificate)
    revoked = authority.Revoked(3, timezone.now() - timedelta(days=1), "superseded")
    with pytest.raises(BadEvidence):
        services.take_answer(ME, respond(world, revoked), world.ca.certificate, world.root.certificate)
    services.take_answer(ME, respond(world, revoked), world.leaf, world.ca.certificate)
    assert check(world).verdict.indication == "REVOKED"
    assert check(world, at=timezone.now() - timedelta(days=2), revocation=True).verdict.outcome != "failed"


class Served:
    """A CA's web server: what it holds by path."""

    def __init__(self):
        self.content, self.asked = {}, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                length = int(self.headers.get("Content-Length") or 0)
                outer.asked.append((self.command, self.path, self.rfile.read(length)))
                body = outer.content.get(self.path)
                self.send_response(200 if body else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def served(monkeypatch):
    served = Served()
    monkeypatch.setattr(handlers, "reach", lambda: EVERYWHERE)
    yield served
    served.server.shutdown()
    served.server.server_close()


def test_what_is_missing_is_fetched_by_the_outbox(served):
    world = World()
    now = timezone.now().replace(microsecond=0)
    places = authority.Places(crl=f"{served.url}/ca.crl", ocsp=f"{served.url}/ocsp")
    world.ca = authority.Authority(world.ca.signer, world.ca.certificate, world.ca.above, places)
    world.leaf = world.issue()
    der = authority.revocation_list(world.root, [], number=1, at=now, until=now + timedelta(days=7))
    services.take_list(ME, der, [world.root.certificate])
    served.content["/ca.crl"] = authority.revocation_list(
        world.ca, [], number=1, at=now, until=now + timedelta(days=7)
    )
    served.content["/ocsp"] = respond(world)
    assert check(world).verdict.indication == "TRY_LATER"
    assert not served.asked  # nobody waits for a network
    outbox.drain()
    assert {(method, path) for method, path, _ in served.asked} == {("GET", "/ca.crl"), ("POST", "/ocsp")}
    assert check(world).verdict.passed
    assert Answered.objects.count() == 1 and {s.failure for s in Source.objects.all()} == {""}
    assert Source.objects.get(kind="list").next_at > now  # it will be fetched again before it runs out
    material = services.material(check(world).chain)
    assert material.lists[0] == served.content["/ca.crl"] and material.answers == (served.content["/ocsp"],)


def test_a_source_that_fails_says_why(served):
    world = World()
    world.ca = authority.Authority(
        world.ca.signer, world.ca.certificate, world.ca.above, authority.Places(crl=f"{served.url}/none.crl")
    )
    world.leaf = world.issue()
    check(world)
    outbox.drain()
    (source,) = Source.objects.all()
    assert (source.failure, source.had_at) == ("unreachable", None) and source.next_at > source.tried_at


def test_a_stranger_sends_this_node_nowhere(served):
    world, own = World(), World()
    own.ca = authority.Authority(
        own.ca.signer, own.ca.certificate, own.ca.above, authority.Places(crl=f"{served.url}/trap.crl")
    )
    check(world, leaf=own.issue(), intermediates=[own.ca.certificate, own.root.certificate])
    # a certificate that may not issue, of a recognised issuer, does not help either
    person = authority.Authority(world.key, world.leaf, (world.ca.certificate,), own.ca.places)
    forged = authority.issue(person, "person", own.key.public, {"common_name": "X"}, serial=7, begin=BEGIN)
    found = check(world, leaf=forged, intermediates=[world.leaf, world.ca.certificate])
    assert found.anchored and not found.verdict.passed
    outbox.drain()
    assert not Source.objects.filter(url__contains="trap").exists() and not served.asked


def test_files_are_taken_apart(world):
    pem = b"".join(map(armour, (world.leaf, world.ca.certificate)))
    assert services.certificates_in(pem) == [world.leaf, world.ca.certificate]
    assert services.certificates_in(world.leaf) == [world.leaf]
    for junk in (
        b"",
        b"hello",
        b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----",
        bytes(2**20 + 1),
    ):
        with pytest.raises(NoCertificates):
            services.certificates_in(junk)


def armour(der):
    import base64

    body = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"


def test_nothing_inside_is_ever_asked(served, monkeypatch):
    """What stands in a certificate, even of a recognised issuer, leads to public addresses and to recognised nodes only."""
    monkeypatch.undo()
    world = World()
    world.ca = authority.Authority(
        world.ca.signer,
        world.ca.certificate,
        world.ca.above,
        authority.Places(crl=f"{served.url}/inside.crl"),
    )
    world.leaf = world.issue()
    check(world)
    with override_settings(WANTONG=replace(settings.WANTONG, url="https://gd.test.example")):
        outbox.drain()
    (source,) = Source.objects.all()
    assert source.failure == "forbidden" and not served.asked
