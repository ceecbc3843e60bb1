"""Any OpenID provider: authorization code with PKCE, pushed and DPoP-bound where it can be, nonce, issuer in the answer.

OpenID Connect Core 1.0, RFC 7636, RFC 9126 (PAR), RFC 9207 (``iss``), RFC 9449 (DPoP), RFC 7523 (``private_key_jwt``),
OpenID Connect for Identity Assurance 1.0 (``verified_claims``).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, import_key

from wantong.border.trust.documents import kinds
from wantong.border.trust.documents.dates import PartialDate
from wantong.border.trust.identity.accounts.linking.names import Name
from wantong.border.trust.identity.accounts.problems import SourceFailed
from wantong.border.trust.identity.accounts.sources import Document, Reply, Started, There, Word, back

ALGORITHMS = ["ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256"]
SKEW = timedelta(seconds=60)
FORM = "application/x-www-form-urlencoded"


class Oidc:
    """``settings``: ``client_id``; optional ``scope``, ``acr`` (asked for), ``claims``. ``secrets``: ``jwk``, or ``client_secret``, or none."""

    name: ClassVar[str] = "oidc"
    scheme: ClassVar[str] = "wantong"
    place: ClassVar[str] = ""
    needs: ClassVar[frozenset[str]] = frozenset({"client_id"})
    secret: ClassVar[frozenset[str]] = frozenset()

    def begin(self, there: There, *, state: str, fresh: bool, lang: str, now: datetime) -> Started:
        told = metadata(there)
        verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        parameters = {
            "response_type": "code",
            "client_id": there.settings["client_id"],
            "redirect_uri": there.return_to,
            "scope": there.settings.get("scope", "openid"),
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
            "ui_locales": {"zh-hans": "zh-Hans", "zh-hant": "zh-Hant"}.get(lang, lang),
        }
        if there.settings.get("acr"):
            parameters["acr_values"] = there.settings["acr"]
        if there.settings.get("claims"):
            parameters["claims"] = json.dumps(there.settings["claims"])
        if fresh:
            parameters |= {"prompt": "login", "max_age": "0"}
        kept: dict[str, Any] = {"verifier": verifier, "nonce": nonce}
        if "ES256" in told.get("dpop_signing_alg_values_supported", ()):
            key = ECKey.generate_key("P-256")
            kept["dpop"] = key.as_dict(private=True)
            parameters["dpop_jkt"] = key.thumbprint()
        if pushed := told.get("pushed_authorization_request_endpoint"):
            answer = _post(there, told, str(pushed), parameters, now)
            parameters = {
                "client_id": parameters["client_id"],
                "request_uri": str(answer.get("request_uri", "")),
            }
            if not parameters["request_uri"]:
                raise SourceFailed(reason="error")
        return Started(_with(_endpoint(told, "authorization_endpoint"), parameters), kept)

    def finish(
        self, there: There, kept: Mapping[str, Any], answer: Mapping[str, str], *, fresh: bool, now: datetime
    ) -> Word:
        told = metadata(there)
        # before anything else: an answer of another provider is sent back to that one only (mix-up, RFC 9207)
        said = answer.get("iss")
        if said != there.issuer and (
            said is not None or told.get("authorization_response_iss_parameter_supported")
        ):
            raise SourceFailed(reason="issuer")
        key = import_key(kept["dpop"]) if "dpop" in kept else None
        form = {
            "grant_type": "authorization_code",
            "code": back(answer),
            "redirect_uri": there.return_to,
            "code_verifier": kept["verifier"],
        }
        tokens = _post(there, told, _endpoint(told, "token_endpoint"), form, now, key)
        if str(tokens.get("token_type", "")).lower() != ("dpop" if key else "bearer"):
            raise SourceFailed(reason="token")
        claims = self._id_token(there, told, str(tokens.get("id_token", "")), kept["nonce"], fresh, now)
        if there.settings.get("userinfo", True) and "userinfo_endpoint" in told:
            more = self._userinfo(told, there, str(tokens.get("access_token", "")), key, now)
            if more.get("sub") != claims["sub"]:
                raise SourceFailed(reason="subject")
            claims = {**more, **claims}
        return self.word(claims)

    def word(self, claims: Mapping[str, Any]) -> Word:
        """What the claims of an account say."""
        at, amr = claims.get("auth_time"), claims.get("amr")
        verified = claims.get("verified_claims")
        found = verified if isinstance(verified, list) else [verified]
        return Word(
            subject=str(claims["sub"]),
            native=str(claims.get("acr", "")),
            amr=tuple(map(str, amr)) if isinstance(amr, list) else (),
            at=datetime.fromtimestamp(at, UTC) if isinstance(at, (int, float)) else None,
            documents=tuple(doc for one in found if isinstance(one, dict) for doc in _documents(one)),
        )

    def _id_token(
        self, there: There, told: Mapping[str, Any], text: str, nonce: str, fresh: bool, now: datetime
    ) -> dict[str, Any]:
        keys = _get(there, _endpoint(told, "jwks_uri"))
        try:
            ring = KeySet.import_key_set(
                {"keys": [one for one in keys.get("keys", ()) if one.get("use") != "enc"]}
            )
            token = jwt.decode(text, ring, algorithms=ALGORITHMS)
        except (JoseError, ValueError, TypeError, AttributeError, KeyError):
            raise SourceFailed(reason="token") from None
        claims, client = token.claims, there.settings["client_id"]
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        seconds, skew = now.timestamp(), SKEW.total_seconds()
        if claims.get("iss") != there.issuer:
            raise SourceFailed(reason="issuer")
        if client not in audiences or (len(audiences) > 1 and claims.get("azp") != client):
            raise SourceFailed(reason="audience")
        if claims.get("azp", client) != client:
            raise SourceFailed(reason="audience")
        if claims.get("nonce") != nonce:
            raise SourceFailed(reason="nonce")
        if (
            not _number(claims.get("exp")) > seconds - skew
            or not _number(claims.get("iat")) <= seconds + skew
        ):
            raise SourceFailed(reason="time")
        if fresh and not _number(claims.get("auth_time")) >= seconds - 300 - skew:
            raise SourceFailed(reason="stale")
        if not isinstance(claims.get("sub"), str) or not 0 < len(claims["sub"]) <= 255:
            raise SourceFailed(reason="subject")
        return dict(claims)

    def _userinfo(
        self, told: Mapping[str, Any], there: There, token: str, key: Key | None, now: datetime
    ) -> dict[str, Any]:
        url, nonce = _endpoint(told, "userinfo_endpoint"), ""
        for _ in range(2):
            headers = {
                "Authorization": f"{'DPoP' if key else 'Bearer'} {token}",
                "Accept": "application/json",
            }
            if key:
                headers["DPoP"] = _proof(key, "GET", url, now, nonce, token)
            reply = there.http("GET", url, headers, b"")
            if reply.status != 401 or not (key and reply.headers.get("dpop-nonce")):
                break
            nonce = reply.headers["dpop-nonce"]
        if reply.status != 200:
            raise SourceFailed(reason="error")
        return reply.json()


def metadata(there: There) -> dict[str, Any]:
    """What the provider says of itself, at the address that its issuer prescribes. Raises :class:`SourceFailed`."""
    told = _get(there, there.issuer.rstrip("/") + "/.well-known/openid-configuration")
    if told.get("issuer") != there.issuer:
        raise SourceFailed(reason="issuer")
    return told


def _get(there: There, url: str) -> dict[str, Any]:
    reply = there.http("GET", url, {"Accept": "application/json"}, b"")
    if reply.status != 200:
        raise SourceFailed(reason="error")
    return reply.json()


def _post(
    there: There,
    told: Mapping[str, Any],
    url: str,
    form: Mapping[str, str],
    now: datetime,
    key: Key | None = None,
) -> dict[str, Any]:
    """POST as the client; a provider that wants its own nonce in the proof gets it the second time."""
    nonce = ""
    for _ in range(2):
        sent, headers = _as_client(there, told, dict(form), now)
        if key:
            headers["DPoP"] = _proof(key, "POST", url, now, nonce)
        reply = there.http("POST", url, {**headers, "Content-Type": FORM}, urlencode(sent).encode())
        if not (key and reply.status in (400, 401) and reply.headers.get("dpop-nonce")):
            break
        nonce = reply.headers["dpop-nonce"]
    if reply.status not in (200, 201):
        raise SourceFailed(reason=_reason(reply))
    return reply.json()


def _as_client(
    there: There, told: Mapping[str, Any], form: dict[str, str], now: datetime
) -> tuple[dict[str, str], dict[str, str]]:
    client = there.settings["client_id"]
    form["client_id"] = client
    if jwk := there.secrets.get("jwk"):
        key, seconds = import_key(jwk), int(now.timestamp())
        alg = "EdDSA" if key.key_type == "OKP" else "ES256" if key.key_type == "EC" else "PS256"
        claims = {
            "iss": client, "sub": client, "aud": there.issuer, "jti": secrets.token_urlsafe(16),
            "iat": seconds, "exp": seconds + 60,
        }  # fmt: skip
        form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        form["client_assertion"] = jwt.encode(
            {"alg": alg, "kid": jwk.get("kid") or key.thumbprint()}, claims, key, algorithms=[alg]
        )
        return form, {}
    if secret := there.secrets.get("client_secret"):
        pair = f"{quote(client, safe='')}:{quote(secret, safe='')}"
        return form, {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    return form, {}


def _proof(key: Key, method: str, url: str, now: datetime, nonce: str, token: str = "") -> str:
    bare = urlsplit(url)._replace(query="", fragment="").geturl()
    claims: dict[str, Any] = {
        "jti": secrets.token_urlsafe(16), "htm": method, "htu": bare, "iat": int(now.timestamp())
    }  # fmt: skip
    if nonce:
        claims["nonce"] = nonce
    if token:
        digest = hashlib.sha256(token.encode()).digest()
        claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    header = {"alg": "ES256", "typ": "dpop+jwt", "jwk": key.as_dict(private=False)}
    return jwt.encode(header, claims, key, algorithms=["ES256"])


def _documents(verified: Mapping[str, Any]) -> list[Document]:
    """``verified_claims`` whose evidence names documents that are known here; others prove nothing."""
    claims = verified.get("claims")
    evidence = (verified.get("verification") or {}).get("evidence")
    if not isinstance(claims, dict) or not isinstance(evidence, list):
        return []
    printed = names_of(claims)
    born = birth_of(claims.get("birthdate"))
    found = []
    for one in evidence:
        details = one.get("document_details") if isinstance(one, dict) else None
        if isinstance(details, dict) and details.get("type") in kinds.kinds():
            found.append(Document(details["type"], str(details.get("document_number", "")), printed, born))
    return found


def names_of(claims: Mapping[str, Any]) -> tuple[Name, ...]:
    """The name of the standard claims, and in other languages (``name#zh-Hant``), as they are written."""
    found = []
    for claim, value in claims.items():
        plain, _, tag = claim.partition("#")
        if plain == "name" and isinstance(value, str) and 0 < len(value.strip()) <= 200:
            han = any("\u3400" <= one <= "\u9fff" for one in value)
            family = claims.get(f"family_name{'#' + tag if tag else ''}", "")
            script = (
                ("Hant" if "hant" in tag.lower() else "Hans" if "hans" in tag.lower() else "Hani")
                if han
                else "Latn"
            )
            found.append(
                Name(
                    value,
                    script,
                    tag or ("zh" if han else "und"),
                    "family-given" if han else "unknown",
                    str(family),
                )
            )
    return tuple(found)


def birth_of(text: Any) -> PartialDate | None:
    """A date of birth as OpenID Connect writes it: ``1961-03-07``, or ``1961`` for the year alone; else None."""
    try:
        return PartialDate.parse(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _endpoint(told: Mapping[str, Any], name: str) -> str:
    url = told.get(name)
    if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
        raise SourceFailed(reason="unreadable")
    return url


def _with(url: str, parameters: Mapping[str, str]) -> str:
    extra = {name: value for name, value in parameters.items() if name not in ("client_id", "response_type")}
    if "response_type" not in parameters:
        return url + ("&" if "?" in url else "?") + urlencode(parameters)
    return str(prepare_grant_uri(url, parameters["client_id"], "code", **extra))


def _reason(reply: Reply) -> str:
    try:
        told = reply.json().get("error")
    except SourceFailed:
        return "error"
    return "refused" if told in ("invalid_grant", "invalid_client", "invalid_request") else "error"


def _number(value: Any) -> float:
    """A NumericDate; of what is none, one that no comparison lets pass."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else float("nan")
