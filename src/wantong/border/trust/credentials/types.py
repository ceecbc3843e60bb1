"""What kinds of credentials there are (电子证照种类): data, read from ``data/types.yaml``. Pure.

A type says which claims its credentials hold and of what form, which of them always stand open, what everything is
called in four languages, how long it is good, and who may issue it. From that follow the JSON Schema that claims are
checked by, SD-JWT VC Type Metadata, and what OpenID4VCI publishes.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path as File
from typing import Any, Final

import jsonschema_rs

from wantong.border.trust.credentials import mdoc
from wantong.border.trust.credentials.dcql import Path
from wantong.border.trust.credentials.sdjwt import integrity
from wantong.border.trust.jws import compact
from wantong.ground import yamlfile
from wantong.ground.i18n import LANG_ATTRIBUTE, pick
from wantong.ground.problems import Problem

DEFAULT: Final = File(__file__).parent / "data/types.yaml"
NAMES: Final = File(__file__).parent / "data/claims.yaml"
VALUES: Final = File(__file__).parent / "data/values.yaml"
SD_JWT: Final = "dc+sd-jwt"
MDOC: Final = "mso_mdoc"
FORMATS: Final = (SD_JWT, MDOC)


class UnknownType(Problem):
    """There is no such type of credential."""

    slug = "credential-type-unknown"
    status = 404


class BadClaims(Problem):
    """What is to be attested does not fit the type: ``reason`` names the claim and what is wrong with it."""

    slug = "credential-claims"
    status = 422


@dataclass(frozen=True)
class Claim:
    """One claim of a type. ``show``: it always stands open; ``each``: its elements are disclosed one by one."""

    name: str
    schema: Mapping[str, Any]
    said: Mapping[str, str]
    show: bool = False
    each: bool = False
    optional: bool = False
    mdoc: str = ""
    until: bool = False


@dataclass(frozen=True)
class IssuedBy:
    """Who may issue: a service type of the trust list, what kind of body, in which places."""

    service: str
    kind: str
    places: tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """How a card looks: one character on a colour."""

    symbol: str
    background: str
    text: str

    @property
    def drawing(self) -> str:
        """The logo as SVG."""
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="8" '
            f'fill="{self.background}"/><text x="32" y="44" font-size="36" text-anchor="middle" '
            f'fill="{self.text}">{self.symbol}</text></svg>'
        )

    @property
    def logo(self) -> str:
        """The logo as data URI: nothing is fetched, so nobody learns of the looking."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.drawing.encode()).decode("ascii")


@dataclass(frozen=True)
class Type:
    """A kind of credential; see ``data/types.yaml``."""

    id: str
    vct: str
    doctype: str
    name: Mapping[str, str]
    about: Mapping[str, str]
    look: Look
    valid: dt.timedelta
    ttl: dt.timedelta
    people: int
    once: bool
    issuers: tuple[IssuedBy, ...]
    claims: tuple[Claim, ...]
    source: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema (2020-12) of the claims."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {claim.name: dict(claim.schema) for claim in self.claims},
            "required": [claim.name for claim in self.claims if not claim.optional],
            "additionalProperties": False,
        }

    @cached_property
    def _validator(self) -> jsonschema_rs.Validator:
        return jsonschema_rs.Draft202012Validator(self.schema, validate_formats=True)

    def check(self, claims: Mapping[str, Any]) -> None:
        """Return if ``claims`` are such as this type has. Raises :class:`BadClaims`; values are never repeated in it."""
        wrong = next(iter(self._validator.iter_errors(dict(claims))), None)
        if wrong is not None:
            place = "/".join(map(str, wrong.instance_path))
            rule = str(wrong.schema_path[-1]) if wrong.schema_path else ""
            raise BadClaims(kind=self.id, claim=place or "*", rule=rule)

    def conceal(self, claims: Mapping[str, Any]) -> list[Path]:
        """The paths that the holder may hold back, of the claims that are there."""
        paths: list[Path] = []
        for claim in self.claims:
            if claim.name not in claims or claim.show:
                continue
            paths.append((claim.name,))
            if claim.each:
                paths.append((claim.name, None))
        return paths

    def elements(self, claims: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The claims as mdoc elements: one namespace, the doctype's own, days as ``full-date``."""
        kinds = {claim.name: claim.mdoc for claim in self.claims}
        return {
            self.doctype: {
                name: mdoc.full_date(value) if kinds.get(name) == "full-date" else value
                for name, value in claims.items()
            }
        }

    def ends(self, claims: Mapping[str, Any], begins: dt.datetime) -> dt.datetime:
        """Until when a credential is good that begins at a moment: the type's time, at most what the record says.

        A day that is the last is good to its end, in the bay's time.
        """
        end = begins + self.valid
        for claim in self.claims:
            if claim.until and claim.name in claims:
                last = dt.date.fromisoformat(claims[claim.name]) + dt.timedelta(days=1)
                bay = dt.timezone(dt.timedelta(hours=8))
                end = min(end, dt.datetime.combine(last, dt.time(), bay).astimezone(dt.UTC))
        return end

    def may_issue(self, place: str, kinds: frozenset[str] | None = None) -> bool:
        """Whether somebody in ``place`` (and of one of ``kinds``, if they are known) may issue it."""
        return any(place in by.places and (kinds is None or by.kind in kinds) for by in self.issuers)

    @cached_property
    def metadata(self) -> bytes:
        """SD-JWT VC Type Metadata (draft-19 section 6), the bytes that ``vct#integrity`` is of."""
        claims: list[dict[str, Any]] = []
        for claim in self.claims:
            shown = {
                "display": [
                    {"locale": LANG_ATTRIBUTE[lang], "label": text} for lang, text in claim.said.items()
                ]
            }
            sd = "never" if claim.show else "always"
            claims.append({"path": [claim.name], **shown, "mandatory": not claim.optional, "sd": sd})
            if claim.each:
                claims.append({"path": [claim.name, None], **shown, "sd": "always"})
        look = {"background_color": self.look.background, "text_color": self.look.text}
        return compact(
            {
                "vct": self.vct,
                "name": self.name["en"],
                "description": self.about["en"],
                "display": [
                    {
                        "locale": LANG_ATTRIBUTE[lang],
                        "name": text,
                        "description": self.about[lang],
                        "rendering": {"simple": {"logo": {"uri": self.look.logo}, **look}},
                    }
                    for lang, text in self.name.items()
                ],
                "claims": claims,
                "source": self.source,
            }
        )

    @cached_property
    def integrity(self) -> str:
        """The value of ``vct#integrity``."""
        return integrity(self.metadata)


@cache
def load(file: File = DEFAULT, names: File = NAMES) -> Mapping[str, Type]:
    """All types by id. Raises ValueError for a claim that is called nothing."""
    said = yamlfile.load(names)
    return {id: _type(id, told, said) for id, told in yamlfile.load(file).items()}


def get(id: str) -> Type:
    """The type with an id. Raises :class:`UnknownType`."""
    found = load().get(id)
    if found is None:
        raise UnknownType(kind=id[:64])
    return found


def of(kind: str) -> Type | None:
    """The type with that ``vct`` or doctype."""
    return next((type for type in load().values() if kind in (type.vct, type.doctype)), None)


@cache
def _named(file: File) -> Mapping[str, Any]:
    found: Mapping[str, Any] = yamlfile.load(file)
    return found


def called(name: str, lang: str) -> str:
    """What a claim, or a part of one, is called in a language; as it stands where this node has no word for it."""
    return pick(_named(NAMES)[name], lang).text if name in _named(NAMES) else name


def said(name: str, value: Any, lang: str, *, ours: bool = True) -> str:
    """The value of the claim ``name`` on one line, codes in words if it is a kind of ``ours``: elsewhere they may mean anything."""
    if isinstance(value, Mapping):
        parts = ((part, said(part, one, lang, ours=ours)) for part, one in value.items())
        return ", ".join(f"{called(part, lang) if ours else part}: {told}" for part, told in parts)
    if isinstance(value, list | tuple):
        return "; ".join(said(name, one, lang, ours=ours) for one in value)
    words = _named(VALUES).get(name, {}) if ours else {}
    return pick(words[value], lang).text if isinstance(value, str) and value in words else str(value)


def _type(id: str, told: Mapping[str, Any], said: Mapping[str, Mapping[str, str]]) -> Type:
    claims = []
    for name, rest in told["claims"].items():
        if name not in said:
            raise ValueError(f"claims.yaml does not say what {name} is called")
        claims.append(Claim(name=name, said=said[name], **rest))
    source = {**told["source"], "date": str(told["source"]["date"])}
    return Type(
        id=id,
        vct=told["vct"],
        doctype=told["doctype"],
        name=told["name"],
        about=told["about"],
        look=Look(**told["look"]),
        valid=dt.timedelta(days=told["valid"]),
        ttl=dt.timedelta(seconds=told["ttl"]),
        people=told.get("people", 1),
        once=told.get("once", False),
        issuers=tuple(IssuedBy(by["service"], by["kind"], tuple(by["places"])) for by in told["issuers"]),
        claims=tuple(claims),
        source=source,
    )
