"""One door for all four forms: :func:`read` what is there, :func:`check` it, :func:`sign`.

What a stranger has sent goes through :mod:`.worker`, which calls these in a process that can be killed. pyHanko takes
longer to load than a JSON signature to check, so it is loaded when the first PDF comes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from wantong.border.trust.signatures import cades, cms, jades, places, xades
from wantong.border.trust.signatures.found import TOPIC, Document, Form, Found
from wantong.border.trust.signatures.jades import Http
from wantong.border.trust.signatures.process import Judged, Trust, judge
from wantong.border.trust.signatures.signing import CannotSign, Order, Signatory
from wantong.border.trust.verdict import Outcome, Refused, Step, Steps, Unsure, Verdict

Packaging = Literal["", "compact", "flattened", "general", "enveloped", "enveloping", "detached"]


@dataclass(frozen=True)
class Checked:
    """What came of a document: the verdict on the whole, and on each signature in it.

    ``digest`` is the SHA-256 of the file that was checked, in hex.
    """

    name: str
    digest: str
    form: Form | None
    verdict: Verdict
    signatures: tuple[Judged, ...] = ()

    def to_dict(self, lang: str | None = None) -> dict[str, Any]:
        """As JSON; with ``lang`` in words too."""
        return {
            "name": self.name,
            "sha256": self.digest,
            "form": self.form and self.form.value,
            "verdict": self.verdict.to_dict(lang),
            "signatures": [judged.to_dict(lang) for judged in self.signatures],
        }


def read(
    document: Document, beside: Sequence[Document] = (), http: Http | None = None
) -> tuple[Form, tuple[Found, ...]]:
    """The form of a signed document and every signature in it.

    ``beside`` is what a detached signature may speak of. Raises :class:`Refused` if it is signed in no known form.
    """
    content = document.content
    try:
        # first of all: a CMS may hold a PDF, whose header then stands near its beginning
        if cms.looks_like(content):
            return Form.CADES, cades.read(content, beside, name=document.name)
        if looks_like_pdf(content):
            from wantong.border.trust.signatures import pades

            return Form.PADES, pades.read(content)
        if jades.looks_like(content):
            return Form.JADES, jades.read(content, beside, http)
        if xades.looks_like(content):
            return Form.XADES, xades.read(content, beside)
    except (Refused, MemoryError):
        raise
    except Exception as error:
        # the readers know the usual faults; what else a hostile file makes a library raise proves nothing either
        raise Refused("reader-failed", indication="FORMAT_FAILURE", kind=type(error).__name__) from error
    raise Refused("form-unknown", indication="FORMAT_FAILURE")


def looks_like_pdf(content: bytes) -> bool:
    """Whether ``content`` may be a PDF (its header stands within the first kilobyte)."""
    return b"%PDF-" in content[:1024]


def check(
    document: Document,
    trust: Trust,
    now: datetime,
    *,
    beside: Sequence[Document] = (),
    http: Http | None = None,
    place: str = "",
) -> Checked:
    """Read and judge, here and now; ``place`` (``gd``, ``hk``, ``mo``) is where the document is to be relied upon."""
    try:
        form, found = read(document, beside, http)
    except Refused as error:
        return unreadable(document, error, now)
    return judged(document, form, found, trust, now, place=place)


def judged(
    document: Document, form: Form, found: Sequence[Found], trust: Trust, now: datetime, *, place: str = ""
) -> Checked:
    """The verdicts on signatures that have been read."""
    each = tuple(judge(one, trust, now) for one in found)
    digest = hashlib.sha256(document.content).hexdigest()
    return Checked(document.name, digest, form, overall(each, now, place), each)


def unreadable(document: Document, why: Refused, now: datetime) -> Checked:
    """The verdict on something in which no signature could be looked for."""
    steps = Steps(TOPIC)
    with steps.take("document", document.name, go_on=True):
        raise why
    digest = hashlib.sha256(document.content).hexdigest()
    return Checked(document.name, digest, None, steps.verdict(now))


def overall(signatures: Sequence[Judged], now: datetime, place: str = "") -> Verdict:
    """On the document: passed if all its signatures are.

    Where it is to be relied upon in a ``place``, one that the place accepts must be among the good ones, and those that
    it has no use for are not in the way.
    """
    steps = Steps(TOPIC)
    with steps.take("signed", len(signatures), go_on=True):
        if not signatures:
            raise Unsure("no-signature", indication="SIGNED_DATA_NOT_FOUND")
    accepted = [
        one
        for one in signatures
        if not place or (places.accepts(place, one.found.used) and not one.found.countersigns)
    ]
    for one in signatures:
        outcome: Outcome = one.verdict.outcome
        if one not in accepted and outcome == "indeterminate":
            continue
        code = {"failed": "one-failed", "indeterminate": "one-open"}.get(outcome, "")
        about = one.signer.name or one.found.name
        steps.taken.append(Step(TOPIC, "each", outcome, about, code, {}, one.verdict.indication))
    if place and signatures:
        with steps.take("place", place, go_on=True):
            if not any(one.verdict.passed for one in accepted):
                raise Unsure("place-not-served", indication="CUSTOM", wanted=", ".join(places.wanted(place)))
    return steps.verdict(now)


def sign(
    documents: Sequence[Document],
    form: Form,
    signatories: Sequence[Signatory],
    order: Order,
    *,
    packaging: Packaging = "",
    options: Mapping[str, Any] | None = None,
) -> Document:
    """Sign in one form. ``packaging`` is blank for the usual one; ``options`` go to the form's own ``sign``.

    Raises :class:`CannotSign`.
    """
    given = dict(options or {})
    if not documents:
        raise CannotSign(reason="documents-not-one")
    first = documents[0]
    if form is Form.PADES:
        from wantong.border.trust.signatures import pades

        if len(documents) != 1 or packaging:
            raise CannotSign(reason="packaging")
        return signed_pdf(first, pades.sign(first.content, signatories, order, **given))
    if form is Form.JADES:
        if packaging not in ("", "compact", "flattened", "general", "detached"):
            raise CannotSign(reason="packaging")
        usual: Literal["flattened", "general"] = "flattened" if len(signatories) == 1 else "general"
        if packaging == "detached":
            given.setdefault("detached", "hash")
        serialization = usual if packaging in ("", "detached") else packaging
        made = jades.sign(documents, signatories, order, serialization=serialization, **given)  # type: ignore[arg-type]
        compact = serialization == "compact"
        return Document(
            _named(first.name, "signed", ".jws" if compact else ".json"),
            made,
            "application/jose" if compact else "application/jose+json",
        )
    if form is Form.XADES:
        if packaging not in ("", "enveloped", "enveloping", "detached"):
            raise CannotSign(reason="packaging")
        made = xades.sign(documents, signatories, order, packaging=packaging or "enveloped", **given)
        return Document(_named(first.name, "signed", ".xml"), made, "application/xml")
    if packaging not in ("", "detached", "enveloping"):
        raise CannotSign(reason="packaging")
    made = cades.sign(documents, signatories, order, attached=packaging == "enveloping", **given)
    if packaging == "enveloping":
        return Document(f"{first.name}.p7m", made, "application/pkcs7-mime")
    return Document(f"{first.name}.p7s", made, "application/pkcs7-signature")


def signed_pdf(document: Document, content: bytes) -> Document:
    """``content`` under the name that a signed version of ``document`` has."""
    return Document(_named(document.name, "signed", ".pdf"), content, "application/pdf")


def _named(name: str, word: str, ending: str) -> str:
    stem = name.rpartition(".")[0] or name or word
    return f"{stem}-{word}{ending}"
