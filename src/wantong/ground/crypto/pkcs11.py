"""Private keys in a hardware security module, by PKCS #11: the key never leaves it, the node asks it to sign.

A key is named by a URI (RFC 7512)::

    pkcs11:token=wantong;object=seal?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/wantong/pin

The PIN stands in a file that only the node's user can read, never in the URI, and is neither kept nor logged. A PIN
that the module has refused is not tried again before the file has changed: modules lock after a few.

Hashing is done here, so that a large document does not travel to the module. One session a token and process, used by
one thread at a time; a session that has died is opened again once. Needs the extra ``hsm`` (python-pkcs11).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Final
from urllib.parse import unquote, unquote_to_bytes

from asn1crypto import core, keys

from wantong.ground.crypto.keys import suite_of
from wantong.ground.crypto.suites import BadKey, Suite, digest
from wantong.ground.problems import Problem

LONGEST_URI: Final = 1000

# DigestInfo of SHA-256 up to the digest (RFC 8017 9.2, note 1)
_DIGEST_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420")


class HardwareRefuses(Problem):
    """A key in a hardware module cannot be used. ``reason`` is a code of ``hsm``; ``about`` says what of, never a PIN."""

    slug = "hsm-refuses"
    status = 503
    CODES: ClassVar = {"reason": "hsm"}


@dataclass(frozen=True)
class Address:
    """Where a key lies: the parts of a URI that are looked at."""

    module: str
    pin: Path
    token: str | None = None
    serial: str | None = None
    label: str | None = None
    id: bytes | None = None


def parse(uri: str) -> Address:
    """Read a PKCS #11 URI. Raises :class:`HardwareRefuses` for what cannot name one key."""
    found = re.fullmatch(r"pkcs11:([^?]*)(?:\?(.*))?", uri) if len(uri) <= LONGEST_URI else None
    if found is None:
        raise HardwareRefuses(reason="bad-address", about="pkcs11:")
    path, query = _parts(found[1], ";"), _parts(found[2] or "", "&")
    if "pin-value" in query:
        raise HardwareRefuses(reason="pin-in-address", about="pin-value")
    unknown = (path.keys() - {"token", "serial", "manufacturer", "model", "object", "id", "type"}) | (
        query.keys() - {"module-path", "pin-source"}
    )
    if unknown:
        raise HardwareRefuses(reason="bad-address", about=", ".join(sorted(unknown))[:100])
    source = unquote(query.get("pin-source", ""))
    source = re.sub(r"^file:(//)?", "", source)
    named = "object" in path or "id" in path
    where = "token" in path or "serial" in path
    if (
        not named
        or not where
        or not source.startswith("/")
        or not query.get("module-path", "").startswith("/")
    ):
        raise HardwareRefuses(reason="bad-address", about="token, object, module-path, pin-source")
    return Address(
        module=unquote(query["module-path"]),
        pin=Path(source),
        token=unquote(path["token"]) if "token" in path else None,
        serial=unquote(path["serial"]) if "serial" in path else None,
        label=unquote(path["object"]) if "object" in path else None,
        id=unquote_to_bytes(path["id"]) if "id" in path else None,
    )


def _parts(text: str, separator: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split(separator)):
        name, equals, value = part.partition("=")
        if not equals or name in found:
            raise HardwareRefuses(reason="bad-address", about=name[:40])
        found[name] = value
    return found


@dataclass(frozen=True)
class HardwareKey:
    """A private key in a module: a :class:`~wantong.ground.crypto.Signer`. Made by :func:`find`."""

    suite: Suite
    public: bytes
    _address: Address = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """The signature over ``message``, as JOSE writes it. Raises :class:`HardwareRefuses`."""
        library = _library()
        mechanism = library.Mechanism
        hashed = digest(self.suite.hash, message)
        data, how = {
            Suite.ES256: (hashed, {"mechanism": mechanism.ECDSA}),
            Suite.ES384: (hashed, {"mechanism": mechanism.ECDSA}),
            Suite.Ed25519: (message, {"mechanism": mechanism.EDDSA}),
            Suite.RS256: (_DIGEST_INFO + hashed, {"mechanism": mechanism.RSA_PKCS}),
            Suite.PS256: (
                hashed,
                {
                    "mechanism": mechanism.RSA_PKCS_PSS,
                    "mechanism_param": (mechanism.SHA256, library.MGF.SHA256, 32),
                },
            ),
        }[self.suite]
        signature: bytes = _ask(
            self._address, lambda session: _private(session, self._address).sign(data, **how)
        )
        return signature


def find(uri: str, suite: Suite | None = None) -> HardwareKey:
    """The key at ``uri``; an RSA key signs ``RS256`` unless ``suite`` says ``PS256``.

    Raises :class:`HardwareRefuses`; :class:`~.suites.BadKey` if the key is not of ``suite``, or of none that such
    modules have (SM2 is not in PKCS #11: each maker has its own).
    """
    address = parse(uri)
    public = _ask(address, lambda session: _public(session, address))
    found = suite_of(public)
    if suite is not None and suite is not found:
        if (found, suite) != (Suite.RS256, Suite.PS256):
            raise BadKey(reason="other-suite", found=found, suite=suite)
        found = suite
    if found is Suite.SM2SM3:
        raise BadKey(reason="sm2-in-module")
    return HardwareKey(found, public, address)


# ------------------------------------------------------------------------------------------------------- the module


def _library() -> ModuleType:
    try:
        return importlib.import_module("pkcs11")
    except ImportError:
        raise HardwareRefuses(reason="no-client", about="python-pkcs11") from None


_lock = threading.RLock()
_open: dict[tuple[int, str, str | None, str | None], Any] = {}
_refused: dict[Path, int] = {}


def _ask(address: Address, work: Callable[[Any], Any]) -> Any:
    """Do ``work`` in the session of the token, opened if there is none; once more in a new one if it has died."""
    library = _library()
    dead = (
        library.SessionHandleInvalid,
        library.SessionClosed,
        library.DeviceRemoved,
        library.DeviceError,
        library.GeneralError,
        library.TokenNotPresent,
        library.UserNotLoggedIn,
    )
    with _lock:
        for again in (True, False):
            try:
                return work(_session(library, address))
            except dead as error:
                _forget(address)
                if not again:
                    raise HardwareRefuses(reason="gone", about=type(error).__name__) from None
            except library.PKCS11Error as error:
                raise HardwareRefuses(reason="refused", about=type(error).__name__) from None
    raise AssertionError


def _session(library: ModuleType, address: Address) -> Any:
    # a forked child has none of its parent's sessions
    place = (os.getpid(), address.module, address.token, address.serial)
    if place in _open:
        return _open[place]
    if not Path(address.module).is_file():
        raise HardwareRefuses(reason="no-module", about=address.module)
    pin = _pin(address.pin)
    try:
        module = library.lib(address.module)
        if not any(pid == place[0] and path == address.module for pid, path, *_ in _open):
            module.reinitialize()
    except (RuntimeError, OSError, library.PKCS11Error) as error:
        raise HardwareRefuses(reason="no-module", about=f"{address.module}: {type(error).__name__}") from None
    try:
        token = module.get_token(token_label=address.token, token_serial=address.serial)
    except (library.NoSuchToken, library.MultipleTokensReturned):
        raise HardwareRefuses(reason="no-token", about=address.token or address.serial or "") from None
    try:
        session = token.open(user_pin=pin)
    except (
        library.PinIncorrect,
        library.PinInvalid,
        library.PinLenRange,
        library.PinLocked,
        library.PinExpired,
    ) as error:
        _refused[address.pin] = address.pin.stat().st_mtime_ns
        raise HardwareRefuses(reason="pin-refused", about=type(error).__name__) from None
    _open[place] = session
    return session


def _forget(address: Address) -> None:
    """Every session with the module is let go of: it is started anew by the next."""
    for place in [place for place in _open if place[1] == address.module]:
        del _open[place]


def _pin(file: Path) -> str:
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
            raise HardwareRefuses(reason="pin-exposed", about=str(file))
        if _refused.get(file) == found.st_mtime_ns:
            raise HardwareRefuses(reason="pin-refused", about=str(file))
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise HardwareRefuses(reason="no-pin", about=str(file)) from None


def _sought(address: Address) -> Mapping[str, Any]:
    return {
        name: value for name, value in (("label", address.label), ("id", address.id)) if value is not None
    }


def _private(session: Any, address: Address) -> Any:
    return _one(session, address, _library().ObjectClass.PRIVATE_KEY)


def _one(session: Any, address: Address, kind: Any) -> Any:
    library = _library()
    try:
        return session.get_key(object_class=kind, **_sought(address))
    except library.NoSuchKey:
        raise HardwareRefuses(reason="no-key", about=address.label or (address.id or b"").hex()) from None
    except library.MultipleObjectsReturned:
        raise HardwareRefuses(reason="many-keys", about=address.label or (address.id or b"").hex()) from None


def _public(session: Any, address: Address) -> bytes:
    """The SubjectPublicKeyInfo of the public half, which must lie beside the private one."""
    library = _library()
    attribute, kinds = library.Attribute, library.KeyType
    _private(session, address)
    key = _one(session, address, library.ObjectClass.PUBLIC_KEY)
    if key.key_type == kinds.RSA:
        numbers = keys.RSAPublicKey(
            {
                "modulus": int.from_bytes(key[attribute.MODULUS]),
                "public_exponent": int.from_bytes(key[attribute.PUBLIC_EXPONENT]),
            }
        )
        return bytes(keys.PublicKeyInfo.wrap(numbers, "rsa").dump())
    if key.key_type not in (kinds.EC, kinds.EC_EDWARDS):
        raise BadKey(reason="kind", kind=key.key_type.name)
    point = key[attribute.EC_POINT]
    # some modules give the point as it is
    with contextlib.suppress(ValueError):
        point = bytes(core.OctetString.load(point, strict=True))
    if key.key_type == kinds.EC_EDWARDS:
        return bytes(keys.PublicKeyInfo({"algorithm": {"algorithm": "ed25519"}, "public_key": point}).dump())
    curve = keys.ECDomainParameters.load(key[attribute.EC_PARAMS])
    return bytes(
        keys.PublicKeyInfo(
            {"algorithm": {"algorithm": "ec", "parameters": curve}, "public_key": point}
        ).dump()
    )
