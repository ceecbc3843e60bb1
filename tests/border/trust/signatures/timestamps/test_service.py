"""The service of a node: numbers and times are given once, every token is in the log, others' clients are served."""

from __future__ import annotations

import asyncio
import concurrent.futures
import hashlib
import json
import shutil
import subprocess
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import cms
from click.testing import CliRunner
from django.db import connection
from django.utils import timezone
from pyhanko.sign.timestamps import HTTPTimeStamper
from tests.border.trust.signatures.bench import issue
from tests.border.trust.signatures.timestamps.test_stamping import Status

from wantong.border.trust.certificates import authority, holdings
from wantong.border.trust.signatures import Anchors, Document, Level, check
from wantong.border.trust.signatures.timestamps import services, stamping
from wantong.border.trust.signatures.timestamps.models import Clock
from wantong.border.trust.signatures.timestamps.views import QUERY, REPLY
from wantong.cli import main
from wantong.ground import crypto
from wantong.ground.crypto import Suite, pem, x509
from wantong.ground.http import limits
from wantong.ground.log.models import LogEntry

DIGEST = hashlib.sha256(b"a document").digest()
ASKED = stamping.ask(DIGEST, "sha256", nonce=1)


@pytest.fixture
def made(node):
    holdings.generate(node, datetime.now(UTC))
    return node


@pytest.mark.django_db
def test_a_token_is_granted_and_in_the_log(made):
    before = timezone.now()
    answer = services.stamp(ASKED)
    told = cms.ContentInfo.load(answer.token)["content"]["encap_content_info"]["content"].parsed
    assert before <= told["gen_time"].native <= timezone.now()
    body = json.loads(LogEntry.objects.get(kind="trust.timestamp").body)
    assert body["token_sha256"] == hashlib.sha256(answer.token).hexdigest()
    assert body["serial"] == str(told["serial_number"].native)
    assert body["policy"] == stamping.policies()[0].oid
    # of the document itself the log knows nothing: its hash could be guessed
    assert DIGEST.hex() not in json.dumps(body)


@pytest.mark.django_db
def test_a_refusal_takes_no_number_and_is_not_logged(made):
    assert services.stamp(b"junk").refusal == "bad_data_format"
    assert not LogEntry.objects.exists()
    assert not Clock.objects.exists()


@pytest.mark.django_db
def test_sm3_is_stamped_with_sm2(made):
    answer = services.stamp(stamping.ask(crypto.digest("sm3", b"x"), "sm3"))
    signer = cms.ContentInfo.load(answer.token)["content"]["signer_infos"][0]
    assert signer["signature_algorithm"]["algorithm"].native == "sm3_sm2"
    assert x509.verify(
        signer["signature_algorithm"],
        holdings.signer("timestamp", Suite.SM2SM3).signer.public,
        signer["signed_attrs"].untag().dump(),
        signer["signature"].native,
    )


@pytest.mark.django_db(transaction=True)
def test_asked_at_one_moment_by_many_no_two_have_one_number_or_one_time(made):
    def ask(_: int):
        try:
            return [services.stamp(ASKED).moment for _ in range(5)]
        finally:
            connection.close()

    services.stamp(ASKED)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        moments = [moment for found in pool.map(ask, range(4)) for moment in found]
    assert len({moment.serial for moment in moments}) == len({moment.at for moment in moments}) == 20
    by_time = sorted(moments, key=lambda moment: moment.at)
    assert by_time == sorted(moments, key=lambda moment: moment.serial)


@pytest.mark.django_db
def test_what_was_granted_in_a_transaction_that_failed_was_not(made, monkeypatch):
    services.stamp(ASKED)
    last = Clock.objects.get().last

    def fails(*_):
        raise RuntimeError

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(services, "record", fails)
        services.stamp(ASKED)
    assert Clock.objects.get().last == last
    assert LogEntry.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("back", "refusal"), [(timedelta(seconds=0.5), None), (timedelta(hours=1), "time_not_available")]
)
def test_a_clock_that_was_set_back(made, monkeypatch, back, refusal):
    first = services.stamp(ASKED)
    earlier = first.moment.at - back
    monkeypatch.setattr(services.timezone, "now", lambda: earlier)
    second = services.stamp(ASKED)
    assert second.refusal == refusal
    if refusal is None:
        assert second.moment.at > first.moment.at
        assert second.moment.serial > first.moment.serial


@pytest.mark.django_db
def test_a_module_that_does_not_answer_is_said_to_be_our_fault(made, monkeypatch):
    from wantong.ground.crypto.pkcs11 import HardwareRefuses

    def gone(*_):
        raise HardwareRefuses(reason="gone", about="")

    monkeypatch.setattr(crypto.SoftwareKey, "sign", gone)
    assert services.stamp(ASKED).refusal == "system_failure"
    assert not Clock.objects.exists()


@pytest.mark.django_db
def test_over_http(made, client):
    answer = client.post("/trust/timestamp", ASKED, content_type=QUERY)
    assert (answer.status_code, answer["Content-Type"]) == (200, REPLY)
    assert Status.load(answer.content)["status"]["status"].native == "granted"
    refused = client.post("/trust/timestamp", b"x", content_type=QUERY)
    assert refused.status_code == 200
    assert Status.load(refused.content)["status"]["status"].native == "rejection"
    assert client.post("/trust/timestamp", ASKED, content_type="text/plain").status_code == 415
    assert client.get("/trust/timestamp").status_code == 405


@pytest.mark.django_db
def test_a_node_without_keys_says_so(node, client):
    assert client.post("/trust/timestamp", ASKED, content_type=QUERY).status_code == 503


@pytest.mark.django_db
def test_one_address_gets_so_many(made, client, settings):
    settings.WANTONG_LIMITS = limits.read({"rates": {"timestamp": {"rate": 0.01, "burst": 2}}})
    answers = [
        client.post("/trust/timestamp", ASKED, content_type=QUERY, REMOTE_ADDR="203.0.113.7")
        for _ in range(3)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1]["Retry-After"]) > 0
    other = client.post("/trust/timestamp", ASKED, content_type=QUERY, REMOTE_ADDR="203.0.113.8")
    assert other.status_code == 200


@pytest.mark.django_db(transaction=True)
def test_pyhankos_client_is_served(made, live_server):
    stamper = HTTPTimeStamper(f"{live_server.url}/trust/timestamp")
    token = asyncio.run(stamper.async_timestamp(DIGEST, "sha256"))
    told = token["content"]["encap_content_info"]["content"].parsed
    assert told["message_imprint"]["hashed_message"].native == DIGEST
    assert len(token["content"]["certificates"]) == 1


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
@pytest.mark.django_db(transaction=True)
def test_openssl_asks_over_http_and_verifies(made, live_server, tmp_path):
    (tmp_path / "document").write_text("一份文件")
    leaf = holdings.signer("timestamp", Suite.ES256).certificate
    (tmp_path / "root").write_bytes(pem.write("CERTIFICATE", leaf))

    def openssl(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["openssl", "ts", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    assert openssl("-query", "-data", "document", "-sha512", "-cert", "-out", "query").returncode == 0
    asked = urllib.request.Request(
        f"{live_server.url}/trust/timestamp", (tmp_path / "query").read_bytes(), {"Content-Type": QUERY}
    )
    with urllib.request.urlopen(asked) as reply:
        (tmp_path / "reply").write_bytes(reply.read())
    believed = openssl("-verify", "-queryfile", "query", "-in", "reply", "-CAfile", "root")
    assert "Verification: OK" in believed.stdout, believed
    assert openssl("-query", "-data", "document", "-sha512", "-out", "query").returncode == 0
    again = openssl("-verify", "-queryfile", "query", "-in", "reply", "-CAfile", "root")
    assert "Verification: OK" not in again.stdout, "the answer to another question"


@pytest.mark.django_db(transaction=True)
def test_wantong_sign_is_stamped_by_a_node(made, live_server, tmp_path):
    begin = datetime.now(UTC) - timedelta(hours=1)
    root = authority.root(crypto.generate(Suite.ES256), {"common_name": "Root"}, serial=1, begin=begin)
    who = issue(root, Suite.ES256, "person", "Chan Tai Man", begin)
    (tmp_path / "key").write_bytes(who.signer.pem())
    (tmp_path / "chain").write_bytes(pem.write("CERTIFICATE", who.leaf))
    (tmp_path / "letter.txt").write_text("To whom it may concern.")
    told = CliRunner().invoke(
        main,
        [
            *("sign", str(tmp_path / "letter.txt"), "--key", str(tmp_path / "key")),
            *("--chain", str(tmp_path / "chain"), "--level", "B-T"),
            *("--tsa", f"{live_server.url}/trust/timestamp"),
        ],
        catch_exceptions=False,
    )
    assert told.exit_code == 0, told.output
    clock = holdings.signer("timestamp", Suite.ES256).certificate
    document = Document("letter.json", (tmp_path / "letter-signed.json").read_bytes())
    (judged,) = check(document, Anchors((root.certificate, clock), "none"), timezone.now()).signatures
    assert judged.verdict.passed and judged.found.level is Level.T and judged.proven is not None
