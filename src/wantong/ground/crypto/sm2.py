"""SM2 signatures over SM3 (GB/T 32918.2), by the system's libcrypto: ``cryptography`` is built without the curve.

Keys come as the standards put them down: SubjectPublicKeyInfo and PKCS #8, both DER. Signatures are ``r ‖ s``, 32 bytes
each. Everything may be called from many threads; the interpreter's lock is released while libcrypto works.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_long, c_size_t, c_void_p
from functools import cache, lru_cache
from typing import Any, ClassVar, Final

from wantong.ground.crypto.pairs import to_der, to_raw
from wantong.ground.crypto.suites import BadKey
from wantong.ground.problems import Problem

IDENTIFIER: Final = b"1234567812345678"
"""The signer's distinguishing identifier where nothing else is agreed (GM/T 0009, GM/T 0015)."""

POINT: Final = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
"""What a SubjectPublicKeyInfo of an SM2 key begins with; the coordinates x and y follow."""

SIZE: Final = 32
NAMES: Final = ("libcrypto.so.3", "libcrypto.so.4", "libcrypto.3.dylib")


class Sm2Missing(Problem):
    """The system's libcrypto is not there, or can do no SM2: ``reason``, a stable code."""

    slug = "sm2-missing"
    status = 501
    CODES: ClassVar[Mapping[str, str]] = {"reason": "crypto.sm2-missing"}


def is_key(public: bytes) -> bool:
    """Whether a SubjectPublicKeyInfo is that of an SM2 key, its point written out in full."""
    return len(public) == len(POINT) + 2 * SIZE and public.startswith(POINT)


def available() -> bool:
    """Whether this machine can sign and verify with SM2."""
    try:
        library()
    except Sm2Missing:
        return False
    return True


class PrivateKey:
    """An SM2 private key. ``public`` is its SubjectPublicKeyInfo."""

    def __init__(self, pkcs8: bytes) -> None:
        """Raises :class:`BadKey`, :class:`Sm2Missing`."""
        self._pkcs8 = pkcs8
        self._key = library().private(pkcs8)
        self.public = self._key.public()

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new key. Raises :class:`Sm2Missing`."""
        return cls(library().generate())

    def sign(self, message: bytes, identifier: bytes = IDENTIFIER) -> bytes:
        """``r ‖ s`` over ``message``."""
        return to_raw(library().sign(self._key, message, identifier), SIZE)

    def pkcs8(self) -> bytes:
        """PrivateKeyInfo (RFC 5208), DER."""
        return self._pkcs8


def verify(public: bytes, message: bytes, signature: bytes, identifier: bytes = IDENTIFIER) -> bool:
    """Whether ``signature`` (``r ‖ s``) over ``message`` is that of the key ``public``. Raises BadKey, Sm2Missing."""
    key = _public(public)
    if len(signature) != 2 * SIZE:
        return False
    return library().verify(key, message, to_der(signature), identifier)


@lru_cache(maxsize=1024)
def _public(public: bytes) -> _Key:
    if not is_key(public):
        raise BadKey(reason="not-sm2")
    return library().public(public)


@cache
def library() -> Library:
    """The system's libcrypto. Raises :class:`Sm2Missing`."""
    return Library.open(NAMES)


# what is called: the result, then the arguments. Pointers to libcrypto's own structures are opaque.
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "ERR_clear_error": (None, ()),
    "EVP_DigestSign": (c_int, (c_void_p, c_void_p, POINTER(c_size_t), c_char_p, c_size_t)),
    "EVP_DigestSignInit_ex": (
        c_int,
        (c_void_p, POINTER(c_void_p), c_char_p, c_void_p, c_char_p, c_void_p, c_void_p),
    ),
    "EVP_DigestVerify": (c_int, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t)),
    "EVP_DigestVerifyInit_ex": (
        c_int,
        (c_void_p, POINTER(c_void_p), c_char_p, c_void_p, c_char_p, c_void_p, c_void_p),
    ),
    "EVP_MD_CTX_free": (None, (c_void_p,)),
    "EVP_MD_CTX_new": (c_void_p, ()),
    "EVP_PKEY2PKCS8": (c_void_p, (c_void_p,)),
    "EVP_PKEY_CTX_free": (None, (c_void_p,)),
    "EVP_PKEY_CTX_new_from_name": (c_void_p, (c_void_p, c_char_p, c_char_p)),
    "EVP_PKEY_CTX_set1_id": (c_int, (c_void_p, c_char_p, c_int)),
    "EVP_PKEY_CTX_new_from_pkey": (c_void_p, (c_void_p, c_void_p, c_char_p)),
    "EVP_PKEY_check": (c_int, (c_void_p,)),
    "EVP_PKEY_free": (None, (c_void_p,)),
    "EVP_PKEY_generate": (c_int, (c_void_p, POINTER(c_void_p))),
    "EVP_PKEY_is_a": (c_int, (c_void_p, c_char_p)),
    "EVP_PKEY_keygen_init": (c_int, (c_void_p,)),
    "PKCS8_PRIV_KEY_INFO_free": (None, (c_void_p,)),
    "d2i_AutoPrivateKey": (c_void_p, (c_void_p, POINTER(c_void_p), c_long)),
    "d2i_PUBKEY": (c_void_p, (c_void_p, POINTER(c_void_p), c_long)),
    "i2d_PKCS8_PRIV_KEY_INFO": (c_int, (c_void_p, POINTER(c_void_p))),
    "i2d_PUBKEY": (c_int, (c_void_p, POINTER(c_void_p))),
}


class _Key:
    """An ``EVP_PKEY`` that is freed with the last Python reference to it."""

    def __init__(self, calls: ctypes.CDLL, pointer: int) -> None:
        self._calls = calls
        self.pointer = pointer

    def public(self) -> bytes:
        return _written(self._calls.i2d_PUBKEY, self.pointer)

    def __del__(self) -> None:
        self._calls.EVP_PKEY_free(self.pointer)


class Library:
    """The calls into libcrypto. Each frees what it takes, and leaves no errors behind in the thread's queue."""

    def __init__(self, calls: ctypes.CDLL) -> None:
        self._calls = calls

    @classmethod
    def open(cls, names: tuple[str, ...]) -> Library:
        """The first of ``names`` that is there and knows SM2 and SM3. Raises :class:`Sm2Missing`."""
        missing = Sm2Missing(reason="no-library", names=", ".join(names))
        for name in names:
            try:
                calls = ctypes.CDLL(name)
            except OSError:
                continue
            try:
                for function, (result, arguments) in _SIGNATURES.items():
                    getattr(calls, function).restype = result
                    getattr(calls, function).argtypes = arguments
            except AttributeError as error:
                missing = Sm2Missing(reason="old-library", library=name, told=f"{error}"[:200])
                continue
            found = cls(calls)
            try:
                key = found.private(found.generate())
                found.sign(key, b"", IDENTIFIER)
            except (BadKey, Sm2Missing):
                missing = Sm2Missing(reason="no-sm2", library=name)
                continue
            return found
        raise missing

    def private(self, pkcs8: bytes) -> _Key:
        """The key in a PrivateKeyInfo, whose halves must belong together. Raises BadKey."""
        key = self._read(self._calls.d2i_AutoPrivateKey, pkcs8)
        context = self._calls.EVP_PKEY_CTX_new_from_pkey(None, key.pointer, None)
        try:
            if not context or self._calls.EVP_PKEY_check(context) != 1:
                raise BadKey(reason="not-sm2")
        finally:
            self._calls.EVP_PKEY_CTX_free(context)
            self._calls.ERR_clear_error()
        return key

    def public(self, spki: bytes) -> _Key:
        """The key in a SubjectPublicKeyInfo, a point of the curve. Raises BadKey."""
        return self._read(self._calls.d2i_PUBKEY, spki)

    def generate(self) -> bytes:
        """A new private key as PrivateKeyInfo. Raises Sm2Missing."""
        context = self._calls.EVP_PKEY_CTX_new_from_name(None, b"SM2", None)
        made = c_void_p()
        try:
            if (
                not context
                or self._calls.EVP_PKEY_keygen_init(context) != 1
                or self._calls.EVP_PKEY_generate(context, byref(made)) != 1
                or made.value is None
            ):
                raise Sm2Missing(reason="refused", call="EVP_PKEY_generate")
        finally:
            self._calls.EVP_PKEY_CTX_free(context)
            self._calls.ERR_clear_error()
        key = _Key(self._calls, made.value)
        information = self._calls.EVP_PKEY2PKCS8(key.pointer)
        try:
            return _written(self._calls.i2d_PKCS8_PRIV_KEY_INFO, information)
        finally:
            self._calls.PKCS8_PRIV_KEY_INFO_free(information)
            self._calls.ERR_clear_error()

    def sign(self, key: _Key, message: bytes, identifier: bytes) -> bytes:
        """The signature as a DER sequence."""
        context = self._calls.EVP_MD_CTX_new()
        # r and s with their signs and headers take at most 72 bytes
        room = (c_char * 80)()
        length = c_size_t(len(room))
        try:
            self._begin(self._calls.EVP_DigestSignInit_ex, context, key, identifier)
            if self._calls.EVP_DigestSign(context, room, byref(length), message, len(message)) != 1:
                raise Sm2Missing(reason="refused", call="EVP_DigestSign")
        finally:
            self._calls.EVP_MD_CTX_free(context)
            self._calls.ERR_clear_error()
        return room.raw[: length.value]

    def verify(self, key: _Key, message: bytes, signature: bytes, identifier: bytes) -> bool:
        """Whether the DER sequence ``signature`` is good."""
        context = self._calls.EVP_MD_CTX_new()
        try:
            self._begin(self._calls.EVP_DigestVerifyInit_ex, context, key, identifier)
            good: int = self._calls.EVP_DigestVerify(
                context, signature, len(signature), message, len(message)
            )
            return good == 1
        finally:
            self._calls.EVP_MD_CTX_free(context)
            self._calls.ERR_clear_error()

    def _begin(self, start: Callable[..., int], context: int, key: _Key, identifier: bytes) -> None:
        # the identifier is told after the start: libcrypto 3.0 refuses it among the parameters of the start
        of_key = c_void_p()
        if (
            start(context, byref(of_key), b"SM3", None, None, key.pointer, None) != 1
            or self._calls.EVP_PKEY_CTX_set1_id(of_key, identifier, len(identifier)) != 1
        ):
            raise Sm2Missing(reason="refused", call=start.__name__)

    def _read(self, reader: Callable[..., int | None], der: bytes) -> _Key:
        buffer = ctypes.create_string_buffer(der, len(der))
        start = ctypes.cast(buffer, c_void_p).value
        at = c_void_p(start)
        pointer = reader(None, byref(at), len(der))
        self._calls.ERR_clear_error()
        if not pointer:
            raise BadKey(reason="not-sm2")
        key = _Key(self._calls, pointer)
        if at.value != (start or 0) + len(der) or self._calls.EVP_PKEY_is_a(pointer, b"SM2") != 1:
            raise BadKey(reason="not-sm2")
        return key


def _written(writer: Callable[..., int], pointer: int) -> bytes:
    """What an ``i2d`` function writes."""
    length = writer(pointer, None)
    if length <= 0:
        raise Sm2Missing(reason="refused", call=writer.__name__)
    room = (c_char * length)()
    writer(pointer, byref(ctypes.cast(room, c_void_p)))
    return room.raw
