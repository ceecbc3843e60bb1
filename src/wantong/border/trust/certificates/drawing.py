"""A path as people look at it: certificates from the leaf up to the root, what binds each to the next, and the reasons."""

from __future__ import annotations

from typing import Any, Literal

from wantong.border.trust.certificates import algorithms
from wantong.border.trust.certificates.algorithms import Unusable
from wantong.border.trust.certificates.asn1 import Malformed
from wantong.border.trust.certificates.certificate import Certificate
from wantong.border.trust.certificates.path import Link, Path
from wantong.border.trust.verdict import Outcome, Step

Place = Literal["leaf", "issuer", "root", "only"]
BINDING = ("signature", "names")
"""Steps that are about what binds a certificate to its issuer."""


def draw(found: Path, lang: str) -> dict[str, Any]:
    """The whole drawing as JSON: ``cards`` from the leaf up, each with the ``bond`` to the next; ``whole`` are the steps
    about the chain itself; ``missing`` names the issuer at which a chain that leads nowhere breaks off."""
    about_links = {id(step) for link in found.links for step in link.steps}
    counted = sum(len(link.steps) for link in found.links)
    whole = [step for step in found.verdict.steps if id(step) not in about_links]
    if len(whole) + counted != len(
        found.verdict.steps
    ):  # a path that was stored: the steps are other objects
        mine = [step for link in found.links for step in link.steps]
        whole = [step for step in found.verdict.steps if step not in mine]
    broken = next((step for step in whole if step.name == "chain"), None)
    return {
        "outcome": found.verdict.outcome,
        "indication": found.verdict.indication,
        "headline": found.verdict.headline(lang),
        "at": found.verdict.at,
        "anchored": found.anchored,
        "policies": sorted(found.policies),
        "cards": [
            _card(link, place(index, len(found.links), found.anchored), lang, proven=found.anchored)
            for index, link in enumerate(found.links)
        ],
        "whole": [said(step, lang) for step in whole],
        "missing": found.chain[-1].issuer.label
        if broken and broken.code == "no-issuer" and found.chain
        else "",
    }


def place(index: int, count: int, anchored: bool) -> Place:
    """Where in the chain a certificate stands."""
    if anchored and index == count - 1:
        return "only" if count == 1 else "root"
    return "issuer" if index else "leaf"


def said(step: Step, lang: str) -> dict[str, Any]:
    """A step in words."""
    return {
        "name": step.name,
        "outcome": step.outcome,
        "code": step.code,
        "what": step.what(lang),
        "why": step.why(lang),
        "next": step.next(lang),
    }


def worst(steps: tuple[Step, ...]) -> Outcome:
    """Failed if one is, else indeterminate if one is, else passed."""
    outcomes = {step.outcome for step in steps}
    return next((one for one in ("failed", "indeterminate") if one in outcomes), "passed")


def _card(link: Link, where: Place, lang: str, *, proven: bool) -> dict[str, Any]:
    certificate, status = link.certificate, link.status
    bond = tuple(step for step in link.steps if step.name in BINDING)
    own = tuple(step for step in link.steps if step.name not in BINDING)
    return {
        "place": where,
        "label": certificate.label,
        # whoever is not vouched for from a root up can say of himself what he likes
        "outcome": worst(own) if proven or worst(own) == "failed" else "indeterminate",
        "bond": None if not bond else {"outcome": worst(bond), "steps": [said(step, lang) for step in bond]},
        "subject": str(certificate.subject),
        "issuer": str(certificate.issuer),
        "serial": f"{certificate.serial:x}" if certificate.serial >= 0 else f"-{-certificate.serial:x}",
        "not_before": certificate.not_before,
        "not_after": certificate.not_after,
        "key": _key(certificate),
        "algorithm": algorithms.Algorithms.load().name(certificate.algorithm.oid),
        "names": [f"{name.kind}: {name}" for name in certificate.alternatives[:20]],
        "policies": list((certificate.policies or ())[:20]),
        "fingerprint": certificate.fingerprint.hex(),
        "revocation": None
        if status is None
        else {
            "state": status.state,
            "source": status.source,
            "this_update": status.this_update,
            "next_update": status.next_update,
            "since": status.entry and status.entry.since,
        },
        "reasons": [said(step, lang) for step in own if not step.passed],
        "passed": [said(step, lang) for step in own if step.passed],
    }


def _key(certificate: Certificate) -> str:
    try:
        kind, bits = algorithms.measure(certificate.spki)
    except (Unusable, Malformed):
        return algorithms.Algorithms.load().name(certificate.key.oid)
    return {"ed25519": "Ed25519", "ed448": "Ed448", "sm2": "SM2"}.get(kind, f"{kind.upper()} {bits}")
