"""A timestamp service of somebody else, asked over HTTP (RFC 3161, section 3.4)."""

from __future__ import annotations

import hmac
import secrets
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from asn1crypto import cms as asn1
from asn1crypto import core, tsp

from wantong.border.trust.certificates import certificate as certificates
from wantong.border.trust.signatures import cms
from wantong.border.trust.signatures.signing import Stamper
from wantong.ground.http.fetch import FetchFailed, shared
from wantong.ground.http.reach import EVERYWHERE, Reach
from wantong.ground.problems import Problem

LONGEST: Final = 256 * 1024
SECONDS: Final = 15.0


class NoStamp(Problem):
    """The service at ``host`` gave no usable timestamp: ``reason`` is a code of the messages ``signatures.unstamped``.

    ``answered`` is what the service itself answered, where it is that: of HTTP, or the failure by RFC 3161's name.
    """

    slug = "signatures-no-stamp"
    status = 502
    CODES = {"reason": "signatures.unstamped"}  # noqa: RUF012 - a class attribute of the base


class _Response(core.Sequence):  # type: ignore[misc]
    """TimeStampResp, RFC 3161 2.4.2. asn1crypto's own cannot read one that refuses: the token is optional."""

    _fields: ClassVar = [
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", asn1.ContentInfo, {"optional": True}),
    ]


def over_http(url: str, reach: Reach = EVERYWHERE, *, seconds: float = SECONDS) -> Stamper:
    """A stamper that asks the service at ``url`` and waits so many ``seconds``. It raises :class:`NoStamp`."""
    host = urlsplit(url).netloc

    def stamp(hashed: str, value: bytes) -> bytes:
        asked, nonce = question(hashed, value)
        headers = {"Content-Type": "application/timestamp-query"}
        try:
            reply = shared(reach).request(
                "POST", url, headers=headers, content=asked, limit=LONGEST, deadline=seconds
            )
        except FetchFailed as error:
            raise NoStamp(host=host, reason=error.reason) from None
        if reply.status != 200:
            raise NoStamp(host=host, reason="http", answered=str(reply.status))
        return token(reply.body, hashed, value, nonce, host)

    return stamp


def question(hashed: str, value: bytes) -> tuple[bytes, int]:
    """A request for a timestamp over a hash of that name (DER), and the number that the answer must repeat."""
    nonce = secrets.randbits(64)
    der: bytes = tsp.TimeStampReq(
        {
            "version": "v1",
            "message_imprint": {"hash_algorithm": {"algorithm": hashed}, "hashed_message": value},
            "nonce": nonce,
            "cert_req": True,
        }
    ).dump()
    return der, nonce


def token(answer: bytes, hashed: str, value: bytes, nonce: int, host: str) -> bytes:
    """The token in an answer (DER), if it is the answer to this very question; what is wrong with it now cannot be mended later.

    An answer that was ``grantedWithMods`` is judged by what it says all the same. Raises :class:`NoStamp`.
    """
    try:
        response = _Response.load(answer, strict=True)
        status = response["status"]["status"].native
        if status not in ("granted", "granted_with_mods"):
            failed = response["status"]["fail_info"].native
            raise NoStamp(host=host, reason="refused", answered=", ".join(sorted(failed or (status,))))
        found: bytes = response["time_stamp_token"].dump()
        told = cms.read(found, None, expected="tst_info")
        if told.info is None:
            raise NoStamp(host=host, reason="unreadable")
        reason = _unfit(told, hashed, value, nonce) if told.intact else "broken"
    except (ValueError, TypeError, KeyError, AttributeError):
        raise NoStamp(host=host, reason="unreadable") from None
    if reason:
        raise NoStamp(host=host, reason=reason)
    return found


def _unfit(told: cms.Read, hashed: str, value: bytes, nonce: int) -> str:
    """Why an intact token is not what was asked for; blank if it is."""
    info: Any = told.signed["encap_content_info"]["content"].parsed
    imprint = info["message_imprint"]
    if imprint["hash_algorithm"]["algorithm"].native != hashed or not hmac.compare_digest(
        imprint["hashed_message"].native, value
    ):
        return "imprint"
    # the number is what shows that the answer is not an old one
    if info["nonce"].native != nonce:
        return "nonce"
    leaf = certificates.read(told.leaf)
    if leaf.purposes != (certificates.TIMESTAMPING,):
        return "purpose"
    if not leaf.not_before <= info["gen_time"].native <= leaf.not_after:
        return "expired"
    return ""
