"""The form of a site, as its operator describes it (YAML, JSON) or as a page has it (HTML)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import jsonschema_rs
import yaml
from lxml import html

from wantong.border.trust.documents.kinds import kinds
from wantong.ground import yamlfile
from wantong.ground.problems import Problem

_DATA = Path(__file__).parent / "data"
LARGEST = 512 << 10


class BadForm(Problem):
    """The description of a form is not of the form: ``where`` and ``reason``, a stable code."""

    slug = "documents-bad-form"
    status = 422
    CODES: ClassVar[Mapping[str, str]] = {"reason": "documents.bad-form"}


@dataclass(frozen=True)
class Option:
    """A choice, and the kinds of documents that it stands for."""

    value: str
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Field:
    """A field; what each part means stands in ``data/form.schema.json``."""

    name: str
    role: str
    required: bool = True
    pattern: str = ""
    min_length: int = 0
    max_length: int | None = None
    checked_as: tuple[str, ...] = ()
    precision: str = "day"
    options: tuple[Option, ...] = ()
    when: tuple[str, ...] = ()

    def takes(self, value: str) -> str:
        """Why the field does not take ``value``: ``length``, ``pattern``, ``unreadable`` (the pattern), or blank."""
        if len(value) < self.min_length or (self.max_length is not None and len(value) > self.max_length):
            return "length"
        if not self.pattern:
            return ""
        matcher = _matcher(self.pattern)
        return "unreadable" if matcher is None else "" if matcher.is_valid(value) else "pattern"


@dataclass(frozen=True)
class Form:
    """A site's form."""

    site: str
    fields: tuple[Field, ...]

    def of(self, role: str) -> Iterator[Field]:
        """The fields of a role."""
        return (field for field in self.fields if field.role == role)


def read(text: str, name: str = "form.yaml") -> Form:
    """The form described in ``text``; by the ending of ``name`` it is HTML, else YAML or JSON. Raises :class:`BadForm`."""
    if len(text.encode()) > LARGEST:
        raise BadForm(where="/", reason="too-large", most=LARGEST)
    if name.lower().endswith((".html", ".htm")) or text.lstrip()[:1] == "<":
        return from_html(text, name)
    try:
        form = yamlfile.load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        told = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise BadForm(where="/", reason="unreadable", told=told) from None
    return from_dict(form)


def from_dict(told: Any) -> Form:
    """The form in a JSON object. Raises :class:`BadForm`."""
    try:
        errors = list(_validator().iter_errors(told))
    except (TypeError, ValueError, RecursionError):  # YAML knows values that JSON does not
        raise BadForm(where="/", reason="not-object") from None
    if errors:
        where = "/".join(map(str, errors[0].instance_path))
        raise BadForm(where=f"/{where}", reason="schema", told=errors[0].message[:200])
    fields = tuple(_field(each) for each in told["fields"])
    for field in fields:
        for kind in (*field.checked_as, *(kind for option in field.options for kind in option.kinds)):
            if kind not in kinds():
                raise BadForm(where=f"/fields/{field.name}", reason="no-kind", kind=kind[:40])
        if field.pattern and _matcher(field.pattern) is None:
            raise BadForm(where=f"/fields/{field.name}/pattern", reason="no-pattern")
    return Form(told["site"], fields)


def _field(told: Mapping[str, Any]) -> Field:
    return Field(
        name=told["name"],
        role=told["role"],
        required=told.get("required", True),
        pattern=told.get("pattern", ""),
        min_length=told.get("min_length", 0),
        max_length=told.get("max_length"),
        checked_as=tuple(told.get("checked_as", ())),
        precision=told.get("precision", "day"),
        options=tuple(Option(one["value"], tuple(one["kinds"])) for one in told.get("options", ())),
        when=tuple(told.get("when", ())),
    )


def from_html(text: str, name: str = "") -> Form:
    """The fields of a page that are recognised by their attributes and labels. Raises :class:`BadForm` if none is."""
    try:
        page = html.document_fromstring(text)
    except (ValueError, html.etree.ParserError):
        raise BadForm(where="/", reason="not-html") from None
    labels: dict[str, str] = {}
    for label in page.iter("label"):
        target = label.get("for") or next(
            (e.get("id") for e in label.iter("input", "select") if e.get("id")), None
        )
        if target:
            labels[target] = label.text_content()
    fields = []
    for element in page.iter("input", "select"):
        if (element.get("type") or "text").lower() in (
            "hidden",
            "submit",
            "button",
            "checkbox",
            "radio",
            "file",
            "password",
        ):
            continue
        role = _role(element, labels.get(element.get("id", ""), ""))
        options = _options(element) if element.tag == "select" else ()
        if (role == "number" and options) or any(option.kinds for option in options):
            role = "kind"
        fields.append(
            Field(
                name=element.get("name") or element.get("id") or "?",
                role=role,
                required=element.get("required") is not None,
                pattern=element.get("pattern", ""),
                min_length=_whole(element.get("minlength")) or 0,
                max_length=_whole(element.get("maxlength")),
                options=options if role == "kind" else (),
            )
        )
    if not any(field.role in ("kind", "number", "name", "surname") for field in fields):
        raise BadForm(where="/", reason="no-field")
    title = page.find(".//title")
    return Form((title.text_content().strip() if title is not None else "") or name, tuple(fields))


def _role(element: Any, label: str) -> str:
    facts = _facts()
    told = (element.get("autocomplete") or "").lower().split()
    for word in reversed(told):
        if word in facts["autocomplete"]:
            return str(facts["autocomplete"][word])
    said = " ".join(
        filter(None, (label, *(element.get(a) for a in ("name", "id", "placeholder", "aria-label"))))
    ).lower()
    return next(
        (role for role, words in facts["words"].items() if any(word in said for word in words)), "other"
    )


def _options(element: Any) -> tuple[Option, ...]:
    found = []
    for option in element.iter("option"):
        said = option.text_content().strip()
        if said and option.get("value") != "":
            found.append(Option(option.get("value") or said, _kinds_called(said.lower())))
    return tuple(found)


def _kinds_called(said: str) -> tuple[str, ...]:
    """The kinds of documents that an option names: the first entry that fits, for the longer names stand first."""
    for kind, words in _facts()["kinds"].items():
        if any(word in said for word in words):
            return ("cn-passport", "hk-passport", "mo-passport") if kind == "passport" else (kind,)
    return ()


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdecimal() and len(text) < 9 else None


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> jsonschema_rs.Draft202012Validator | None:
    """The pattern as browsers use it: of the whole value. It comes from strangers, so size and steps are bounded."""
    bounds = jsonschema_rs.FancyRegexOptions(
        backtrack_limit=100_000, size_limit=1 << 20, dfa_size_limit=1 << 20
    )
    try:
        return jsonschema_rs.Draft202012Validator({"pattern": f"^(?:{pattern})$"}, pattern_options=bounds)
    except (jsonschema_rs.ValidationError, ValueError):
        return None


@cache
def _facts() -> Mapping[str, Any]:
    found: Mapping[str, Any] = yamlfile.load(_DATA / "fields.yaml")
    return found


@cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(json.loads((_DATA / "form.schema.json").read_text("utf-8")))


def schema() -> Mapping[str, Any]:
    """The JSON Schema of descriptions."""
    found: Mapping[str, Any] = json.loads((_DATA / "form.schema.json").read_text("utf-8"))
    return found


__all__: Sequence[str] = ("BadForm", "Field", "Form", "Option", "from_dict", "from_html", "read", "schema")
