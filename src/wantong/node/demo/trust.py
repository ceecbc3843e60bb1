"""The demonstration's trust: three authorities, three lists, each countersigned by the other two nodes.

Everything is done by the verbs that operators have, with two people of each node; only that lists, and what the
authorities say of revocations, are handed over as files, for the nodes are not running yet.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wantong.border.trust import jws
from wantong.border.trust.certificates import authority
from wantong.border.trust.certificates.authority import Authority
from wantong.ground import config, crypto, yamlfile
from wantong.ground.actors import Actor
from wantong.ground.config import NodeConfig
from wantong.ground.crypto import Suite

if TYPE_CHECKING:
    from wantong.border.trust.proposals.models import Proposal

FOLDER = "run/authority"
HANDED_OVER = "run/trust.json"
LIFE = timedelta(days=365)
ALL = "2.5.29.32.0"
REGISTRAR = Actor("user:registrar", "registrar", frozenset({"operator"}))
OFFICER = Actor("user:officer", "officer", frozenset({"approver"}))


def agreed(made: Proposal) -> None:
    """What the registrar has proposed, the officer approves."""
    from wantong.border.trust.proposals import services

    if made.state == "proposed":
        services.approve(OFFICER, made.id)


@cache
def _told() -> Mapping[str, Any]:
    told: Mapping[str, Any] = yamlfile.load(
        Path(str(resources.files(__package__))) / "data" / "authorities.yaml"
    )
    return told


def authorities(directory: Path, place: str) -> Authority:
    """The signing CA of a place with its root above it, kept in the folder of its node; made if it is not there yet."""
    folder = directory / FOLDER
    about = _told()["places"][place]
    name = about["name"]["en"]
    if not (folder / "signing.crt").exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        now = datetime.now(UTC).replace(microsecond=0)
        root_key, key = crypto.generate(Suite.ES256), crypto.generate(Suite.ES256)
        root = authority.root(root_key, _subject(about["country"], name, "Root"), serial=_serial(), begin=now)
        signing = authority.subordinate(
            root, key, _subject(about["country"], name, "Signing CA"), serial=_serial(), begin=now, policies=(ALL,)
        )  # fmt: skip
        for file, content in (
            ("root.key", root_key.pem()),
            ("signing.key", key.pem()),
            ("root.crt", root.certificate),
            ("signing.crt", signing.certificate),
        ):
            (folder / file).touch(mode=0o600)
            (folder / file).write_bytes(content)
    root_crt, signing_crt = ((folder / f"{one}.crt").read_bytes() for one in ("root", "signing"))
    return Authority(crypto.load((folder / "signing.key").read_bytes()), signing_crt, (root_crt,))


def certify(
    directory: Path, place: str, public: bytes, subject: Mapping[str, str], *, profile: str = "person"
) -> tuple[bytes, ...]:
    """A certificate of the place's authority for ``public`` (SPKI), and those above it, without the root; DER.

    It bears the name of the type and the policy that the place's list asks for.
    """
    told, signing = _told(), authorities(directory, place)
    named = {
        "country_name": told["places"][place]["country"],
        "organizational_unit_name": told["types"][place],
        **subject,
    }
    der = authority.issue(
        signing,
        profile,
        public,
        named,
        serial=_serial(),
        begin=datetime.now(UTC).replace(microsecond=0),
        policies=[f"{told['policy']}.{told['release']}"],
    )
    return (der, *signing.chain)


def wishes(node: NodeConfig) -> list[dict[str, Any]]:
    """What the node's list says: its authority, and its own services by the certificates that they hold."""
    from wantong.border.trust.certificates import holdings

    told, place = _told(), node.jurisdiction
    signing = authorities(node.directory, place)
    named = {
        "root": signing.anchor,
        "signing_ca": signing.certificate,
        "certificate_type": told["types"][place],
        "policy": told["policy"],
        "levels": {"loa": "substantial"},
    }
    about = {"id": f"{place}-authority", "name": told["places"][place]["name"], "uri": node.url}
    found = [_wish(about, f"{place}-ca", "ca", told["services"]["ca"], named)]
    itself = {"id": node.participant_id, "name": dict(node.name), "uri": node.url}
    for holding in holdings.held():
        if holding.purpose not in _TYPES:
            continue
        suffix = "" if holding.suite is Suite.ES256 else f"-{holding.suite.value.lower()}"
        values: dict[str, Any] = {"root": holding.chain[-1]}
        if holding.purpose in ("issuer", "verifier"):
            values["credential_types"] = _credential_types()
        if holding.purpose == "pass":
            values["credential_types"] = ["*"]
        if holding.purpose in _ENTITIES:
            values |= {"entity_id": node.url, "jwks": [jws.jwk(holding.signer.public)]}
        more = "" if holding.suite is Suite.ES256 else f" ({holding.suite.value.partition('SM3')[0]})"
        name = {lang: text + more for lang, text in told["services"][holding.purpose].items()}
        found.append(
            _wish(itself, f"{place}-{holding.purpose}{suffix}", _TYPES[holding.purpose], name, values)
        )
    return found


_TYPES = {
    "seal": "ca",
    "timestamp": "timestamp",
    "issuer": "issuer",
    "verifier": "verifier",
    "pass": "pass-issuer",
    "provider": "identity-provider",
}
_ENTITIES = frozenset({"provider"})


def publish(node: NodeConfig) -> None:
    """Publish the first version of the node's list and lay it where the others look for it; once more does nothing."""
    from django.utils import timezone

    from wantong.border.trust.lists import proposing, publishing, receiving, stored

    file = node.directory / HANDED_OVER
    if file.exists():
        return
    if stored.latest() is None:
        proposal = proposing.propose(REGISTRAR, wishes(node))
        proposing.approve(OFFICER, proposal.id)
        proposing.take_effect(str(proposal.id))
    signing = authorities(node.directory, node.jurisdiction)
    root_key = crypto.load((node.directory / FOLDER / "root.key").read_bytes())
    now = timezone.now().astimezone(UTC).replace(microsecond=0)
    number = int(now.timestamp())
    lists = [
        [authority.revocation_list(one, (), number=number, at=now, until=now + LIFE), one.certificate]
        for one in (Authority(root_key, signing.anchor), signing)
    ]
    told = {
        "list": publishing.version().jws,
        "signers": receiving.voucher(),
        "revocations": [[base64.b64encode(der).decode() for der in pair] for pair in lists],
    }
    draft = file.with_suffix(".tmp")
    draft.write_text(json.dumps(told))
    draft.replace(file)


def countersign(bay: Path, places: Sequence[str], wait: Callable[[Path], bytes]) -> None:
    """Take in what the authorities of all places say, and countersign the lists of the others.

    ``wait`` gives the content of a file as soon as it is there. Once more does nothing: running nodes tell each other.
    """
    from django.utils import timezone

    from wantong.border.trust import services as trust
    from wantong.border.trust.certificates import services as certificates
    from wantong.border.trust.lists import countersigning, receiving
    from wantong.border.trust.lists.models import Received

    own = config.current().jurisdiction
    for place in places:
        if Received.objects.filter(operator_id=f"{place}.wantong.example").exists():
            continue
        told = json.loads(wait(bay / place / HANDED_OVER))
        for crl, signer in told["revocations"]:
            certificates.take_list(REGISTRAR, base64.b64decode(crl), [base64.b64decode(signer)])
        if place == own:
            continue
        peer = trust.peer(f"{place}.wantong.example")
        signers = receiving.vouched(peer, told["signers"], timezone.now())
        received = receiving.receive(peer, told["list"], signers)
        if received is not None:
            countersigning.compared(REGISTRAR, received, "the demonstration")
            countersigning.countersign(OFFICER, received)


def _wish(
    provider: Mapping[str, Any], service: str, type: str, name: Mapping[str, str], values: Mapping[str, Any]
) -> dict[str, Any]:
    since = datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z")
    told = {
        key: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for key, value in values.items()
    }
    state = {"status": "granted", "name": dict(name), "period": {"since": since}, **told}
    return {"provider": dict(provider), "service": {"id": service, "type": type}, "state": state}


def _credential_types() -> list[str]:
    from wantong.border.trust.credentials import types

    return sorted({name for one in types.load().values() for name in (one.id, one.vct, one.doctype) if name})


def _subject(country: str, name: str, what: str) -> dict[str, str]:
    return {"country_name": country, "organization_name": name, "common_name": f"{name} {what}"}


def _serial() -> int:
    return authority.serial_number(secrets.token_bytes(16))
