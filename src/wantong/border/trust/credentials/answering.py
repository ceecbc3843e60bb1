"""The answer to a request for credentials (OpenID4VP 1.0, section 8): made and encrypted by a wallet, opened by a verifier.

Pure. What was shown is judged by :mod:`.judging`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from wantong.border.trust import jws
from wantong.border.trust.credentials import mdoc, sdjwt
from wantong.border.trust.credentials.asking import ENCRYPTIONS, Request
from wantong.border.trust.credentials.dcql import MOST_CREDENTIALS, Path
from wantong.border.trust.verdict import Refused, printable
from wantong.ground.crypto import Signer

LONGEST: Final = 1 << 20
AGREEMENT: Final = "ECDH-ES"


@dataclass(frozen=True)
class Answer:
    """What came: for each id of the query its presentations; or why there are none (``error``)."""

    state: str
    presentations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    error: str = ""


# --- the wallet -----------------------------------------------------------------------------------------------------


def present(
    request: Request, format: str, credential: str, paths: Sequence[Path], holder: Signer, at: datetime
) -> str:
    """One credential for one request: only the claims of ``paths`` are shown, and its holder proves that it is his.

    Raises :class:`.Refused`.
    """
    if format == "mso_mdoc":
        shown = mdoc.select(mdoc.parse_issued(credential), [(str(space), str(name)) for space, name in paths])
        session = mdoc.transcript(request.client_id, request.nonce, request.response_uri, request.thumbprint)
        return jws.b64(mdoc.respond([(shown, holder)], session))
    chosen = sdjwt.select(sdjwt.parse(credential), paths)
    return sdjwt.bind(chosen, signer=holder, audience=request.client_id, nonce=request.nonce, at=at).text


def encrypt(request: Request, presentations: Mapping[str, Sequence[str]]) -> bytes:
    """The form to be posted to ``response_uri``, with every presentation by the id of the query it answers."""
    return _form(request, {"vp_token": {id: list(shown) for id, shown in presentations.items()}})


def decline(request: Request, error: str = "access_denied") -> bytes:
    """The form that says that nothing will be shown (section 8.5)."""
    return _form(request, {"error": error})


def _form(request: Request, told: Mapping[str, Any]) -> bytes:
    key = ECKey.import_key({name: request.key[name] for name in ("kty", "crv", "x", "y")})
    header = {"alg": AGREEMENT, "enc": request.encryption, "typ": "JWT"}
    if isinstance(request.key.get("kid"), str):
        header["kid"] = request.key["kid"]
    state = {"state": request.state} if request.state else {}
    content = json.dumps({**told, **state}, separators=(",", ":")).encode()
    packed = jwe.encrypt_compact(header, content, key, algorithms=[AGREEMENT, request.encryption])
    return urlencode({"response": packed}).encode()


# --- the verifier ---------------------------------------------------------------------------------------------------


def open(response: str, key: ECKey) -> Answer:
    """What was encrypted to ``key``. Raises :class:`.Refused` (``answer-form``, ``answer-sealed``)."""
    if len(response) > LONGEST:
        raise Refused("answer-form", indication="FORMAT_FAILURE", what="response")
    try:
        opened = jwe.decrypt_compact(response, key, algorithms=[AGREEMENT, *ENCRYPTIONS])
        told = jws.json_object(opened.plaintext or b"")
    except (JoseError, ValueError, TypeError, KeyError):
        raise Refused("answer-sealed", indication="FORMAT_FAILURE") from None
    state = told.get("state", "")
    if not isinstance(state, str):
        raise Refused("answer-form", indication="FORMAT_FAILURE", what="state")
    if "error" in told:
        return Answer(state, error=printable(told["error"]) or "invalid_request")
    token = told.get("vp_token")
    if not isinstance(token, dict) or not 0 < len(token) <= MOST_CREDENTIALS:
        raise Refused("answer-form", indication="FORMAT_FAILURE", what="vp_token")
    return Answer(state, {id: _presentations(shown) for id, shown in token.items()})


def _presentations(shown: Any) -> tuple[str, ...]:
    if (
        not isinstance(shown, list)
        or not 0 < len(shown) <= MOST_CREDENTIALS
        or not all(isinstance(one, str) for one in shown)
    ):
        raise Refused("answer-form", indication="FORMAT_FAILURE", what="vp_token")
    return tuple(shown)
