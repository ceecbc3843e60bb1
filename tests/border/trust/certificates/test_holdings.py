"""The node's service keys: made at the start, certified by a CA when an operator asks, changed without a gap, kept."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import x509 as asn1
from click.testing import CliRunner
from tests.ground.crypto import softhsm

from wantong.border.trust.certificates import authority, holdings
from wantong.border.trust.certificates.holdings import BadChain, NoHolding, UnknownPurpose
from wantong.cli import trust
from wantong.ground import crypto, keyring
from wantong.ground.crypto import Suite, pem, x509
from wantong.ground.i18n import LANGUAGES
from wantong.ground.log.models import LogEntry

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def made(node):
    holdings.generate(node, NOW)
    return node


def signing_ca(suite: Suite = Suite.ES256, begin: datetime = NOW) -> authority.Authority:
    root = authority.root(crypto.generate(suite), {"common_name": "根 Root"}, serial=1, begin=begin)
    return authority.subordinate(
        root, crypto.generate(suite), {"common_name": "Signing"}, serial=2, begin=begin
    )


def certified(
    ca: authority.Authority, request: bytes, profile: str, *, begin: datetime = NOW, whole: bool = True
) -> bytes:
    """What a CA sends back for a request: PEM, the leaf first."""
    body = x509.requested(request)
    leaf = authority.issue(
        ca, profile, body["subject_pk_info"].dump(), body["subject"], serial=7, begin=begin
    )
    chain = (leaf, *ca.chain, ca.anchor) if whole else (leaf,)
    return b"".join(pem.write("CERTIFICATE", der) for der in chain)


def test_every_service_has_a_key_from_the_start(made):
    held = {(holding.purpose, holding.suite): holding for holding in holdings.held()}
    assert set(held) == {
        (purpose, suite) for purpose, suites in holdings.purposes().items() for suite in suites
    }
    for (_, suite), holding in held.items():
        signature = holding.signer.sign(b"x")
        assert crypto.verify(suite, x509.public_of(holding.certificate), b"x", signature)
        assert x509.signed_by(holding.certificate, holding.signer.public)
        assert holding.self_signed
        assert len(holding.chain) == 1
    assert len({holding.signer.public for holding in held.values()}) == len(held)
    assert holdings.signer("seal").suite is Suite.ES256
    assert holdings.signer("seal", Suite.SM2SM3).suite is Suite.SM2SM3


def test_who_it_is_stands_in_the_certificate(made):
    leaf = asn1.Certificate.load(holdings.signer("seal").certificate)
    assert leaf.subject.native["country_name"] in ("CN", "HK", "MO")
    assert leaf.subject.native["common_name"] == f"{made.participant_id} seal"
    assert made.url in [name.native for name in leaf.subject_alt_name_value]


def test_a_start_changes_no_key_that_is_there_and_makes_what_is_missing(made):
    before = holdings.signer("seal").certificate
    (made.keys / "services" / "pass.ES256" / "service.key").unlink()
    with pytest.raises(NoHolding):
        holdings.signer("pass")
    holdings.generate(made, NOW)
    assert holdings.signer("seal").certificate == before
    assert holdings.signer("pass").self_signed


def test_nobody_else_can_read_them(made):
    for path in made.keys.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_what_no_service_signs_for(made):
    for purpose, suite in (("coffee", None), ("list", Suite.SM2SM3)):
        with pytest.raises(UnknownPurpose) as unknown:
            holdings.signer(purpose, suite)
        assert all("⟦" not in "".join(unknown.value.explain(lang).values()) for lang in LANGUAGES)


@pytest.mark.django_db
@pytest.mark.parametrize("suite", [Suite.ES256, Suite.SM2SM3])
def test_a_ca_certifies_the_key_that_signs(made, suite):
    ca, before = signing_ca(suite), holdings.signer("timestamp", suite)
    request = holdings.request("timestamp", suite, now=NOW)
    extensions = x509.requested(request)["attributes"][0]["values"][0]
    assert {extension["extn_id"].native for extension in extensions} >= {"key_usage", "extended_key_usage"}
    now = holdings.install("timestamp", certified(ca, request, "timestamp"), suite, now=NOW)
    assert now.signer.public == before.signer.public
    assert now.chain[1:] == ca.chain, "the anchor is not part of the chain"
    assert not now.self_signed
    assert holdings.signer("timestamp", suite) == now
    assert holdings.former("timestamp", suite) == ()
    told = LogEntry.objects.get(kind="trust.certificate")
    assert crypto.digest("sha256", now.certificate).hex() in told.body


@pytest.mark.django_db
def test_a_new_key_signs_when_its_certificate_has_come_and_the_old_one_is_kept(made):
    ca, before = signing_ca(), holdings.signer("seal")
    request = holdings.request("seal", now=NOW, new=True)
    assert holdings.signer("seal") == before
    # asked again: the same key, not another one that nobody certifies
    again = holdings.request("seal", now=NOW, new=True)
    assert (
        x509.requested(again)["subject_pk_info"].dump() == x509.requested(request)["subject_pk_info"].dump()
    )
    later = NOW + timedelta(hours=1)
    now = holdings.install("seal", certified(ca, request, "seal"), now=later)
    assert now.signer.public == x509.requested(request)["subject_pk_info"].dump() != before.signer.public
    assert [(old.certificate, old.until) for old in holdings.former("seal")] == [(before.certificate, later)]


@pytest.mark.django_db
def test_a_next_key_can_be_let_go_of(made):
    before = holdings.signer("seal")
    request = holdings.request("seal", now=NOW, new=True)
    holdings.abandon("seal")
    with pytest.raises(BadChain):
        holdings.install("seal", certified(signing_ca(), request, "seal"), now=NOW)
    with pytest.raises(keyring.NoRotation):
        holdings.abandon("seal")
    assert holdings.signer("seal") == before


@pytest.mark.django_db
def test_a_self_signed_key_is_renewed_at_once(made):
    before = holdings.signer("pass")
    after = holdings.renew("pass", now=NOW)
    assert after.signer.public != before.signer.public
    assert after.self_signed
    assert [old.certificate for old in holdings.former("pass")] == [before.certificate]


@pytest.mark.django_db
@pytest.mark.parametrize("killed_at", ["switch", "finish"])
def test_killed_while_the_key_changes_one_key_signs_and_the_next_start_finishes_it(
    made, monkeypatch, killed_at
):
    before = holdings.signer("seal")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):

        def killed(*_):
            raise KeyboardInterrupt

        patch.setattr(keyring, killed_at, killed)
        holdings.renew("seal", now=NOW)
    signs = holdings.signer("seal")
    assert (signs == before) == (killed_at == "switch")
    holdings.generate(made, NOW)
    assert holdings.signer("seal") == signs
    assert len(holdings.former("seal")) == (killed_at == "finish")
    # and the next change goes through
    assert holdings.renew("seal", now=NOW).signer.public not in (signs.signer.public, before.signer.public)


def bad_chains(made) -> dict[str, bytes]:
    ca, other = signing_ca(), signing_ca()
    request = holdings.request("timestamp", now=NOW)
    own = x509.request(crypto.generate(Suite.ES256), {"common_name": "another's"})
    leaf = certified(ca, request, "timestamp", whole=False)
    above = b"".join(pem.write("CERTIFICATE", der) for der in other.chain)
    return {
        "unreadable": pem.write("CERTIFICATE", b"\x30\x03\x02\x01\x00"),
        "no-certificates": b"",
        "other-key": certified(ca, own, "timestamp"),
        # another CA of the same name
        "broken": leaf + above,
        "not-valid-now": certified(
            signing_ca(begin=NOW - timedelta(days=4000)),
            request,
            "timestamp",
            begin=NOW - timedelta(days=3000),
        ),
        "wrong-use": certified(ca, request, "seal"),
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    "reason", ["unreadable", "no-certificates", "other-key", "broken", "not-valid-now", "wrong-use"]
)
def test_a_chain_that_cannot_be_this_keys(made, reason):
    before = holdings.signer("timestamp")
    with pytest.raises(BadChain) as refused:
        holdings.install("timestamp", bad_chains(made)[reason], now=NOW)
    assert refused.value.params["reason"] == reason
    assert all("⟦" not in "".join(refused.value.explain(lang).values()) for lang in LANGUAGES)
    assert holdings.signer("timestamp") == before
    assert not LogEntry.objects.exists()


@softhsm.needs_module
@pytest.mark.django_db
def test_a_key_in_a_hardware_module_takes_over(made, tmp_path):
    token = softhsm.make(tmp_path)
    softhsm.put("seal", "P-256")
    uri = token.uri("seal")
    before, ca = holdings.signer("seal"), signing_ca()
    request = holdings.request("seal", now=NOW, module=uri)
    with pytest.raises(keyring.RotationUnderWay):
        holdings.request("seal", now=NOW, module=uri.replace("seal", "another"))
    after = holdings.install("seal", certified(ca, request, "seal"), now=NOW)
    assert crypto.verify(Suite.ES256, x509.public_of(after.certificate), b"x", after.signer.sign(b"x"))
    assert after.signer.public != before.signer.public
    # what lies on the disk is where the key is, not the key, and no PIN
    kept = (made.keys / "services" / "seal.ES256" / "service.key").read_text()
    assert kept.startswith(uri + "\n-----BEGIN CERTIFICATE")
    assert softhsm.PIN not in kept
    assert "PRIVATE" not in kept


# ----------------------------------------------------------------------------------------------- as an operator does


@pytest.mark.django_db
def test_by_the_command_line(made, tmp_path, monkeypatch):
    monkeypatch.setenv("WANTONG_NODE", str(made.directory))
    monkeypatch.setenv("WANTONG_LANG", "en")

    def wantong(verb: str, *arguments: object, code: int = 0) -> str:
        done = CliRunner().invoke(trust.command, [verb, str(made.directory), *map(str, arguments)])
        assert done.exit_code == code, done.output
        return done.output

    assert "seal SM2SM3, key in a file, self-signed" in wantong("show")
    request = wantong("request", "seal", "--new-key")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(certified(signing_ca(), pem.read(request.encode(), "CERTIFICATE REQUEST"), "seal"))
    assert "is in use" in wantong("import", "seal", chain)
    assert "seal ES256, key in a file, by Common Name: Signing" in wantong("show")
    assert json.loads(wantong("show", "--json"))[3]["issuer"] == "Common Name: Signing"
    assert "another key" in wantong("import", "list", chain, code=2)
    assert "in use" in wantong("renew", "seal", "--suite", "SM2SM3")
    wantong("request", "list", "--new-key")
    assert "is gone" in wantong("request", "list", "--abandon")
    assert "purposes are: list" in wantong("request", "tea", code=2)
    assert "purposes are: list" in wantong("request", "seal", "--suite", "ROT13", code=2)
