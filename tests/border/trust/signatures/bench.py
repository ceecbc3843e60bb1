"""A bench of synthetic signers: one root, a signing CA, a person, a seal and a timestamp key of each suite."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count

from asn1crypto import cms, tsp

from wantong.border.trust.certificates import authority
from wantong.border.trust.signatures import primitives
from wantong.border.trust.signatures.cms import build
from wantong.border.trust.signatures.found import Material
from wantong.border.trust.signatures.signing import Signatory
from wantong.ground.crypto import Suite, generate

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_serials = count(1000)


@dataclass(frozen=True)
class Bench:
    root: authority.Authority
    ca: authority.Authority
    person: Signatory
    stamping: Signatory

    def material(self, revoked: tuple[authority.Revoked, ...] = (), at: datetime = NOW) -> Material:
        """The CA's certificate, and fresh revocation lists of the root and of the CA."""
        until = at + timedelta(days=7)
        return Material(
            (self.ca.certificate,),
            tuple(
                authority.revocation_list(one, of, number=1, at=at, until=until)
                for one, of in ((self.root, ()), (self.ca, revoked))
            ),
        )


def bench(suite: Suite = Suite.ES256, name: str = "Bay") -> Bench:
    """The bench of a suite, always the same one."""
    return _bench(suite, name)


@cache
def _bench(suite: Suite, name: str) -> Bench:
    begin = NOW - timedelta(days=30)
    # RSA keys take seconds to make: only the person has one
    above = Suite.ES256 if suite in (Suite.RS256, Suite.PS256) else suite
    root = authority.root(
        generate(above), {"country_name": "CN", "common_name": f"{name} Root"}, serial=1, begin=begin
    )
    ca = authority.subordinate(
        root, generate(above), {"country_name": "CN", "common_name": f"{name} CA"}, serial=2, begin=begin
    )
    return Bench(
        root,
        ca,
        issue(ca, suite, "person", "陳大文 Chan Tai Man"),
        issue(ca, above, "timestamp", f"{name} Clock"),
    )


def issue(
    ca: authority.Authority,
    suite: Suite,
    profile: str,
    name: str,
    begin: datetime = NOW - timedelta(days=30),
    end: datetime | None = None,
) -> Signatory:
    """A key of ``suite`` and its certificate."""
    signer = generate(suite)
    certificate = authority.issue(
        ca,
        profile,
        signer.public,
        {"country_name": "CN", "organization_name": "Bay Testing", "common_name": name},
        serial=next(_serials),
        begin=begin,
        end=end,
    )
    return Signatory(signer, (certificate, *ca.chain))


def stamper(by: Signatory, at: datetime = NOW):  # type: ignore[no-untyped-def]
    """A timestamp service in this process (RFC 3161), enough of one to be stamped by."""

    def stamp(hashed: str, value: bytes) -> bytes:
        info = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": "1.3.6.1.4.1.99999.1",
                "message_imprint": {"hash_algorithm": {"algorithm": hashed}, "hashed_message": value},
                "serial_number": next(_serials),
                "gen_time": at,
            }
        ).dump()
        made = cms.ContentInfo.load(
            build(by.hash, primitives.digest(by.hash, info), by, content=info, kind="tst_info")
        )
        return made.dump()

    return stamp
