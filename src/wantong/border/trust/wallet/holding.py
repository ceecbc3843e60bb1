"""What a held credential could answer a verifier with. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cryptography import x509

from wantong.border.trust import cose, jws
from wantong.border.trust.credentials import dcql, mdoc, sdjwt
from wantong.border.trust.wallet.content import Credential

THING = str
"""The id of a credential in its space."""


@dataclass(frozen=True)
class Choice:
    """For one query of a request, in the order asked: what could answer it, and with which claims."""

    query: dcql.CredentialQuery
    able: Mapping[THING, tuple[dcql.Path, ...]]


def candidate(credential: Credential) -> dcql.Candidate:
    """The credential with all its claims, as a query is matched with it. Raises :class:`.Refused` if it cannot be read."""
    text = credential.copies[0]
    if credential.format == "mso_mdoc":
        issued = mdoc.parse_issued(text)
        return dcql.Candidate(
            "mso_mdoc", (credential.type,), issued.claims(), authorities(cose.chain_of(issued.auth))
        )
    given = sdjwt.parse(text)
    claims = sdjwt.unfold(given).claims
    chain = jws.chain_of(given.header)
    bound = sdjwt.holder_jwk(claims) is not None
    return dcql.Candidate("dc+sd-jwt", sdjwt.vcts(claims), claims, authorities(chain), bound)


def authorities(chain: Sequence[bytes]) -> frozenset[tuple[str, str]]:
    """The key identifiers of whoever certified the issuer, as ``aki`` queries name them."""
    found = set()
    for der in chain:
        try:
            extension = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
                x509.AuthorityKeyIdentifier
            )
        except (ValueError, x509.ExtensionNotFound):
            continue
        if extension.value.key_identifier:
            found.add(("aki", jws.b64(extension.value.key_identifier)))
    return frozenset(found)


def choices(query: dcql.Query, held: Mapping[THING, dcql.Candidate]) -> list[Choice]:
    """For every credential asked for, what of ``held`` could answer."""
    found = []
    for one in query.credentials:
        matched = {id: dcql.match(one, candidate) for id, candidate in held.items()}
        found.append(Choice(one, {id: paths for id, paths in matched.items() if paths is not None}))
    return found


FOR_MACHINES = sdjwt.ALWAYS_SHOWN | {"iat"}
"""Claims that are there for machines and say nothing about anybody."""


def disclosed(credential: Credential, paths: Sequence[dcql.Path]) -> list[tuple[dcql.Path, Any]]:
    """What a verifier really sees if he is shown ``paths``: also what its issuer never lets be hidden."""
    text = credential.copies[0]
    if credential.format == "mso_mdoc":
        claims = mdoc.parse_issued(text).claims()
        return [(path, value) for path in paths for value in dcql.resolve(claims, path)]
    seen = sdjwt.unfold(sdjwt.select(sdjwt.parse(text), paths)).claims
    return [((name,), value) for name, value in seen.items() if name not in FOR_MACHINES]


def copy_for(credential: Credential, verifier: str) -> tuple[int, Credential]:
    """Which copy ``verifier`` is shown: the one it has seen, else the one that the fewest have; and the credential with that noted."""
    if verifier in credential.used:
        return credential.used[verifier], credential
    seen = list(credential.used.values())
    chosen = min(range(len(credential.copies)), key=seen.count)
    return chosen, replace(credential, used={**credential.used, verifier: chosen})


def named(path: dcql.Path) -> str:
    """A path as people read it."""
    return " › ".join("*" if step is None else str(step) for step in path)
