"""The keys with which this node's services sign, each with its certificate: for its list, seal, timestamps and so on.

::

    keys/services/seal.ES256/service.key            the private key (PKCS #8), or where it lies in a hardware
                                                    module (a PKCS #11 URI, RFC 7512), then the chain
    keys/services/seal.ES256/next/service.key       a next one, for which a certificate has been asked
    keys/services/seal.ES256/retired/<when>/…       those that have signed before

Each is a ring of its own (:mod:`wantong.ground.keyring`), for each waits for its own CA: a new key signs from the
moment its certificate is imported, a self-signed one from the moment it is made, and the old one is kept. A node makes
self-signed ones when it starts first, so everything works at once and is believed by whoever pins it.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from importlib import resources
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from asn1crypto import x509 as asn1
from django.db import transaction

from wantong.border.trust.certificates import authority
from wantong.ground import config, crypto, keyring, yamlfile
from wantong.ground.config import NodeConfig
from wantong.ground.crypto import Signer, Suite, pem, pkcs11, x509
from wantong.ground.log import services as log
from wantong.ground.problems import Problem

SERVICES = "services"
FILE = "service.key"
REQUEST, FOLLOWS = "request.pem", "follows"
LONGEST_CHAIN = 8


class UnknownPurpose(Problem):
    """No service of a node signs for ``purpose``, or not with ``suite``."""

    slug = "unknown-purpose"
    status = 404


class NoHolding(Problem):
    """This node has no key for ``purpose`` in ``suite`` yet."""

    slug = "no-holding"
    status = 503


class BadChain(Problem):
    """A chain of certificates that cannot be this key's; ``reason`` is a code of ``holding.bad-chain``."""

    slug = "bad-chain"
    status = 422
    CODES: ClassVar = {"reason": "holding.bad-chain"}


@dataclass(frozen=True)
class Holding:
    """A key of this node with its certificates: the leaf first, then those above it without the anchor."""

    purpose: str
    suite: Suite
    signer: Signer
    chain: tuple[bytes, ...]

    @property
    def certificate(self) -> bytes:
        """The key's own certificate, DER."""
        return self.chain[0]

    @property
    def self_signed(self) -> bool:
        """Whether nobody else vouches for the key."""
        found = x509.parsed(self.certificate)
        return bool(found.subject == found.issuer)


@dataclass(frozen=True)
class Former:
    """A certificate under which this node signed until ``until`` (UTC)."""

    certificate: bytes
    until: datetime


@cache
def _facts() -> tuple[Mapping[str, tuple[Suite, ...]], Mapping[str, str], Mapping[str, str]]:
    told = yamlfile.load(Path(str(resources.files(__package__))) / "data" / "holdings.yaml")
    purposes = told["purposes"]
    return (
        {name: tuple(Suite(suite) for suite in of["suites"]) for name, of in purposes.items()},
        {name: of["profile"] for name, of in purposes.items()},
        told["countries"],
    )


def purposes() -> Mapping[str, tuple[Suite, ...]]:
    """What this node's services sign for, and with which suites, the usual one first."""
    return _facts()[0]


def generate(node: NodeConfig, now: datetime) -> None:
    """Make the keys that are not there yet, self-signed, and finish what a killed process began.

    Where the machine can do no SM2, the keys that need it wait until it can.
    """
    for purpose, suites in purposes().items():
        for suite in suites:
            if suite is Suite.SM2SM3 and not crypto.sm2.available():
                continue
            with _ring(node, purpose, suite) as ring:
                _settle(ring, now)
                if not (ring / FILE).exists():
                    keyring.write_once(ring / FILE, _new(node, purpose, suite, None, now))


_loaded: dict[Path, tuple[tuple[int, ...], Holding]] = {}


def signer(purpose: str, suite: Suite | None = None) -> Holding:
    """The key with which this node signs for ``purpose`` now; read once, and again when it is changed.

    Raises :class:`UnknownPurpose`, :class:`NoHolding`, what :func:`wantong.ground.crypto.pkcs11.find` raises.
    """
    node = config.current()
    suite = _suite(purpose, suite)
    ring = _folder(node, purpose, suite)
    try:
        stamp = keyring.stamp(ring)
        known = _loaded.get(ring)
        if known is None or known[0] != stamp:
            text = keyring.texts(ring, FILE)[0]
            known = _loaded[ring] = (stamp, _read(purpose, suite, text.encode()))
    except FileNotFoundError:
        raise NoHolding(purpose=purpose, suite=suite) from None
    return known[1]


def held() -> tuple[Holding, ...]:
    """Every key that this node has."""
    found = []
    for purpose, suites in purposes().items():
        for suite in suites:
            with contextlib.suppress(NoHolding):
                found.append(signer(purpose, suite))
    return tuple(found)


def former(purpose: str, suite: Suite | None = None) -> tuple[Former, ...]:
    """The certificates with which this node has signed for ``purpose`` before, the oldest first."""
    ring = _folder(config.current(), purpose, _suite(purpose, suite))
    return tuple(Former(_chain(old.file.read_bytes())[0], old.until) for old in keyring.retired(ring, FILE))


def request(
    purpose: str,
    suite: Suite | None = None,
    *,
    now: datetime,
    new: bool = False,
    module: str | None = None,
    subject: Mapping[str, str] | None = None,
) -> bytes:
    """A request (PKCS #10, DER) to a CA for a certificate: for the key that signs now, or for a next one.

    ``new`` makes a next key, or takes the one made before; ``module`` is the PKCS #11 URI of one in a hardware module.
    It signs nothing before :func:`install`. Raises as :func:`signer`, :class:`~wantong.ground.keyring.RotationUnderWay`
    when another key waits already.
    """
    node = config.current()
    suite = _suite(purpose, suite)
    key = signer(purpose, suite).signer
    if new or module:
        with _ring(node, purpose, suite) as ring:
            key = _next(node, ring, purpose, suite, module, now)
    own = subject or _subject(node, purpose)
    profile = authority.profiles()[_facts()[1][purpose]]
    return x509.request(key, own, [*authority.uses(profile), authority.named(_names(node))])


def abandon(purpose: str, suite: Suite | None = None) -> None:
    """Let go of a next key for which no certificate has come. Raises :class:`~wantong.ground.keyring.NoRotation`."""
    with _ring(config.current(), purpose, _suite(purpose, suite)) as ring:
        keyring.abandon(ring)


def install(purpose: str, certificates: bytes, suite: Suite | None = None, *, now: datetime) -> Holding:
    """Take a CA's certificates (PEM, the leaf first) for the key that signs now, or for the next, which then signs.

    Raises :class:`BadChain`, and as :func:`signer`.
    """
    node = config.current()
    suite = _suite(purpose, suite)
    try:
        chain = tuple(pem.read_all(certificates, "CERTIFICATE"))
    except ValueError:
        raise BadChain(reason="unreadable") from None
    with _ring(node, purpose, suite) as ring:
        _settle(ring, now)
        following = ring / keyring.NEXT / FILE
        files = [file for file in (following, ring / FILE) if file.exists()]
        held_keys = {_key(suite, file.read_bytes()).public: file for file in files}
        good = _examined(chain, purpose, frozenset(held_keys), now)
        file = held_keys[x509.public_of(good[0])]
        secret = _secret(file.read_bytes())
        with transaction.atomic():
            log.record("trust.certificate", _body(purpose, suite, good, "imported"), now)
            keyring.overwrite(file, _text(secret, good))
            _loaded.pop(ring, None)
            if file == following:
                _take_over(ring, now)
    return signer(purpose, suite)


def renew(purpose: str, suite: Suite | None = None, *, now: datetime, module: str | None = None) -> Holding:
    """Sign with a new self-signed key from now on, in a hardware module if ``module`` says so (PKCS #11 URI).

    The old one is kept. Raises as :func:`request`.
    """
    node = config.current()
    suite = _suite(purpose, suite)
    with _ring(node, purpose, suite) as ring:
        _next(node, ring, purpose, suite, module, now)
        chain = _chain((ring / keyring.NEXT / FILE).read_bytes())
        with transaction.atomic():
            log.record("trust.certificate", _body(purpose, suite, chain, "made"), now)
            _take_over(ring, now)
    return signer(purpose, suite)


# ------------------------------------------------------------------------------------------------------- all at once


class Course(StrEnum):
    """What becomes of a service key when the node changes its keys."""

    FOLLOWED = "followed"
    """A next self-signed key waits until it is known (:func:`succeed`)."""
    ASKED = "asked"
    """A CA vouches for it: a request for a next key has been written, and the old one signs until its certificate comes."""
    WAITING = "waiting"
    """A next key has been waiting for its certificate already."""
    HARDWARE = "hardware"
    """It lies in a module, where only a person makes a next one."""


@dataclass(frozen=True)
class Following:
    """What was done for the next key of a service; ``request`` is the file with the request to a CA (PEM)."""

    purpose: str
    suite: Suite
    course: Course
    request: Path | None = None


def follow_all(now: datetime) -> tuple[Following, ...]:
    """Make a next key for every service; none signs yet. Once more does nothing new."""
    return tuple(_follow(holding, now) for holding in held())


def _follow(holding: Holding, now: datetime) -> Following:
    node, purpose, suite = config.current(), holding.purpose, holding.suite
    told = Following(purpose, suite, Course.HARDWARE)
    if isinstance(holding.signer, pkcs11.HardwareKey):
        return told
    with _ring(node, purpose, suite) as ring:
        _settle(ring, now)
        asked = ring / keyring.NEXT / REQUEST
        if keyring.read(ring) is not None and not asked.exists() and not _follows(ring):
            return replace(told, course=Course.WAITING)
        if not holding.self_signed:
            key = _next(node, ring, purpose, suite, None, now)
            profile = authority.profiles()[_facts()[1][purpose]]
            uses = [*authority.uses(profile), authority.named(_names(node))]
            der = x509.request(key, _subject(node, purpose), uses)
            keyring.overwrite(asked, pem.write("CERTIFICATE REQUEST", der).decode())
            return replace(told, course=Course.ASKED, request=asked)
        _next(node, ring, purpose, suite, None, now, follows=True)
    return replace(told, course=Course.FOLLOWED)


def following() -> tuple[Holding, ...]:
    """The next self-signed keys that wait until they are known."""
    found = []
    for purpose, suites in purposes().items():
        for suite in suites:
            ring = _folder(config.current(), purpose, suite)
            with contextlib.suppress(FileNotFoundError):
                if _follows(ring):
                    found.append(_read(purpose, suite, (ring / keyring.NEXT / FILE).read_bytes()))
    return tuple(found)


def succeed(purpose: str, suite: Suite, *, now: datetime) -> None:
    """The next self-signed key signs from now on, if one waits; the old one is kept. Once more does nothing."""
    with _ring(config.current(), purpose, suite) as ring:
        _settle(ring, now)
        if not _follows(ring):
            return
        chain = _chain((ring / keyring.NEXT / FILE).read_bytes())
        with transaction.atomic():
            log.record("trust.certificate", _body(purpose, suite, chain, "made"), now)
            _take_over(ring, now)


def forget(purpose: str, suite: Suite) -> int:
    """Remove the old private keys of a service and keep their certificates; how many there were."""
    found = 0
    with _ring(config.current(), purpose, suite) as ring:
        for old in keyring.retired(ring, FILE):
            text = old.file.read_bytes()
            if _secret(text):
                keyring.overwrite(old.file, _text(b"", _chain(text)))
                found += 1
    return found


def _follows(ring: Path) -> bool:
    return keyring.read(ring) is not None and (ring / keyring.NEXT / FOLLOWS).exists()


# ------------------------------------------------------------------------------------------------------- on the disk


@contextlib.contextmanager
def _ring(node: NodeConfig, purpose: str, suite: Suite) -> Iterator[Path]:
    """The folder of one key, while nobody else changes it, and no backup is made."""
    node.keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    with keyring.alone(node.keys):
        ring = _folder(node, purpose, suite)
        for folder in (ring.parent, ring):
            folder.mkdir(exist_ok=True, mode=0o700)
        yield ring


def _folder(node: NodeConfig, purpose: str, suite: Suite) -> Path:
    return node.keys / SERVICES / f"{purpose}.{suite}"


def _suite(purpose: str, suite: Suite | None) -> Suite:
    known = purposes().get(purpose, ())
    if not known or (suite is not None and suite not in known):
        raise UnknownPurpose(purpose=purpose, suite=suite or "", purposes=", ".join(purposes()))
    return suite or known[0]


def _settle(ring: Path, now: datetime) -> None:
    """Finish a change of keys that was killed after it had been decided."""
    rotation = keyring.read(ring)
    if rotation is not None and rotation.stage == "switched":
        keyring.finish(ring, now)


def _take_over(ring: Path, now: datetime) -> None:
    keyring.switch(ring)
    keyring.finish(ring, now)
    # the clock of the file system is coarse: two changes may leave one stamp
    _loaded.pop(ring, None)


def _next(
    node: NodeConfig,
    ring: Path,
    purpose: str,
    suite: Suite,
    module: str | None,
    now: datetime,
    *,
    follows: bool = False,
) -> Signer:
    """The key that waits in the ring, made if there is none; ``follows`` marks one that waits for nobody's certificate."""
    _settle(ring, now)
    if keyring.read(ring) is None:
        text = _new(node, purpose, suite, module, now)

        def make(folder: Path) -> None:
            keyring.write_once(folder / FILE, text)
            if follows:
                keyring.write_once(folder / FOLLOWS, "")

        keyring.begin(ring, make, now)
    waiting = (ring / keyring.NEXT / FILE).read_bytes()
    if module is not None and _secret(waiting).strip() != module.encode():
        raise keyring.RotationUnderWay
    return _key(suite, waiting)


def _new(node: NodeConfig, purpose: str, suite: Suite, module: str | None, now: datetime) -> str:
    """A key, here or in a hardware module, with a certificate that it signs itself."""
    key: Signer
    if module is None:
        made = crypto.generate(suite)
        key, secret = made, made.pem()
    else:
        key, secret = pkcs11.find(module, suite), module.encode() + b"\n"
    certificate = authority.self_signed(
        key,
        _facts()[1][purpose],
        _subject(node, purpose),
        serial=authority.serial_number(secrets.token_bytes(16)),
        begin=now,
        names=_names(node),
    )
    return _text(secret, (certificate,))


def _subject(node: NodeConfig, purpose: str) -> dict[str, str]:
    """Who it is: RFC 5280 allows 64 characters each."""
    name = node.name.get("en") or next(iter(node.name.values()), node.participant_id)
    return {
        "country_name": _facts()[2][node.jurisdiction],
        "organization_name": name[:64],
        "common_name": f"{node.participant_id[:50]} {purpose}",
    }


def _names(node: NodeConfig) -> authority.Names:
    host = urlsplit(node.url).hostname or ""
    with contextlib.suppress(ValueError):
        return authority.Names(uri=(node.url,), ip=(str(ip_address(host)),))
    return authority.Names(uri=(node.url,), dns=(host,))


def _text(secret: bytes, chain: Sequence[bytes]) -> str:
    return (secret + b"".join(pem.write("CERTIFICATE", der) for der in chain)).decode()


def _secret(text: bytes) -> bytes:
    return text[: text.index(b"-----BEGIN CERTIFICATE")]


def _chain(text: bytes) -> tuple[bytes, ...]:
    return tuple(pem.read_all(text, "CERTIFICATE"))


def _key(suite: Suite, text: bytes) -> Signer:
    secret = _secret(text)
    if secret.startswith(b"pkcs11:"):
        return pkcs11.find(secret.decode().strip(), suite)
    return crypto.load(secret, suite)


def _read(purpose: str, suite: Suite, text: bytes) -> Holding:
    return Holding(purpose, suite, _key(suite, text), _chain(text))


def _body(purpose: str, suite: Suite, chain: Sequence[bytes], how: str) -> dict[str, object]:
    return {
        "purpose": purpose,
        "suite": suite.value,
        "how": how,
        "certificate_sha256": crypto.digest("sha256", chain[0]).hex(),
    }


# ------------------------------------------------------------------------------------------------- what is imported


def _examined(
    chain: Sequence[bytes], purpose: str, public: frozenset[bytes], now: datetime
) -> tuple[bytes, ...]:
    """The chain without its anchor, if it is one of a key of ours and for this purpose. Raises :class:`BadChain`."""
    if not 1 <= len(chain) <= LONGEST_CHAIN:
        raise BadChain(reason="no-certificates")
    try:
        read = [asn1.Certificate.load(der, strict=True) for der in chain]
        if x509.public_of(read[0]) not in public:
            raise BadChain(reason="other-key")
        for below, above in itertools.pairwise(read):
            if below.issuer != above.subject or not x509.signed_by(below, x509.public_of(above)):
                raise BadChain(reason="broken")
        for certificate in read:
            if not certificate.not_valid_before <= now <= certificate.not_valid_after:
                raise BadChain(reason="not-valid-now")
        profile = authority.profiles()[_facts()[1][purpose]]
        usage = read[0].key_usage_value
        extended = read[0].extended_key_usage_value
        uses = {use.dotted for use in extended} if extended is not None else set()
        if usage is not None and "digital_signature" not in usage.native:
            raise BadChain(reason="wrong-use")
        # RFC 3161 2.3: for timestamps alone, and critical; for the rest CAs have their own ways
        if profile.critical and (
            uses != set(profile.extended) or "extended_key_usage" not in read[0].critical_extensions
        ):
            raise BadChain(reason="wrong-use")
    except (*x509.MALFORMED, crypto.BadKey, crypto.UnknownAlgorithm):
        raise BadChain(reason="unreadable") from None
    top = read[-1]
    return tuple(chain[:-1] if len(chain) > 1 and top.subject == top.issuer else chain)
