"""A trust list in ETSI TS 119 612 (XML, version 6): written for others to read, and others' read into ours.

What the European form has no place for (the five things of the scheme, keys of entities) stands in an extension of each
service, in a namespace of our own and not critical: who does not know it reads the rest. Lists of others have no such
extension; there a service is known by the certificate in its digital identity, and whatever is beneath that counts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from lxml import etree

from wantong.border.trust.lists import qualifications, xmlsig
from wantong.border.trust.lists.problems import BadList
from wantong.border.trust.lists.qualifications import Criteria, Qualification
from wantong.border.trust.lists.recognition import subject_of
from wantong.border.trust.lists.signed import Holding
from wantong.border.trust.lists.trustlist import (
    MOST_STATES,
    Period,
    Provider,
    Service,
    ServiceType,
    State,
    Status,
    TrustList,
    moment,
)
from wantong.ground import canonical, yamlfile
from wantong.ground.i18n import LANG_ATTRIBUTE

TSL: Final = "http://uri.etsi.org/02231/v2#"
SIE: Final = "http://uri.etsi.org/TrstSvc/SvcInfoExt/eSigDir-1999-93-EC-TrustedList/#"
XADES: Final = xmlsig.XADES
EXTRA: Final = "http://uri.etsi.org/02231/v2/additionaltypes#"
OURS: Final = "https://wantong.dev/ns/trust-list/1"
XML: Final = "{http://www.w3.org/XML/1998/namespace}lang"
BASE: Final = "http://uri.etsi.org/TrstSvc/TrustedList"
VERSION: Final = "6"
MIME: Final = "application/vnd.etsi.tsl+xml"


@dataclass(frozen=True)
class Pointer:
    """Where another list is, the certificate (DER) that signs it, and whose it is."""

    location: str
    signer: bytes
    operator_name: Mapping[str, str]
    territory: str


@cache
def _words() -> Mapping[str, Any]:
    told: Mapping[str, Any] = yamlfile.load(
        Path(str(resources.files(__package__))) / "data" / "ts119612.yaml"
    )
    return told


@cache
def _read_as(family: str) -> Mapping[str, str]:
    return {uri: name for name, uris in _words()[family].items() for uri in uris}


# --- writing ---------------------------------------------------------------------------------------------------------


def export(
    told: TrustList, holding: Holding, at: datetime, address: str, pointers: Sequence[Pointer] = ()
) -> str:
    """The list as a signed document. ``address`` is where its operator publishes it.

    Empty where the key is of a suite that XML Signature has no name for (SM2).
    """
    if holding.signer.suite not in xmlsig.METHODS:
        return ""
    root = etree.Element(
        _tsl("TrustServiceStatusList"),
        nsmap={None: TSL, "w": OURS},
        TSLTag="http://uri.etsi.org/19612/TSLTag",
        Id=f"list-{told.sequence}",
    )
    _scheme(root, told, address, pointers)
    if told.providers:
        listed = _add(root, "TrustServiceProviderList")
        for provider in told.providers:
            if provider.services:
                _provider(listed, provider, told)
    return xmlsig.sign(root, holding, at).decode()


def _scheme(root: Any, told: TrustList, address: str, pointers: Sequence[Pointer]) -> None:
    words = _words()
    code = _territory(told.territory)
    country = code.partition("-")[0]
    scheme = _add(root, "SchemeInformation")
    _add(scheme, "TSLVersionIdentifier", VERSION)
    _add(scheme, "TSLSequenceNumber", str(told.sequence))
    _add(scheme, "TSLType", f"{BASE}/TSLType/{country}list")
    _names(_add(scheme, "SchemeOperatorName"), told.operator_name)
    _address(_add(scheme, "SchemeOperatorAddress"), told.operator_name, told.territory, told.uri or address)
    _names(_add(scheme, "SchemeName"), {lang: f"{code}:{text}" for lang, text in words["scheme"].items()})
    _uris(_add(scheme, "SchemeInformationURI"), {lang: f"{address}/{lang}/trust/" for lang in LANG_ATTRIBUTE})
    _add(scheme, "StatusDeterminationApproach", f"{BASE}/StatusDetn/{country}detn")
    _uris(_add(scheme, "SchemeTypeCommunityRules"), {"en": f"{BASE}/schemerules/{country}"})
    _add(scheme, "SchemeTerritory", code)
    notice = _add(scheme, "PolicyOrLegalNotice")
    for lang, text in words["notice"].items():
        _add(notice, "TSLLegalNotice", text, lang)
    # 65535: nothing that ever stood in it is taken out
    _add(scheme, "HistoricalInformationPeriod", "65535")
    if pointers:
        others = _add(scheme, "PointersToOtherTSL")
        for pointer in pointers:
            _pointer(others, pointer)
    _add(scheme, "ListIssueDateTime", moment(told.issued))
    _add(_add(scheme, "NextUpdate"), "dateTime", moment(told.next_update))
    _add(_add(scheme, "DistributionPoints"), "URI", f"{address}/trust/list.xml")
    extension = _extension(_add(scheme, "SchemeExtensions"))
    etree.SubElement(extension, f"{{{OURS}}}Operator", Uri=told.uri).text = told.operator_id


def _pointer(others: Any, pointer: Pointer) -> None:
    one = _add(others, "OtherTSLPointer")
    identity = _add(_add(one, "ServiceDigitalIdentities"), "ServiceDigitalIdentity")
    _add(_add(identity, "DigitalId"), "X509Certificate", base64.b64encode(pointer.signer).decode())
    _add(one, "TSLLocation", pointer.location)
    about = _add(one, "AdditionalInformation")
    code = _territory(pointer.territory)
    _add(_add(about, "OtherInformation"), "TSLType", f"{BASE}/TSLType/{code.partition('-')[0]}list")
    _add(_add(about, "OtherInformation"), "SchemeTerritory", code)
    media = etree.SubElement(_add(about, "OtherInformation"), f"{{{EXTRA}}}MimeType", nsmap={"extra": EXTRA})
    media.text = MIME
    _names(_add(_add(about, "OtherInformation"), "SchemeOperatorName"), pointer.operator_name)
    rules = _add(_add(about, "OtherInformation"), "SchemeTypeCommunityRules")
    _uris(rules, {"en": f"{BASE}/schemerules/{code.partition('-')[0]}"})


def _provider(listed: Any, provider: Provider, told: TrustList) -> None:
    one = _add(listed, "TrustServiceProvider")
    about = _add(one, "TSPInformation")
    _names(_add(about, "TSPName"), provider.name)
    # the identifier: TS 119 612 5.4.2 lets the trade name hold one
    _add(_add(about, "TSPTradeName"), "Name", provider.id, "en")
    uri = provider.uri or told.uri
    _address(_add(about, "TSPAddress"), provider.name, told.territory, uri)
    _uris(_add(about, "TSPInformationURI"), {"en": uri})
    services = _add(one, "TSPServices")
    for service in provider.services:
        entry = _add(services, "TSPService")
        _state(_add(entry, "ServiceInformation"), service, service.now)
        if service.history[1:]:
            past = _add(entry, "ServiceHistory")
            for state in service.history[1:]:
                _state(_add(past, "ServiceHistoryInstance"), service, state)


def _state(entry: Any, service: Service, state: State) -> None:
    _add(entry, "ServiceTypeIdentifier", _words()["types"][service.type.value][0])
    _names(_add(entry, "ServiceName"), state.name)
    identity = _add(entry, "ServiceDigitalIdentity")
    named = state.signing_ca or state.root
    if named:
        _add(_add(identity, "DigitalId"), "X509Certificate", base64.b64encode(named).decode())
        _add(_add(identity, "DigitalId"), "X509SubjectName", subject_of(named))
    else:
        other = etree.SubElement(_add(_add(identity, "DigitalId"), "Other"), f"{{{OURS}}}Entity")
        other.text = state.entity_id
    _add(entry, "ServiceStatus", _words()["statuses"][state.status.value][0])
    _add(entry, "StatusStartingTime", moment(state.since))
    extensions = _add(entry, "ServiceInformationExtensions")
    if state.qualifications:
        _qualifications(extensions, state.qualifications)
    elsewhere = ("since", "status", "name", "qualifications")
    told = {name: value for name, value in state.to_dict().items() if name not in elsewhere}
    extension = _extension(extensions)
    said = etree.SubElement(extension, f"{{{OURS}}}Recognition", Service=service.id, Type=service.type.value)
    said.text = canonical.dumps(told).decode()


def _qualifications(extensions: Any, told: Sequence[Qualification]) -> None:
    # critical, as 5.5.9.2 has it: who does not know it must not take the service for simpler than it is
    place = etree.SubElement(_extension(extensions, "true"), _sie("Qualifications"), nsmap={"sie": SIE})
    for one in told:
        element = etree.SubElement(place, _sie("QualificationElement"))
        qualifiers = etree.SubElement(element, _sie("Qualifiers"))
        for uri in one.qualifiers:
            etree.SubElement(qualifiers, _sie("Qualifier"), uri=uri)
        _criteria(element, one.criteria)


def _criteria(parent: Any, told: Criteria) -> None:
    place = etree.SubElement(parent, _sie("CriteriaList"), attrib={"assert": told.assertion})
    for usage in told.key_usage:
        bits = etree.SubElement(place, _sie("KeyUsage"))
        for name, wanted in usage.items():
            etree.SubElement(bits, _sie("KeyUsageBit"), name=name).text = "true" if wanted else "false"
    for policies in told.policies:
        _identifiers(etree.SubElement(place, _sie("PolicySet")), _sie("PolicyIdentifier"), policies)
    for one in told.lists:
        _criteria(place, one)
    if told.description:
        etree.SubElement(place, _sie("Description")).text = told.description
    if told.purposes or told.attributes or told.unknown:
        other = etree.SubElement(place, _sie("otherCriteria"))
        for purposes in told.purposes:
            _identifiers(
                etree.SubElement(other, _extra("ExtendedKeyUsage")), _extra("KeyPurposeId"), purposes
            )
        for attributes in told.attributes:
            kinds = etree.SubElement(other, _extra("CertSubjectDNAttribute"))
            _identifiers(kinds, _extra("AttributeOID"), attributes)
        for _ in range(told.unknown):
            etree.SubElement(other, f"{{{OURS}}}Unknown")


def _identifiers(parent: Any, tag: str, oids: Sequence[str]) -> None:
    for oid in oids:
        one = etree.SubElement(parent, tag)
        etree.SubElement(
            one, f"{{{XADES}}}Identifier", nsmap={"xades": XADES}, Qualifier="OIDAsURN"
        ).text = f"urn:oid:{oid}"


def _extension(parent: Any, critical: str = "false") -> Any:
    one = _add(parent, "Extension")
    one.set("Critical", critical)
    return one


def _address(parent: Any, name: Mapping[str, str], territory: str, uri: str) -> None:
    place = _words()["places"].get(territory, {"country": territory.upper(), "locality": {"en": territory}})
    postal = _add(parent, "PostalAddresses")
    for lang, locality in place["locality"].items():
        one = _add(postal, "PostalAddress", lang=lang)
        _add(one, "StreetAddress", name.get(lang) or next(iter(name.values())))
        _add(one, "Locality", locality)
        _add(one, "CountryName", place["country"])
    _uris(_add(parent, "ElectronicAddress"), {"en": uri})


def _names(parent: Any, names: Mapping[str, str]) -> None:
    for lang, text in names.items():
        _add(parent, "Name", text, lang)


def _uris(parent: Any, uris: Mapping[str, str]) -> None:
    for lang, uri in uris.items():
        _add(parent, "URI", uri, lang)


def _add(parent: Any, name: str, text: str = "", lang: str = "") -> Any:
    made = etree.SubElement(parent, _tsl(name))
    if lang:
        made.set(XML, LANG_ATTRIBUTE.get(lang, lang))
    if text:
        made.text = text
    return made


def _sie(name: str) -> str:
    return f"{{{SIE}}}{name}"


def _extra(name: str) -> str:
    return f"{{{EXTRA}}}{name}"


def _tsl(name: str) -> str:
    return f"{{{TSL}}}{name}"


def _territory(code: str) -> str:
    found: str = _words()["territories"].get(code, code)
    return found


# --- reading ---------------------------------------------------------------------------------------------------------


def read(
    data: bytes, pinned: Collection[bytes], *, operator_id: str | None = None
) -> tuple[TrustList, bytes]:
    """The list in a document that one of the ``pinned`` certificates (DER) has signed, and that certificate.

    Only what was signed is read. ``operator_id`` is what to call the operator; None: as the document has it. Services of
    kinds that we do not know, and services without a certificate, are passed over.
    Raises BadSignature, BadList.
    """
    root, signer = xmlsig.verify(xmlsig.parse(data), pinned)
    try:
        return _list(root, operator_id), signer
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        told = f"{type(error).__name__}: {error}"[:200]
        raise BadList(field="list", reason="unreadable", told=told) from None


def _list(root: Any, operator_id: str | None) -> TrustList:
    if root.tag != _tsl("TrustServiceStatusList"):
        raise BadList(field="list", reason="another-kind", wanted="TrustServiceStatusList")
    scheme = _one(root, "SchemeInformation")
    due = _one(scheme, "NextUpdate").find(_tsl("dateTime"))
    if due is None:
        raise BadList(field="list", reason="closed")
    territory = _text(scheme, "SchemeTerritory")
    ours = {code: name for name, code in _words()["territories"].items()}
    said = scheme.find(f"{_tsl('SchemeExtensions')}/{_tsl('Extension')}/{{{OURS}}}Operator")
    uri = next((e.text for e in _one(scheme, "SchemeInformationURI").iterfind(_tsl("URI"))), "") or ""
    if said is not None:
        uri = said.get("Uri", "")
    name = _map(_one(scheme, "SchemeOperatorName"))
    known = operator_id or (said.text if said is not None else None) or f"tsl:{territory}"
    issued = _when(_text(scheme, "ListIssueDateTime"))
    taken: set[str] = set()
    providers = list(_providers(root, taken, issued))
    told = TrustList(
        known,
        name,
        uri.strip()[:500],
        ours.get(territory, territory),
        int(_text(scheme, "TSLSequenceNumber")),
        issued,
        _when(due.text),
        tuple(providers),
    )
    return TrustList.of(told.to_dict())


def _providers(root: Any, taken: set[str], issued: datetime) -> Iterator[Provider]:
    names: set[str] = set()
    for entry in root.iterfind(f"{_tsl('TrustServiceProviderList')}/{_tsl('TrustServiceProvider')}"):
        about = _one(entry, "TSPInformation")
        services = tuple(
            found
            for one in entry.iterfind(f"{_tsl('TSPServices')}/{_tsl('TSPService')}")
            if (found := _service(one, taken, issued)) is not None
        )
        if not services:
            continue
        name = _map(_one(about, "TSPName"))
        trade = about.find(f"{_tsl('TSPTradeName')}/{_tsl('Name')}")
        told = (trade.text or "").strip() if trade is not None else ""
        known = (
            told if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}", told) else _short(canonical.dumps(name))
        )
        uri = about.find(f"{_tsl('TSPInformationURI')}/{_tsl('URI')}")
        yield Provider(
            _unique(known, names), name, (uri.text or "").strip()[:500] if uri is not None else "", services
        )


def _service(entry: Any, taken: set[str], issued: datetime) -> Service | None:
    newest = _one(entry, "ServiceInformation")
    kind = _read_as("types").get(_text(newest, "ServiceTypeIdentifier"))
    said = _ours(newest)
    if said is not None:
        kind = said.get("Type")
    if kind is None:
        return None
    history: list[State] = []
    past = entry.iterfind(f"{_tsl('ServiceHistory')}/{_tsl('ServiceHistoryInstance')}")
    for instance in (newest, *past):
        if len(history) == MOST_STATES:
            raise BadList(field="history", reason="too-many", most=MOST_STATES)
        state = _state_of(instance, history[-1] if history else None)
        # where two states are said to begin at one moment, the newer counts
        if state is not None and (not history or state.since < history[-1].since):
            history.append(state)
    if not history:
        return None
    if history[0].since > issued:
        # announced and not in force: the states before it are
        history = [state for state in history if state.since <= issued]
        if not history:
            return None
    first = history[-1].since
    if said is None:
        history = [_from(state, first) for state in history]
    known = said.get("Service") if said is not None else f"{kind}:{_short(history[0].root)}"
    return Service(_unique(str(known), taken), ServiceType(kind), tuple(history))


def _from(state: State, first: datetime) -> State:
    return replace(state, period=Period(first))


def _state_of(instance: Any, newer: State | None) -> State | None:
    status = Status(_read_as("statuses").get(_text(instance, "ServiceStatus"), "withdrawn"))
    since = _when(_text(instance, "StatusStartingTime"))
    name = _map(_one(instance, "ServiceName"))
    qualified = tuple(_qualifications_of(instance))
    said = _ours(instance)
    if said is not None:
        told = json.loads(said.text or "{}")
        told |= {"qualifications": [one.to_dict() for one in qualified]} if qualified else {}
        return State.of({**told, "since": moment(since), "status": status.value, "name": name})
    found = instance.find(f"{_tsl('ServiceDigitalIdentity')}/{_tsl('DigitalId')}/{_tsl('X509Certificate')}")
    # older states may be known by the identifier of the key alone: it is the same key (TS 119 612 5.5.3)
    root = base64.b64decode(found.text) if found is not None else newer.root if newer else b""
    if not root:
        return None
    return State(since, status, name, Period(since), root=root, qualifications=qualified)


def _qualifications_of(instance: Any) -> Iterator[Qualification]:
    path = (
        _tsl("ServiceInformationExtensions"),
        _tsl("Extension"),
        _sie("Qualifications"),
        _sie("QualificationElement"),
    )
    for element in instance.iterfind("/".join(path)):
        uris = tuple(
            (one.get("uri") or "").strip()
            for one in element.iterfind(f"{_sie('Qualifiers')}/{_sie('Qualifier')}")
        )
        criteria = element.find(_sie("CriteriaList"))
        if criteria is None:
            raise BadList(field="qualifications", reason="missing", what="CriteriaList")
        yield Qualification(uris, _criteria_of(criteria))


def _criteria_of(place: Any, depth: int = 0) -> Criteria:
    if depth > qualifications.DEEPEST:
        raise BadList(field="qualifications", reason="too-deep", most=qualifications.DEEPEST)
    usage: list[Mapping[str, bool]] = []
    policies: list[tuple[str, ...]] = []
    purposes: list[tuple[str, ...]] = []
    attributes: list[tuple[str, ...]] = []
    lists: list[Criteria] = []
    unknown, description = 0, ""
    for one in place.iterchildren(etree.Element):
        if one.tag == _sie("KeyUsage"):
            usage.append(
                {
                    bit.get("name", ""): (bit.text or "").strip() in ("true", "1")
                    for bit in one.iterfind(_sie("KeyUsageBit"))
                }
            )
        elif one.tag == _sie("PolicySet"):
            policies.append(_identifiers_of(one, _sie("PolicyIdentifier")))
        elif one.tag == _sie("CriteriaList"):
            lists.append(_criteria_of(one, depth + 1))
        elif one.tag == _sie("Description"):
            description = _plain(one.text or "")
        elif one.tag == _sie("otherCriteria"):
            for other in one.iterchildren(etree.Element):
                if other.tag == _extra("ExtendedKeyUsage"):
                    purposes.append(_identifiers_of(other, _extra("KeyPurposeId")))
                elif other.tag == _extra("CertSubjectDNAttribute"):
                    attributes.append(_identifiers_of(other, _extra("AttributeOID")))
                else:
                    unknown += 1
        else:
            unknown += 1
    # 5.5.9.2.2.1: the attribute may be left out where there is but one criterion, and means the same then
    return Criteria(
        place.get("assert", "all"), tuple(usage), tuple(policies), tuple(purposes), tuple(attributes), tuple(lists),
        unknown, description,
    )  # fmt: skip


def _identifiers_of(place: Any, tag: str) -> tuple[str, ...]:
    found = (one.findtext(f"{{{XADES}}}Identifier") or "" for one in place.iterfind(tag))
    return tuple(text.strip().lower().removeprefix("urn:oid:") for text in found)


def _plain(text: str) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:1000]


def _ours(instance: Any) -> Any:
    path = "/".join((_tsl("ServiceInformationExtensions"), _tsl("Extension"), f"{{{OURS}}}Recognition"))
    return instance.find(path)


def _one(parent: Any, name: str) -> Any:
    found = parent.find(_tsl(name))
    if found is None:
        raise BadList(field="list", reason="missing", what=name)
    return found


def _text(parent: Any, name: str) -> str:
    return (_one(parent, name).text or "").strip()


def _map(parent: Any) -> dict[str, str]:
    codes = {attribute.lower(): code for code, attribute in LANG_ATTRIBUTE.items()}
    found: dict[str, str] = {}
    for one in parent.iterfind(_tsl("Name")):
        lang = (one.get(XML) or "en").lower()
        text = "".join(c for c in " ".join((one.text or "").split()) if c.isprintable())
        if text:
            found.setdefault(codes.get(lang, lang), text[:500])
    return found


def _when(text: str) -> datetime:
    at = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _unique(name: str, taken: set[str]) -> str:
    found, n = name, 1
    while found in taken:
        n += 1
        found = f"{name}#{n}"
    taken.add(found)
    return found
