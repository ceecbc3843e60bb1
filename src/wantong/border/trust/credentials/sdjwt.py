"""SD-JWT and key binding (RFC 9901), and SD-JWT VC on top (draft-ietf-oauth-sd-jwt-vc-19). Pure.

An issuer signs digests of claims; the holder shows those of them he wants to, with a Key Binding JWT by his own key
for one verifier and one moment. Every rule of RFC 9901 section 7 is here, in its order: :func:`unfold` is 7.1 step 3
to 5, :func:`select` and :func:`bind` are 7.2, :func:`check_binding` is 7.3.

Claims are named by *paths* as everywhere in OpenID4VC (claims path pointer): tuples of names, indexes, and None for
every element of an array.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from wantong.border.trust import cose, jws
from wantong.border.trust.credentials.dcql import Path, along
from wantong.border.trust.verdict import Refused
from wantong.ground.crypto import Signer

TYPE: Final = "dc+sd-jwt"
KB_TYPE: Final = "kb+jwt"
HASHES: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "sha-256": hashlib.sha256,
    "sha-384": hashlib.sha384,
    "sha-512": hashlib.sha512,
}
RESERVED: Final = frozenset({"_sd", "...", "_sd_alg"})
ALWAYS_SHOWN: Final = frozenset({"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"})
"""Claims of an SD-JWT VC that are never selectively disclosed, nor anything in them (draft-19 section 2.2.2.3)."""
MOST_DISCLOSURES: Final = 1000
DEEPEST: Final = 32
SKEW: Final = timedelta(seconds=60)
KB_WINDOW: Final = timedelta(minutes=5)
SALT: Final = 16


@dataclass(frozen=True)
class SdJwt:
    """The parts of an SD-JWT or SD-JWT+KB; :attr:`text` is its compact form."""

    jwt: jws.Unproven
    disclosures: tuple[str, ...] = ()
    kb: str | None = None

    @property
    def text(self) -> str:
        return self.bound_text + (self.kb or "")

    @property
    def bound_text(self) -> str:
        """What ``sd_hash`` is over: the issuer's JWT and the disclosures, each with its tilde."""
        return "~".join((self.jwt.text, *self.disclosures, ""))

    @property
    def header(self) -> Mapping[str, Any]:
        return self.jwt.header


@dataclass(frozen=True)
class Disclosed:
    """A claim or array element that was shown by a disclosure: where it stands in the credential as issued.

    ``path`` counts array elements as issued, hidden ones too; ``above`` are the disclosures it stands in.
    """

    path: Path
    encoded: str
    above: tuple[str, ...]


@dataclass(frozen=True)
class Unfolded:
    """The processed payload, which disclosures made it, and how many digests stayed dark (hidden claims or decoys)."""

    claims: Mapping[str, Any]
    disclosed: tuple[Disclosed, ...]
    dark: int


# --- issuing --------------------------------------------------------------------------------------------------------


def issue(
    claims: Mapping[str, Any],
    conceal: Collection[Path],
    *,
    signer: Signer,
    header: Mapping[str, Any],
    decoys: int = 0,
    sd_alg: str = "sha-256",
    entropy: Callable[[int], bytes] = secrets.token_bytes,
) -> SdJwt:
    """An SD-JWT of ``claims`` in which what ``conceal`` names may be shown or not; no other checks of what it says.

    A concealed claim within a concealed claim gets its own disclosure. ``decoys`` digests of nothing are added at every
    place that has concealed ones. Raises ValueError if a path of ``conceal`` names nothing, or a claim has a name that
    SD-JWT reserves.
    """
    maker = _Maker(HASHES[sd_alg], decoys, entropy)
    paths = {tuple(path) for path in conceal}
    payload = maker.fold(dict(claims), paths, 0)
    if maker.disclosures:
        payload["_sd_alg"] = sd_alg
    return SdJwt(jws.peek(jws.sign(signer, header, payload)), tuple(maker.disclosures))


def issue_vc(
    claims: Mapping[str, Any],
    conceal: Collection[Path],
    *,
    signer: Signer,
    chain: Sequence[bytes] = (),
    kid: str | None = None,
    decoys: int = 0,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
) -> SdJwt:
    """As :func:`issue`, of an SD-JWT VC: ``vct`` is there and nothing is concealed that must be shown.

    ``chain`` (DER, leaf first, without the anchor) becomes ``x5c``. Raises ValueError.
    """
    if not isinstance(claims.get("vct"), str):
        raise ValueError("an SD-JWT VC has a vct")
    if wrong := {path[0] for path in conceal} & ALWAYS_SHOWN:
        raise ValueError(f"never selectively disclosed: {', '.join(map(str, sorted(map(str, wrong))))}")
    header: dict[str, Any] = {"typ": TYPE}
    if kid is not None:
        header["kid"] = kid
    if chain:
        header["x5c"] = jws.x5c(chain)
    return issue(claims, conceal, signer=signer, header=header, decoys=decoys, entropy=entropy)


class _Maker:
    def __init__(self, hash: Callable[[bytes], Any], decoys: int, entropy: Callable[[int], bytes]) -> None:
        self.disclosures: list[str] = []
        self._hash, self._decoys, self._entropy = hash, decoys, entropy

    def fold(self, value: Any, paths: set[Path], depth: int) -> Any:
        """``value`` with what ``paths`` name replaced by digests."""
        if depth > DEEPEST:
            raise ValueError("nested too deeply")
        if isinstance(value, dict):
            return self._fold_object(value, paths, depth)
        if isinstance(value, list):
            return self._fold_array(value, paths, depth)
        if paths:
            raise ValueError(f"no claim at {sorted(map(str, paths))[0]}")
        return value

    def _fold_object(self, value: dict[str, Any], paths: set[Path], depth: int) -> dict[str, Any]:
        if RESERVED & value.keys():
            raise ValueError("SD-JWT reserves the names _sd, _sd_alg and ...")
        if strangers := {path[0] for path in paths} - value.keys():
            raise ValueError(f"no claim {sorted(map(str, strangers))[0]}")
        folded: dict[str, Any] = {}
        digests: list[str] = []
        for name, inner in value.items():
            below = {path[1:] for path in paths if path[0] == name}
            made = self.fold(inner, below - {()}, depth + 1)
            if () in below:
                digests.append(self._disclose(name, made))
            else:
                folded[name] = made
        if digests:
            # sorted, so that the order tells nothing (RFC 9901 section 4.2.4.1)
            folded["_sd"] = sorted([*digests, *self._dark()])
        return folded

    def _fold_array(self, value: list[Any], paths: set[Path], depth: int) -> list[Any]:
        folded: list[Any] = []
        hidden = False
        for index, inner in enumerate(value):
            below = {path[1:] for path in paths if path[0] in (None, index)}
            made = self.fold(inner, below - {()}, depth + 1)
            if () in below:
                hidden = True
                made = {"...": self._disclose(None, made)}
            folded.append(made)
        if any(isinstance(p[0], str) or (p[0] is not None and p[0] >= len(value)) for p in paths):
            raise ValueError("no such array element")
        return [*folded, *({"...": dark} for dark in self._dark())] if hidden else folded

    def _disclose(self, name: str | None, value: Any) -> str:
        salt = jws.b64(self._entropy(SALT))
        disclosure = jws.b64(jws.compact([salt, value] if name is None else [salt, name, value]))
        self.disclosures.append(disclosure)
        return self._digest(disclosure.encode("ascii"))

    def _dark(self) -> list[str]:
        return [self._digest(self._entropy(32)) for _ in range(self._decoys)]

    def _digest(self, data: bytes) -> str:
        return jws.b64(self._hash(data).digest())


# --- reading --------------------------------------------------------------------------------------------------------


def parse(text: str, longest: int = jws.LONGEST) -> SdJwt:
    """The parts of a compact SD-JWT or SD-JWT+KB. Raises :class:`Refused` (``sd-jwt-form``, ``jwt-form``, ``jwt-long``)."""
    if len(text) > longest:
        raise Refused("jwt-long", longest=longest)
    jwt, *disclosures = text.split("~")
    if not disclosures or len(disclosures) > MOST_DISCLOSURES + 1:
        raise Refused("sd-jwt-form", indication="FORMAT_FAILURE")
    *disclosures, kb = disclosures
    if not all(disclosures):
        raise Refused("sd-jwt-form", indication="FORMAT_FAILURE")
    return SdJwt(jws.peek(jwt, longest), tuple(disclosures), kb or None)


def unfold(sd_jwt: SdJwt) -> Unfolded:
    """The processed payload (RFC 9901 section 7.1, steps 2.5 and 3 to 5); signatures are not looked at.

    Raises :class:`Refused`: ``sd-alg``, ``disclosure-form``, ``disclosure-name``, ``disclosure-twice``,
    ``digest-twice``, ``disclosure-stray``, ``sd-form``.
    """
    payload = sd_jwt.jwt.payload
    named = payload.get("_sd_alg", "sha-256")
    hash = HASHES.get(named) if isinstance(named, str) else None
    if hash is None:
        raise Refused("sd-alg", algorithm=named)
    known: dict[str, str] = {}
    for encoded in sd_jwt.disclosures:
        if not encoded.isascii():
            raise Refused("disclosure-form", indication="FORMAT_FAILURE")
        digest = jws.b64(hash(encoded.encode("ascii")).digest())
        if digest in known:
            raise Refused("disclosure-twice", indication="FORMAT_FAILURE")
        known[digest] = encoded
    reader = _Reader(known)
    claims = reader.object({k: v for k, v in payload.items() if k != "_sd_alg"}, (), (), 0)
    if len(reader.disclosed) != len(known):
        raise Refused("disclosure-stray", indication="FORMAT_FAILURE")
    return Unfolded(claims, tuple(reader.disclosed), reader.dark)


class _Reader:
    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self._seen: set[str] = set()
        self.disclosed: list[Disclosed] = []
        self.dark = 0

    def value(self, value: Any, path: Path, above: tuple[str, ...], depth: int) -> Any:
        if isinstance(value, dict):
            return self.object(value, path, above, depth)
        if isinstance(value, list):
            return self._array(value, path, above, depth)
        return value

    def object(
        self, value: Mapping[str, Any], path: Path, above: tuple[str, ...], depth: int
    ) -> dict[str, Any]:
        if depth > DEEPEST:
            raise Refused("sd-form", indication="FORMAT_FAILURE")
        if "..." in value or "_sd_alg" in value:
            raise Refused("sd-form", indication="FORMAT_FAILURE")
        digests = value.get("_sd", [])
        if not isinstance(digests, list):
            raise Refused("sd-form", indication="FORMAT_FAILURE")
        claims = {
            name: self.value(inner, (*path, name), above, depth + 1)
            for name, inner in value.items()
            if name != "_sd"
        }
        for digest in digests:
            encoded = self._look_up(digest)
            if encoded is None:
                continue
            name, inner = self._open(encoded, 3)
            if not isinstance(name, str) or name in ("_sd", "..."):
                raise Refused("disclosure-name", indication="FORMAT_FAILURE")
            if name in claims:
                raise Refused("disclosure-name", indication="FORMAT_FAILURE")
            here = (*path, name)
            self.disclosed.append(Disclosed(here, encoded, above))
            claims[name] = self.value(inner, here, (*above, encoded), depth + 1)
        return claims

    def _array(self, value: list[Any], path: Path, above: tuple[str, ...], depth: int) -> list[Any]:
        if depth > DEEPEST:
            raise Refused("sd-form", indication="FORMAT_FAILURE")
        elements = []
        for index, inner in enumerate(value):
            here = (*path, index)
            if not (isinstance(inner, dict) and "..." in inner):
                elements.append(self.value(inner, here, above, depth + 1))
                continue
            if len(inner) != 1:
                raise Refused("sd-form", indication="FORMAT_FAILURE")
            encoded = self._look_up(inner["..."])
            if encoded is None:
                continue
            (opened,) = self._open(encoded, 2)
            self.disclosed.append(Disclosed(here, encoded, above))
            elements.append(self.value(opened, here, (*above, encoded), depth + 1))
        return elements

    def _look_up(self, digest: Any) -> str | None:
        if not isinstance(digest, str):
            raise Refused("sd-form", indication="FORMAT_FAILURE")
        if digest in self._seen:
            raise Refused("digest-twice", indication="FORMAT_FAILURE")
        self._seen.add(digest)
        encoded = self._known.get(digest)
        if encoded is None:
            self.dark += 1
        return encoded

    @staticmethod
    def _open(encoded: str, parts: int) -> list[Any]:
        try:
            opened = jws.json_value(jws.unb64(encoded))
        except ValueError:
            raise Refused("disclosure-form", indication="FORMAT_FAILURE") from None
        if not isinstance(opened, list) or len(opened) != parts or not isinstance(opened[0], str):
            raise Refused("disclosure-form", indication="FORMAT_FAILURE")
        return opened[1:]


# --- holding --------------------------------------------------------------------------------------------------------


def select(sd_jwt: SdJwt, paths: Collection[Path], *, whole: bool = True) -> SdJwt:
    """The same credential with only the disclosures that show what ``paths`` name, and what that stands in.

    ``whole``: everything within a named claim is shown too. Raises :class:`Refused` as :func:`unfold`.
    """
    wanted = set(paths)
    chosen: set[str] = set()
    for one in unfold(sd_jwt).disclosed:
        if any(_leads_to(one.path, path) or (whole and _leads_to(path, one.path)) for path in wanted):
            chosen.update((*one.above, one.encoded))
    kept = tuple(encoded for encoded in sd_jwt.disclosures if encoded in chosen)
    return replace(sd_jwt, disclosures=kept, kb=None)


def _leads_to(upper: Path, lower: Path) -> bool:
    """Whether what ``lower`` names stands at or within what ``upper`` names."""
    return len(upper) <= len(lower) and along(upper, lower)


def bind(
    sd_jwt: SdJwt,
    *,
    signer: Signer,
    audience: str,
    nonce: str,
    at: datetime,
    more: Mapping[str, Any] | None = None,
) -> SdJwt:
    """With a Key Binding JWT by the holder's ``signer`` for one verifier (section 4.3); ``more`` are further claims."""
    claims = {
        **(more or {}),
        "iat": int(at.timestamp()),
        "aud": audience,
        "nonce": nonce,
        "sd_hash": sd_hash(sd_jwt),
    }
    return replace(sd_jwt, kb=jws.sign(signer, {"typ": KB_TYPE}, claims))


def sd_hash(sd_jwt: SdJwt) -> str:
    """The digest by which a Key Binding JWT names what it is for. Raises :class:`Refused` (``sd-alg``)."""
    hash = HASHES.get(str(sd_jwt.jwt.payload.get("_sd_alg", "sha-256")))
    if hash is None:
        raise Refused("sd-alg", algorithm=sd_jwt.jwt.payload.get("_sd_alg"))
    return jws.b64(hash(sd_jwt.bound_text.encode("ascii")).digest())


# --- judging --------------------------------------------------------------------------------------------------------


def check_issued(sd_jwt: SdJwt, public: bytes, *, typ: str | None = TYPE) -> None:
    """Steps 2.1 and 2.2 of section 7.1: the key ``public`` (SPKI DER) signed it. Raises :class:`Refused`."""
    jws.prove(sd_jwt.jwt, public, typ=typ)


def check_period(claims: Mapping[str, Any], at: datetime, *, skew: timedelta = SKEW) -> None:
    """Step 6: ``nbf``, ``iat`` and ``exp`` of a payload. Raises :class:`Refused`: ``early``, ``expired``, ``time-form``."""
    begins, ends = moment(claims, "nbf"), moment(claims, "exp")
    moment(claims, "iat")
    now = at.timestamp()
    if begins is not None and begins > now + skew.total_seconds():
        raise Refused("early", indication="NOT_YET_VALID", begins=_utc(begins))
    if ends is not None and ends <= now - skew.total_seconds():
        raise Refused("expired", indication="EXPIRED", ended=_utc(ends))


def moment(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate, None if it is not there. Raises :class:`Refused` (``time-form``)."""
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 38:
        raise Refused("time-form", claim=name)
    return value


def check_vc(sd_jwt: SdJwt, unfolded: Unfolded) -> None:
    """What SD-JWT VC asks beyond SD-JWT: a ``vct``, and nothing disclosed that must stand open.

    Raises :class:`Refused`: ``vct``, ``always-shown``, ``cnf-form``.
    """
    claims = unfolded.claims
    if not isinstance(claims.get("vct"), str) or not claims["vct"]:
        raise Refused("vct")
    others = claims.get("aka_vcts")
    if others is not None and not (
        isinstance(others, list)
        and others
        and all(isinstance(one, str) and one for one in others)
        and claims["vct"] not in others
    ):
        raise Refused("vct")
    for one in unfolded.disclosed:
        if one.path[0] in ALWAYS_SHOWN:
            raise Refused("always-shown", claim=one.path[0])
    for name in ALWAYS_SHOWN & sd_jwt.jwt.payload.keys():
        if _has_digests(sd_jwt.jwt.payload[name]):
            raise Refused("always-shown", claim=name)


def vcts(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Every type that the credential says it is of: its ``vct`` first, then ``aka_vcts``."""
    return (claims["vct"], *claims.get("aka_vcts", ()))


def holder_jwk(claims: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The JWK the credential is bound to, None if to none. Raises :class:`Refused` (``cnf-form``)."""
    match claims.get("cnf"):
        case None:
            return None
        case {"jwk": dict(jwk)}:
            return jwk
    raise Refused("cnf-form")


def check_binding(
    sd_jwt: SdJwt,
    claims: Mapping[str, Any],
    *,
    audience: str,
    nonce: str,
    at: datetime,
    window: timedelta = KB_WINDOW,
    skew: timedelta = SKEW,
) -> Mapping[str, Any]:
    """Section 7.3 step 5, for a verifier that asks for key binding; returns the claims of the Key Binding JWT.

    Raises :class:`Refused`: ``kb-missing``, ``cnf-missing``, ``cnf-form``, those of :func:`jws.prove`, ``kb-iat``,
    ``kb-nonce``, ``kb-audience``, ``kb-hash``, ``early``, ``expired``.
    """
    if sd_jwt.kb is None:
        raise Refused("kb-missing")
    jwk = holder_jwk(claims)
    if jwk is None:
        raise Refused("cnf-missing")
    kb = jws.peek(sd_jwt.kb)
    jws.prove(kb, jws.public_key(jwk), typ=KB_TYPE)
    made = moment(kb.payload, "iat")
    now = at.timestamp()
    if made is None or not now - window.total_seconds() <= made <= now + skew.total_seconds():
        raise Refused("kb-iat", made="?" if made is None else _utc(made), now=_utc(now))
    if kb.payload.get("nonce") != nonce:
        raise Refused("kb-nonce")
    if kb.payload.get("aud") != audience:
        raise Refused("kb-audience", found=kb.payload.get("aud"), expected=audience)
    if kb.payload.get("sd_hash") != sd_hash(sd_jwt):
        raise Refused("kb-hash")
    check_period(kb.payload, at, skew=skew)
    return kb.payload


def verify(
    text: str,
    public: bytes | Callable[[SdJwt], bytes],
    *,
    at: datetime,
    audience: str | None = None,
    nonce: str | None = None,
    typ: str | None = TYPE,
) -> Unfolded:
    """All of section 7 at once, with key binding if an ``audience`` and a ``nonce`` are given; the first failure raises.

    ``public`` is the issuer's key (SPKI DER), or chooses it. Without key binding asked for, an SD-JWT+KB is refused as
    a holder must (section 7.2). Raises :class:`Refused`.
    """
    sd_jwt = parse(text)
    key = public if isinstance(public, bytes) else public(sd_jwt)
    check_issued(sd_jwt, key, typ=typ)
    unfolded = unfold(sd_jwt)
    if typ == TYPE:
        check_vc(sd_jwt, unfolded)
    check_period(unfolded.claims, at)
    if audience is not None and nonce is not None:
        check_binding(sd_jwt, unfolded.claims, audience=audience, nonce=nonce, at=at)
    elif sd_jwt.kb is not None:
        raise Refused("kb-unasked")
    return unfolded


def leaf_key(sd_jwt: SdJwt) -> bytes:
    """The key (SPKI DER) of the first certificate in ``x5c``: proves nothing until the chain is recognised."""
    return cose.key_of_certificate(jws.chain_of(sd_jwt.header)[0])


def integrity(document: bytes) -> str:
    """The ``#integrity`` value of a document: ``sha256-`` and its digest (Subresource Integrity)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(document).digest()).decode("ascii")


def _has_digests(value: Any) -> bool:
    return any("_sd" in inner or "..." in inner for inner in _objects(value))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
