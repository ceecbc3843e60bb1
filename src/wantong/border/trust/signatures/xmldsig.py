"""XML Signature (W3C, second edition) as far as it is safe to follow: parsing, canonical form, references.

A reference may carry a little program (XPath, XSLT) that decides what was signed. Followed are the transforms whose
result a person can be told: leaving signatures out, canonical forms, base64. Others make the verdict *indeterminate*.
An element is found by its identifier only if no other bears the same, so that nothing can be wrapped around it; and
there is no document type, from which entities, default attributes and identifiers of its own making could come.
"""

from __future__ import annotations

import base64
import binascii
import copy
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from lxml import etree

from wantong.border.trust.signatures import primitives
from wantong.border.trust.signatures.found import Document
from wantong.border.trust.verdict import Refused, Unsure

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
XML: Final = "http://www.w3.org/XML/1998/namespace"
ENVELOPED: Final = f"{DS}enveloped-signature"
BASE64: Final = f"{DS}base64"
XPATH: Final = "http://www.w3.org/TR/1999/REC-xpath-19991116"
FILTER2: Final = "http://www.w3.org/2002/06/xmldsig-filter2"
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE: Final = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
INCLUSIVE_11: Final = "http://www.w3.org/2006/12/xml-c14n11"
CANONICAL: Final = frozenset(
    f"{name}{comments}"
    for name, comments in (
        *((EXCLUSIVE, end) for end in ("", "WithComments")),
        *((name, end) for name in (INCLUSIVE, INCLUSIVE_11) for end in ("", "#WithComments")),
    )
)
NO_SIGNATURES: Final = re.compile(r"\s*not\s*\(\s*ancestor-or-self::(\w+):Signature\s*\)\s*")
"""The one XPath program that is followed: everything but signatures, so that several can stand side by side."""
ALL_SIGNATURES: Final = re.compile(r"\s*/?(?:/|descendant::|/descendant::)(\w+):Signature\s*")
IDENTIFIERS: Final = ("Id", "ID", "id", f"{{{XML}}}id")
MOST_REFERENCES: Final = 1000
MOST_TRANSFORMS: Final = 8

DIGESTS: Final[Mapping[str, str]] = {
    f"{DS}sha1": "sha1",
    "http://www.w3.org/2001/04/xmldsig-more#md5": "md5",
    "http://www.w3.org/2001/04/xmldsig-more#sha224": "sha224",
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
    "http://www.w3.org/2001/04/xmlenc#ripemd160": "ripemd160",
    **{
        f"http://www.w3.org/2007/05/xmldsig-more#sha3-{size}": f"sha3_{size}" for size in (224, 256, 384, 512)
    },
    # no other name is registered: an object identifier as a URN (RFC 3061)
    "urn:oid:1.2.156.10197.1.401": "sm3",
}
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_MORE_2007 = "http://www.w3.org/2007/05/xmldsig-more#"
ALGORITHMS: Final[Mapping[str, tuple[str, str]]] = {
    f"{DS}rsa-sha1": ("rsa", "sha1"),
    f"{DS}dsa-sha1": ("dsa", "sha1"),
    "http://www.w3.org/2009/xmldsig11#dsa-sha256": ("dsa", "sha256"),
    f"{_MORE}rsa-md5": ("rsa", "md5"),
    **{f"{_MORE}rsa-sha{size}": ("rsa", f"sha{size}") for size in (224, 256, 384, 512)},
    **{f"{_MORE}ecdsa-sha{size}": ("ecdsa", f"sha{size}") for size in (1, 224, 256, 384, 512)},
    **{f"{_MORE_2007}sha{size}-rsa-MGF1": ("rsa-pss", f"sha{size}") for size in (1, 224, 256, 384, 512)},
    "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519": ("ed25519", ""),
    "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed448": ("ed448", ""),
    "urn:oid:1.2.156.10197.1.501": ("sm2", "sm3"),
}
"""Names of RFC 9231 as kind of key and hash."""


def ds(name: str) -> str:
    """The name of an element of XML Signature."""
    return f"{{{DS}}}{name}"


def parse(content: bytes) -> Any:
    """The tree of an XML document without a document type. Raises :class:`Refused`."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _bad(str(error)) from None
    if root.getroottree().docinfo.doctype or root.getroottree().docinfo.internalDTD is not None:
        raise _bad("DOCTYPE")
    return root


def _bad(reason: str) -> Refused:
    return Refused("form-xml", indication="FORMAT_FAILURE", reason=reason)


def canonical(element: Any, method: str, prefixes: Sequence[str] = ()) -> bytes:
    """The canonical form of an element with all below it, in the context in which it stands.

    Raises :class:`Unsure` for a method that is not known here.
    """
    if method not in CANONICAL:
        raise unknown(method)
    exclusive = method.startswith(EXCLUSIVE)
    borrowed = [] if exclusive else _inherit(element, method)
    try:
        # as a document of its own: lxml canonicalises a part of one with `xmlns=""` strewn over it where the default
        # namespace is declared above
        alone = parse(etree.tostring(element, encoding="UTF-8", with_tail=False))
    finally:
        for name in borrowed:
            del element.attrib[name]
    data: bytes = etree.tostring(
        alone.getroottree(),
        method="c14n",
        exclusive=exclusive,
        with_comments=method.endswith("WithComments"),
        inclusive_ns_prefixes=list(prefixes) if exclusive and prefixes else None,
    )
    return data


def _inherit(element: Any, method: str) -> list[str]:
    """Set on ``element`` the attributes of ``xml:`` that the inclusive forms take from its ancestors; their names."""
    borrowed = []
    for ancestor in element.iterancestors():
        for name, value in ancestor.attrib.items():
            if not name.startswith(f"{{{XML}}}") or name in element.attrib:
                continue
            if method.startswith(INCLUSIVE_11):
                if name == f"{{{XML}}}id":
                    continue
                if name == f"{{{XML}}}base":
                    raise unknown("xml:base")
            element.set(name, value)
            borrowed.append(name)
    return borrowed


def unknown(name: object) -> Unsure:
    """What is said of a transform that is not followed."""
    return Unsure("transform-unknown", indication="SIGNED_DATA_NOT_FOUND", name=name)


def text(element: Any, path: str) -> str:
    """The text of an element below, without blanks. Raises :class:`Refused` if it is not there."""
    found = element.find(path)
    if found is None or not found.text:
        raise _bad(path.rpartition("}")[2])
    return "".join(found.text.split())


def unbase64(value: str) -> bytes:
    """Raises :class:`Refused`."""
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (ValueError, binascii.Error):
        raise _bad("base64") from None


@dataclass(frozen=True)
class Reference:
    """What one reference came to. ``data`` is what was hashed; ``target`` the element, None for a file beside.

    ``whole`` says that it covers the whole of the document, or of the file.
    """

    element: Any
    uri: str | None
    kind: str
    hashed: str
    data: bytes
    target: Any
    whole: bool
    part: str


class Signature:
    """One ``ds:Signature`` in a tree; ``beside`` are the files that it may speak of."""

    def __init__(self, element: Any, beside: Sequence[Document] = ()) -> None:
        self.element = element
        self.root = element.getroottree().getroot()
        self.beside = beside

    @property
    def info(self) -> Any:
        found = self.element.findall(ds("SignedInfo"))
        if len(found) != 1:
            raise _bad("SignedInfo")
        return found[0]

    @property
    def value(self) -> bytes:
        return unbase64(text(self.element, ds("SignatureValue")))

    @property
    def algorithm(self) -> tuple[str, str]:
        """Kind of key and hash. Raises :class:`Refused`."""
        name = self._method(ds("SignatureMethod"))
        if name not in ALGORITHMS:
            raise primitives.unknown(name)
        return ALGORITHMS[name]

    def signed(self) -> bytes:
        """The bytes that the signature is over."""
        method = self.info.find(ds("CanonicalizationMethod"))
        return canonical(self.info, self._method(ds("CanonicalizationMethod")), inclusive_prefixes(method))

    def _method(self, name: str) -> str:
        found = self.info.find(name)
        if found is None:
            raise _bad(name.rpartition("}")[2])
        return str(found.get("Algorithm"))

    def references(self) -> Iterator[Reference]:
        """Every reference, followed but not compared. Raises Refused, Unsure."""
        found = self.info.findall(ds("Reference"))
        if not 0 < len(found) <= MOST_REFERENCES:
            raise _bad("Reference")
        for element in found:
            yield self._follow(element)

    def check(self, reference: Reference) -> None:
        """Whether what is there is what was signed. Raises :class:`Refused`."""
        told = unbase64(text(reference.element, ds("DigestValue")))
        if not hmac.compare_digest(told, primitives.digest(reference.hashed, reference.data)):
            raise Refused("content-changed", indication="HASH_FAILURE", name=reference.part)

    def _follow(self, element: Any) -> Reference:
        uri, kind = element.get("URI"), element.get("Type", "")
        method = element.find(ds("DigestMethod"))
        hashed = DIGESTS.get("" if method is None else method.get("Algorithm"))
        if hashed is None:
            raise primitives.unknown(None if method is None else method.get("Algorithm"))
        transforms = element.findall(f"{ds('Transforms')}/{ds('Transform')}")
        if len(transforms) > MOST_TRANSFORMS:
            raise _bad("Transforms")
        if uri is None or (uri and not uri.startswith("#")):
            document = self._beside(uri)
            data, whole = self._octets(document.content, transforms)
            return Reference(element, uri, kind, hashed, data, None, whole, document.name)
        target = self._target(uri)
        data, complete = self._nodes(target, uri, transforms)
        whole = complete and (target is self.root or self._only_content(target))
        return Reference(
            element, uri, kind, hashed, data, target, whole, uri or target.tag.rpartition("}")[2]
        )

    def _beside(self, uri: str | None) -> Document:
        name = unquote(uri or "")
        for document in self.beside:
            if document.name in (name, name.rpartition("/")[2]):
                return document
        if uri is None and len(self.beside) == 1:
            return self.beside[0]
        raise Unsure("content-missing-named", indication="SIGNED_DATA_NOT_FOUND", name=name)

    def _target(self, uri: str) -> Any:
        """The element that ``uri`` points to within this document."""
        if uri in ("", "#xpointer(/)"):
            return self.root
        pointer = re.fullmatch(r"#xpointer\(id\(['\"]([^'\"]+)['\"]\)\)", uri)
        wanted = pointer.group(1) if pointer else uri[1:]
        found = [
            element
            for element in self.root.iter(etree.Element)
            if any(element.get(name) == wanted for name in IDENTIFIERS)
        ]
        if not found:
            raise Unsure("content-missing-named", indication="SIGNED_DATA_NOT_FOUND", name=uri)
        if len(found) > 1:
            raise Refused("wrapped", indication="FORMAT_FAILURE")
        return found[0]

    def _only_content(self, target: Any) -> bool:
        """Whether ``target`` is all the content of a document that is nothing but this signature."""
        if self.element is not self.root or target.getparent() is not self.element:
            return False
        objects = self.element.findall(ds("Object"))
        return target in objects and all(one is target or _holds_properties(one) for one in objects)

    def _octets(self, data: bytes, transforms: Sequence[Any]) -> tuple[bytes, bool]:
        """A file through its transforms; whether all of it counts."""
        if not transforms:
            return data, True
        name = transforms[0].get("Algorithm")
        if name == BASE64:
            return self._octets(unbase64(data.decode("latin-1")), transforms[1:])
        if name in CANONICAL:
            return self._octets(
                canonical(parse(data), name, inclusive_prefixes(transforms[0])), transforms[1:]
            )
        raise unknown(name)

    def _nodes(self, target: Any, uri: str, transforms: Sequence[Any]) -> tuple[bytes, bool]:
        """An element through its transforms; whether all of it but signatures counts."""
        # without transforms that say otherwise, comments count only if the pointer is an XPointer (4.4.3.3)
        comments = "#WithComments" if uri.startswith("#xpointer") else ""
        node, document, complete = target, uri in ("", "#xpointer(/)"), True
        for index, transform in enumerate(transforms):
            name = transform.get("Algorithm")
            rest = transforms[index + 1 :]
            if name == ENVELOPED:
                node = _without(node, [self.element])
            elif (name == XPATH and self._is_no_signatures(transform)) or (
                name == FILTER2 and self._subtracts_signatures(transform)
            ):
                node = _without(node, list(node.iter(ds("Signature"))))
            elif name in CANONICAL:
                data = _serialise(node, name, inclusive_prefixes(transform), document)
                return self._octets(data, rest)[0], complete
            elif name == BASE64:
                content = "".join(node.itertext())
                return self._octets(unbase64(content), rest)[0], complete
            else:
                raise unknown(name)
        return _serialise(node, INCLUSIVE + comments, (), document), complete

    @staticmethod
    def _is_no_signatures(transform: Any) -> bool:
        found = transform.findall(ds("XPath"))
        if len(found) != 1:
            return False
        match = NO_SIGNATURES.fullmatch(found[0].text or "")
        return match is not None and found[0].nsmap.get(match.group(1)) == DS

    @staticmethod
    def _subtracts_signatures(transform: Any) -> bool:
        found = transform.findall(f"{{{FILTER2}}}XPath")
        if len(found) != 1 or found[0].get("Filter") != "subtract":
            return False
        match = ALL_SIGNATURES.fullmatch(found[0].text or "")
        return match is not None and found[0].nsmap.get(match.group(1)) == DS


def inclusive_prefixes(method: Any) -> tuple[str, ...]:
    """The prefixes that an exclusive form is to treat as the inclusive one does."""
    listed = None if method is None else method.find(f"{{{EXCLUSIVE}}}InclusiveNamespaces")
    return () if listed is None else tuple((listed.get("PrefixList") or "").split())


def _holds_properties(one: Any) -> bool:
    return any(child.tag.endswith("}QualifyingProperties") for child in one.iterchildren(etree.Element))


def _serialise(node: Any, method: str, prefixes: Sequence[str], document: bool) -> bytes:
    """An element, or with ``document`` also the processing instructions around the root."""
    if not document:
        return canonical(node, method, prefixes)
    if method not in CANONICAL:
        raise unknown(method)
    exclusive = method.startswith(EXCLUSIVE)
    data: bytes = etree.tostring(
        node.getroottree(),
        method="c14n",
        exclusive=exclusive,
        with_comments=method.endswith("WithComments"),
        inclusive_ns_prefixes=list(prefixes) if exclusive and prefixes else None,
    )
    return data


def _without(node: Any, unwanted: Sequence[Any]) -> Any:
    """The same element in a copy of its document that lacks ``unwanted``; text around them stays."""
    tree = node.getroottree()
    paths = [tree.getelementpath(one) for one in unwanted if one is node or node in one.iterancestors()]
    if any(one is node for one in unwanted):
        raise Refused("wrapped", indication="FORMAT_FAILURE")
    copied = copy.deepcopy(tree)
    marked = [_at(copied, path) for path in paths]
    here = _at(copied, tree.getelementpath(node))
    for one in marked:
        parent = one.getparent()
        if parent is None:  # inside one that is gone already
            continue
        if one.tail:
            before = one.getprevious()
            if before is None:
                parent.text = (parent.text or "") + one.tail
            else:
                before.tail = (before.tail or "") + one.tail
        parent.remove(one)
    return here


def _at(tree: Any, path: str) -> Any:
    return tree.getroot() if path == "." else tree.find(path)
