"""JAdES (ETSI TS 119 182-1 v1.2.1): JSON Web Signatures with the signer's certificate, levels B-B to B-LTA.

Written compact (one signer, B-B), as flattened JSON (one signer) or as general JSON (several: SM2 and ES256 side by
side). What is signed lies inside, or beside: as the payload itself, as files named by their hashes
(``ObjectIdByURIHash``), or as the headers of an HTTP message (``HttpHeaders``).
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from wantong.border.trust.signatures import cms, primitives
from wantong.border.trust.signatures.found import (
    TOPIC,
    Covered,
    Document,
    Form,
    Found,
    Level,
    Material,
    Stamp,
    reached,
)
from wantong.border.trust.signatures.signing import CannotSign, Order, Signatory, needs
from wantong.border.trust.verdict import Refused, Steps, Unsure
from wantong.ground.crypto.x509 import public_of

Serialization = Literal["compact", "flattened", "general"]
Detached = Literal["", "payload", "hash", "http"]

BY_URI: Final = "http://uri.etsi.org/19182/ObjectIdByURI"
BY_HASH: Final = "http://uri.etsi.org/19182/ObjectIdByURIHash"
BY_HTTP: Final = "http://uri.etsi.org/19182/HttpHeaders"
MOST_BYTES: Final = 64 << 20
MOST_SIGNATURES: Final = 32
DEEPEST: Final = 3
"""Counter-signatures of counter-signatures; what is deeper says nothing about the document."""

UNDERSTOOD: Final = frozenset(
    ("b64", "sigD", "sigT", "x5t#o", "sigX5ts", "srCms", "sigPl", "srAts", "adoTst", "sigPId")
)
"""Header parameters that ``crit`` may name: what they say is looked at or shown."""
_HASHES: Final = {"S224": "sha224", "S256": "sha256", "S384": "sha384", "S512": "sha512", "SM3": "sm3"}
_HASHES_BACK: Final = {name: short for short, name in _HASHES.items()}
_HTTP_DIGESTS: Final = {"sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}
_BROKEN = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Http:
    """An HTTP message: ``target`` as ``post /path?query`` (blank for an answer), its headers in order, its body."""

    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""


# ---- signing


def sign(
    documents: Sequence[Document],
    signatories: Sequence[Signatory],
    order: Order,
    *,
    serialization: Serialization = "flattened",
    detached: Detached = "",
    http: Http | None = None,
    names: Sequence[str] = (),
) -> bytes:
    """Sign ``documents``; of several only their hashes are signed (``detached="hash"``).

    ``http`` and ``names``, the headers to sign, for ``detached="http"``: the body then needs a ``Digest`` header, which
    must be among ``names`` and right. Raises :class:`~.signing.CannotSign`.
    """
    needs(signatories, None if serialization == "general" else 1)
    if serialization == "compact" and order.level is not Level.B:
        raise CannotSign(reason="compact-has-no-room")
    if detached == "http":
        if http is None or not names:
            raise CannotSign(reason="no-http")
        payload = _http_payload(http, names)
    elif not documents or (len(documents) > 1 and detached != "hash"):
        raise CannotSign(reason="documents-not-one")
    else:
        payload = b"" if detached == "hash" else _b64(documents[0].content)
    made = []
    for signatory in signatories:
        header = _header(documents, signatory, order, detached, names)
        protected = _b64(_json(header))
        signature = _b64(signatory.signer.sign(protected + b"." + payload))
        one: dict[str, Any] = {"protected": protected.decode(), "signature": signature.decode()}
        if order.level is not Level.B:
            one["header"] = {"etsiU": _unsigned(protected, payload, signature, order)}
        made.append(one)
    inside = {} if detached else {"payload": payload.decode()}
    if serialization == "compact":
        return b".".join(
            (made[0]["protected"].encode(), inside.get("payload", "").encode(), made[0]["signature"].encode())
        )
    return _json({**inside, **made[0]} if serialization == "flattened" else {**inside, "signatures": made})


def _header(
    documents: Sequence[Document],
    signatory: Signatory,
    order: Order,
    detached: Detached,
    names: Sequence[str],
) -> dict[str, Any]:
    header: dict[str, Any] = {
        "alg": signatory.signer.suite.value,
        "x5t#S256": _b64(primitives.digest("sha256", signatory.leaf)).decode(),
        "x5c": [base64.b64encode(certificate).decode() for certificate in signatory.chain],
        "iat": int(order.time.timestamp()),
    }
    if not detached:
        header["cty"] = documents[0].media_type.removeprefix("application/")
    if place := order.said.get("place"):
        header["sigPl"] = {"addressLocality": place}
    if role := order.said.get("role"):
        header["srAts"] = [{"claimed": [{"mediaType": "text/plain", "encoding": "UTF-8", "qVals": [role]}]}]
    if detached == "hash":
        header["sigD"] = {
            "mId": BY_HASH,
            "pars": [document.name for document in documents],
            "hashM": _HASHES_BACK[signatory.hash],
            "hashV": [
                _b64(primitives.digest(signatory.hash, _b64(document.content))).decode()
                for document in documents
            ],
            "ctys": [document.media_type for document in documents],
        }
    if detached == "http":
        header["sigD"] = {"mId": BY_HTTP, "pars": [name.lower() for name in names]}
        header["b64"] = False
    critical = [name for name in ("sigD", "b64") if name in header]
    return {**header, "crit": critical} if critical else header


def _unsigned(protected: bytes, payload: bytes, signature: bytes, order: Order) -> list[str]:
    """The unsigned parts, each base64url so that a later timestamp can speak of its very bytes."""
    token = order.stamp(signature)
    parts = [_part("sigTst", {"tstTokens": [{"val": base64.b64encode(token).decode()}]})]
    if order.reaches(Level.LT):
        if not (order.material.crls or order.material.ocsps):
            raise CannotSign(reason="no-material")
        certificates = [{"x509Cert": _value(der)} for der in order.material.certificates]
        if certificates:
            parts.append(_part("xVals", certificates))
        revocation = {
            name: [_value(der) for der in values]
            for name, values in (("crlVals", order.material.crls), ("ocspVals", order.material.ocsps))
            if values
        }
        parts.append(_part("rVals", revocation))
    if order.reaches(Level.LTA):
        covered = b".".join((payload, protected, signature, "".join(parts).encode()))
        parts.append(_part("arcTst", {"tstTokens": [_value(order.stamp(covered))]}))
    return parts


def _part(name: str, value: Any) -> str:
    return _b64(_json({name: value})).decode()


def _value(der: bytes) -> dict[str, str]:
    return {"val": base64.b64encode(der).decode()}


# ---- reading


def looks_like(content: bytes) -> bool:
    """Whether ``content`` may be a JSON Web Signature."""
    start = content[:64].lstrip()
    return start.startswith(b"eyJ") or (start.startswith(b"{") and b'"signature' in content)


def read(content: bytes, documents: Sequence[Document] = (), http: Http | None = None) -> tuple[Found, ...]:
    """Every signature of a JWS; ``documents`` and ``http`` are what it may speak of that lies beside it.

    Raises :class:`Refused` if ``content`` is no JWS at all.
    """
    try:
        payload, signatures = _open(content)
    except _BROKEN:
        raise Refused("form-jws", indication="FORMAT_FAILURE") from None
    beside = _Beside(tuple(documents), http)
    found: list[Found] = []
    for index, one in enumerate(signatures, 1):
        found.append(_read(f"#{index}", payload, one, beside))
        _add_counters(found, one, f"#{index}", DEEPEST)
    return tuple(found)


def _add_counters(found: list[Found], one: Mapping[str, Any], name: str, deep: int) -> None:
    """Add who signed that signature (``cSig``, 5.3.2), and who signed theirs, of all not more than MOST_SIGNATURES."""
    for index, (payload, counter) in enumerate(_counters(one), 1):
        if len(found) >= MOST_SIGNATURES or not deep:
            return
        called = f"{name}.{index}"
        value = one["signature"]
        read = _read(called, value, counter, _Beside((), None))
        if payload not in (None, value):
            # over a value of its own choice: whoever it was meant for, it is not this one
            steps = Steps(TOPIC, read.steps)
            with steps.take("digest", go_on=True):
                raise Refused("content-changed", indication="HASH_FAILURE", name=name)
            read = replace(read, steps=tuple(steps.taken))
        found.append(replace(read, countersigns=name, covered=Covered(False, (name,))))
        _add_counters(found, counter, called, deep - 1)


def _counters(one: Mapping[str, Any]) -> list[tuple[str | None, Mapping[str, Any]]]:
    """The counter-signatures of a signature, each with the payload that it brings, if any."""
    try:
        header = one.get("header") or {}
        parts = [_parse(_unb64(part).decode()) if isinstance(part, str) else part for part in header["etsiU"]]
        told = [part["cSig"] for part in parts if "cSig" in part]
    except _BROKEN:
        # the signature itself says what is wrong with its parts
        return []
    found: list[tuple[str | None, Mapping[str, Any]]] = []
    for counter in told:
        try:
            payload, signatures = _open(
                (counter if isinstance(counter, str) else json.dumps(counter)).encode()
            )
            found += [(payload, signed) for signed in signatures]
        except (*_BROKEN, Unsure):
            found.append((None, {"protected": "", "signature": ""}))
    return found


def _open(content: bytes) -> tuple[str | None, list[Mapping[str, Any]]]:
    text = content.decode("utf-8").strip()
    if not text.startswith("{"):
        protected, inside, signature = text.split(".")
        return inside or None, [{"protected": protected, "signature": signature}]
    outer = _parse(text)
    payload = outer.get("payload")
    if payload is not None and not isinstance(payload, str):
        raise ValueError("the payload is no text")
    signatures = outer.get("signatures")
    if signatures is None:
        signatures = [{name: value for name, value in outer.items() if name != "payload"}]
    elif "signature" in outer or "protected" in outer:
        raise ValueError("flattened and general at once")
    if not isinstance(signatures, list) or not signatures:
        raise ValueError("no signatures")
    if len(signatures) > MOST_SIGNATURES:
        raise Unsure("signatures-many", indication="CUSTOM", most=MOST_SIGNATURES)
    if not all(
        isinstance(one, dict)
        and isinstance(one.get("signature"), str)
        and isinstance(one.get("protected"), str)
        for one in signatures
    ):
        raise ValueError("a signature without its parts")
    return payload, signatures


@dataclass(frozen=True)
class _Beside:
    documents: tuple[Document, ...]
    http: Http | None


def _read(name: str, payload: str | None, one: Mapping[str, Any], beside: _Beside) -> Found:
    steps = Steps(TOPIC)
    told: dict[str, Any] = {"covered": Covered(True)}
    level = Level.NOT_ETSI
    try:
        with steps.take("format", name):
            header = _protected(one)
            signature = _unb64(one["signature"])
            unsigned = one.get("header") or {}
            told["claimed"], told["said"] = _claimed(header), _said(header)
        with steps.take("certificate"):
            chain = _chain(header)
            told["leaf"] = chain[0]
            told["material"] = Material(chain)
        with steps.take("digest"):
            signed, told["covered"], hashed = _payload(payload, header, beside)
        with steps.take("signature"):
            kind, inner = primitives.JOSE.get(str(header["alg"]), ("", ""))
            if not kind:
                raise primitives.unknown(header["alg"])
            algorithm = primitives.algorithm(kind, inner)
            public = public_of(chain[0])
            told["used"] = cms.used(algorithm, public, *hashed)
            message = one["protected"].encode() + b"." + signed
            pairs = kind in ("ecdsa", "sm2")
            if not primitives.verify(algorithm, public, message, signature, raw=pairs):
                raise Refused("signature-wrong", indication="SIG_CRYPTO_FAILURE")
        referred = any(key in header for key in ("x5t#S256", "x5t#o", "sigX5ts"))
        with steps.take("reference", go_on=True):
            _check_reference(header, chain[0])
        level = Level.B if referred and told["claimed"] is not None else Level.NOT_ETSI
        over, more = _etsi(unsigned, one, signed)
        told["stamps"], told["material"] = over, told["material"] | more
        level = reached(level, over, more)
    except Refused:
        pass
    except _BROKEN:
        steps.taken.extend(_broken())
    return Found(Form.JADES, level, name, tuple(steps.taken), **told)


def _protected(one: Mapping[str, Any]) -> dict[str, Any]:
    """The signed header, every demand of which is understood. Raises Refused."""
    try:
        header = _parse(_unb64(one["protected"]).decode("utf-8"))
        unsigned = one.get("header")
        if unsigned is not None and (not isinstance(unsigned, dict) or set(unsigned) & set(header)):
            raise ValueError("a name in both headers")
        if not isinstance(header.get("alg"), str):
            raise ValueError("no algorithm")
    except _BROKEN:
        raise Refused("form-jws", indication="FORMAT_FAILURE") from None
    critical = header.get("crit", ())
    if "crit" in header and (
        not isinstance(critical, list)
        or not critical
        or not all(isinstance(name, str) and name in header for name in critical)
        or len(set(critical)) < len(critical)
    ):
        raise Refused("critical-form", indication="FORMAT_FAILURE")
    strange = sorted(set(critical) - UNDERSTOOD)
    if strange:
        raise Refused("critical-unknown", indication="FORMAT_FAILURE", names=", ".join(strange))
    missing = [name for name in ("b64", "sigD") if name in header and name not in critical]
    if missing:
        raise Refused("critical-missing", indication="FORMAT_FAILURE", names=", ".join(missing))
    return header


def _chain(header: Mapping[str, Any]) -> tuple[bytes, ...]:
    given = header.get("x5c")
    if given is None:
        raise Unsure("certificate-missing", indication="NO_SIGNING_CERTIFICATE_FOUND")
    try:
        chain = tuple(base64.b64decode(text, validate=True) for text in given)
        if not 0 < len(chain) <= cms.MOST_CERTIFICATES:
            raise ValueError("none, or too many")
        public_of(chain[0])
    except _BROKEN:
        raise Refused("form-certificate", indication="FORMAT_FAILURE") from None
    return chain


def _payload(
    payload: str | None, header: Mapping[str, Any], beside: _Beside
) -> tuple[bytes, Covered, tuple[str, ...]]:
    """What stands after the dot in the signing input; what it covers; the hashes used on the way."""
    encoded = header.get("b64", True) is not False
    mechanism = header.get("sigD")
    if payload and mechanism is not None:
        raise Refused("content-twice", indication="FORMAT_FAILURE")
    if payload is not None and mechanism is None:
        if encoded:
            _strict(payload)
        return payload.encode(), Covered(True), ()
    if mechanism is None:
        if len(beside.documents) != 1:
            raise Unsure("content-missing", indication="SIGNED_DATA_NOT_FOUND")
        document = beside.documents[0]
        return _octets(document, encoded), Covered(True, (document.name,)), ()
    pars = mechanism["pars"]
    if not isinstance(pars, list) or not pars or not all(isinstance(name, str) for name in pars):
        raise Refused("form-jws", indication="FORMAT_FAILURE")
    match mechanism.get("mId"):
        case str(kind) if kind == BY_HASH:
            return _by_hash(mechanism, pars, encoded, beside)
        case str(kind) if kind == BY_URI:
            found = [_named(name, len(pars), beside) for name in pars]
            return (
                b"".join(_octets(document, encoded) for document in found),
                Covered(True, tuple(document.name for document in found)),
                (),
            )
        case str(kind) if kind == BY_HTTP:
            if encoded:
                raise Refused("critical-missing", indication="FORMAT_FAILURE", names="b64")
            if beside.http is None:
                raise Unsure("content-missing", indication="SIGNED_DATA_NOT_FOUND")
            signed = _http_payload(beside.http, pars)
            whole = "digest" in pars or not beside.http.body
            return signed, Covered(whole, tuple(pars)), ()
    raise Unsure("mechanism-unknown", indication="SIGNED_DATA_NOT_FOUND", name=mechanism.get("mId"))


def _by_hash(
    mechanism: Mapping[str, Any], pars: list[str], encoded: bool, beside: _Beside
) -> tuple[bytes, Covered, tuple[str, ...]]:
    hashed = _HASHES.get(str(mechanism.get("hashM")))
    values = mechanism.get("hashV")
    if hashed is None:
        raise primitives.unknown(mechanism.get("hashM"))
    if not isinstance(values, list) or len(values) != len(pars):
        raise Refused("form-jws", indication="FORMAT_FAILURE")
    found = []
    for name, value in zip(pars, values, strict=True):
        document = _named(name, len(pars), beside)
        actual = primitives.digest(hashed, _octets(document, encoded))
        if not hmac.compare_digest(_unb64(value), actual):
            raise Refused("content-changed", indication="HASH_FAILURE", name=document.name)
        found.append(document)
    return b"", Covered(len(found) == len(beside.documents), tuple(d.name for d in found)), (hashed,)


def _named(name: str, count: int, beside: _Beside) -> Document:
    if count == 1 and len(beside.documents) == 1:
        return beside.documents[0]
    for document in beside.documents:
        if document.name == name:
            return document
    raise Unsure("content-missing-named", indication="SIGNED_DATA_NOT_FOUND", name=name)


def _octets(document: Document, encoded: bool) -> bytes:
    return _b64(document.content) if encoded else document.content


def _http_payload(http: Http, names: Sequence[str]) -> bytes:
    """The named headers as lines; a ``digest`` among them must be that of the body."""
    lines = []
    for name in names:
        lowered = name.lower()
        if lowered == "(request-target)":
            lines.append(f"(request-target): {http.target}")
            continue
        values = [value.strip() for key, value in http.headers if key.lower() == lowered]
        if not values:
            raise Refused("http-header-missing", indication="HASH_FAILURE", name=lowered)
        if lowered == "digest":
            _check_http_digest(values, http.body)
        lines.append(f"{lowered}: {', '.join(values)}")
    return "\n".join(lines).encode()


def _check_http_digest(values: list[str], body: bytes) -> None:
    """RFC 3230: at least one of the named digests is known, and each that is known is the body's."""
    known = [
        (_HTTP_DIGESTS[kind.strip().lower()], value.strip())
        for part in ", ".join(values).split(",")
        for kind, _, value in (part.partition("="),)
        if kind.strip().lower() in _HTTP_DIGESTS
    ]
    if not known:
        raise primitives.unknown(values[0].partition("=")[0])
    for hashed, value in known:
        if not hmac.compare_digest(value, base64.b64encode(primitives.digest(hashed, body)).decode()):
            raise Refused("content-changed", indication="HASH_FAILURE", name="digest")


def _claimed(header: Mapping[str, Any]) -> datetime | None:
    issued, written = header.get("iat"), header.get("sigT")
    if isinstance(issued, int) and not isinstance(issued, bool) and 0 <= issued < 1 << 35:
        return datetime.fromtimestamp(issued, UTC)
    try:
        return datetime.fromisoformat(written).astimezone(UTC) if isinstance(written, str) else None
    except ValueError:
        return None


def _said(header: Mapping[str, Any]) -> dict[str, str]:
    said = {}
    place = header.get("sigPl")
    if isinstance(place, dict):
        said["place"] = ", ".join(str(value) for value in place.values())[:200]
    roles = [
        str(value)
        for attribute in _list(header.get("srAts"))
        if isinstance(attribute, dict)
        for claimed in _list(attribute.get("claimed"))
        if isinstance(claimed, dict)
        for value in _list(claimed.get("qVals") or claimed.get("vals"))
    ]
    if roles:
        said["role"] = ", ".join(roles)[:200]
    return said


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _check_reference(header: Mapping[str, Any], leaf: bytes) -> None:
    """The signed hash of the signer's certificate: without it a certificate of the same key could be exchanged."""
    references = [("sha256", header["x5t#S256"])] if "x5t#S256" in header else []
    other = [header["x5t#o"]] if "x5t#o" in header else list(header.get("sigX5ts", ()))[:1]
    for reference in other:
        hashed = _HASHES.get(str(reference["digAlg"]))
        if hashed is None:
            raise primitives.unknown(reference["digAlg"])
        references.append((hashed, reference["digVal"]))
    if not references:
        # x5c is signed itself: that it is not referred to lacks form, not safety
        raise Unsure("reference-missing", indication="SIG_CONSTRAINTS_FAILURE")
    for hashed, value in references:
        if not hmac.compare_digest(_unb64(value), primitives.digest(hashed, leaf)):
            raise Unsure("reference-differs", indication="NO_SIGNING_CERTIFICATE_FOUND")


def _etsi(
    unsigned: Mapping[str, Any], one: Mapping[str, Any], payload: bytes
) -> tuple[tuple[Stamp, ...], Material]:
    """Timestamps and material of the unsigned header (``etsiU``)."""
    parts = unsigned.get("etsiU", ())
    over: list[Stamp] = []
    material = Material()
    signature = one["signature"].encode()
    encoded = all(isinstance(part, str) for part in parts)
    for index, part in enumerate(parts):
        content = _parse(_unb64(part).decode()) if isinstance(part, str) else part
        for name, value in content.items():
            if name == "sigTst":
                over += _tokens(value, "signature", signature)
            elif name == "arcTst" and encoded:
                before = "".join(parts[:index]).encode()
                covered = b".".join((payload, one["protected"].encode(), signature, before))
                over += _tokens(value, "archive", covered)
            else:
                material |= _material(name, value)
    return tuple(over), material


def _tokens(
    value: Mapping[str, Any], kind: Literal["signature", "archive"], covered: bytes
) -> Iterator[Stamp]:
    for token in value["tstTokens"]:
        yield cms.stamp(base64.b64decode(token["val"]), kind, lambda name: primitives.digest(name, covered))


def _material(name: str, value: Any) -> Material:
    if name in ("xVals", "axVals"):
        return Material(tuple(_der(entry["x509Cert"]) for entry in value if "x509Cert" in entry))
    if name in ("rVals", "arVals"):
        return Material(
            (),
            tuple(_der(entry) for entry in value.get("crlVals", ())),
            tuple(_der(entry) for entry in value.get("ocspVals", ())),
        )
    if name in ("tstVD", "anyValData"):
        return _material("xVals", value.get("xVals", ())) | _material("rVals", value.get("rVals", {}))
    return Material()


def _der(value: Mapping[str, str]) -> bytes:
    return base64.b64decode(value["val"])


def _broken() -> Iterator[Any]:
    steps = Steps(TOPIC)
    with steps.take("format", go_on=True):
        raise Refused("form-jws", indication="FORMAT_FAILURE")
    yield from steps.taken


# ---- JSON and base64url, strictly


def _parse(text: str) -> dict[str, Any]:
    """A JSON object no name of which stands twice: two readers of it cannot read two things."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name stands twice")
        return found

    value = json.loads(text, object_pairs_hook=once)
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _unb64(text: str) -> bytes:
    """Only the one spelling that :func:`_b64` writes, so that no byte of a signature can be changed unnoticed."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _b64(data).decode() != text:
        raise ValueError("not base64url")
    return data


def _strict(payload: str) -> None:
    try:
        _unb64(payload)
    except ValueError:
        raise Refused("form-jws", indication="FORMAT_FAILURE") from None
