"""Mutual TLS between nodes: whose certificate a connection must show, and what a node shows itself.

The certificates are issued by whoever the operators agree on (``ca``); what binds one to a node is its name: the
participant id must be among its subject alternative names, as DNS name or URI. The name that a request's token claims
is compared with them before the token is looked at closer. A token that lies about it fails later, by its signature.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from cryptography import x509

from wantong.ground import yamlfile


@dataclass(frozen=True)
class Tls:
    """The files of ``[tls]``: this node's certificate with its chain, its key, and who issues the others' (None: not asked)."""

    certificate: Path
    key: Path
    ca: Path | None = None

    def client(self) -> ssl.SSLContext:
        """For calling others: shows the certificate, believes the machine's roots and ``ca``. Raises OSError, ssl.SSLError."""
        context = ssl.create_default_context()
        if self.ca is not None:
            context.load_verify_locations(self.ca)
        context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True)
class Asked:
    """What is asked of requests under ``path``; see ``data/certificates.yaml``."""

    path: str
    claim: str = ""
    open: bool = False


@cache
def table() -> tuple[Asked, ...]:
    """The rows of ``data/certificates.yaml``."""
    path = Path(str(resources.files("wantong.ground.http") / "data" / "certificates.yaml"))
    return tuple(Asked(**row) for row in yamlfile.load(path))


def permits(path: str, certificate: bytes | None, authorization: str) -> bool:
    """Whether a request for ``path`` comes over a connection of the node that its token names.

    ``certificate`` (DER) has been verified against the bundle by the TLS library; None: there was none.
    """
    asked = next((row for row in table() if path.startswith(row.path)), None)
    if asked is None or asked.open:
        return True
    if certificate is None:
        return False
    return not asked.claim or _claimed(authorization, asked.claim) in names(certificate)


@lru_cache(maxsize=256)
def names(certificate: bytes) -> frozenset[str]:
    """The DNS names and URIs for which a certificate (DER) was issued; none for what is no certificate."""
    try:
        extensions = x509.load_der_x509_certificate(certificate).extensions
        alternative = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return frozenset()
    dns = alternative.get_values_for_type(x509.DNSName)
    return frozenset(dns) | frozenset(alternative.get_values_for_type(x509.UniformResourceIdentifier))


def _claimed(authorization: str, claim: str) -> str | None:
    """The claim of a bearer JWT, unproven; None if there is none."""
    token = authorization.partition(" ")[2]
    try:
        part = token.split(".")[1]
        told: Mapping[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        found = told[claim]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) else None


# --- this process's own -----------------------------------------------------------------------------------------

_own: Tls | None = None


def use(tls: Tls | None) -> None:
    """From now on this process shows itself with ``tls`` when it calls others."""
    global _own
    _own = tls
    context.cache_clear()


@cache
def context() -> ssl.SSLContext:
    """How this process calls others over TLS: as :func:`use` says, else with the machine's own roots alone."""
    return _own.client() if _own is not None else ssl.create_default_context()
