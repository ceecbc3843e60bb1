"""``node.toml``: what an operator writes, read once and checked before anything starts."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from wantong.border.trust.dcp.options import BadOptions, Options
from wantong.border.trust.dcp.options import read as read_options
from wantong.border.trust.documents import lines
from wantong.border.trust.identity.accounts import options as identity
from wantong.border.trust.identity.accounts.problems import NoPasskeysHere
from wantong.ground.config import NodeConfig
from wantong.ground.http.limits import BadLimits, Limits
from wantong.ground.http.limits import read as read_limits
from wantong.ground.http.tls import Tls
from wantong.ground.i18n import LANGUAGES
from wantong.ground.problems import Problem

JURISDICTIONS = ("gd", "hk", "mo")


class BadSettings(Problem):
    """``node.toml`` is missing or says something that cannot be. ``file`` and ``reason`` say which and what."""

    slug = "bad-settings"
    status = 500
    CODES: ClassVar[Mapping[str, str]] = {"reason": "node.bad-settings"}


@dataclass(frozen=True)
class Listen:
    """Where the two servers of a node accept connections, ``host:port`` each."""

    web: str
    data: str


@dataclass(frozen=True)
class Settings:
    """All of ``node.toml``: the node's identity, where it listens, its database (a URL), its web threads, its limits,
    its TLS files, what it makes of claims, how people sign in, which authorities it can ask about documents."""

    node: NodeConfig
    listen: Listen
    database: str
    threads: int
    log_level: str
    limits: Limits
    tls: Tls | None
    claims: Options
    identity: identity.Options
    authorities: Mapping[str, lines.Line]


def load(directory: Path) -> Settings:
    """Read ``directory/node.toml``. Raises :class:`BadSettings`."""
    file = directory / "node.toml"
    try:
        raw = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise BadSettings(file=str(file), reason="no-file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        told = f"{type(error).__name__}: {error}"[:200]
        raise BadSettings(file=str(file), reason="unreadable", told=told) from None

    def need(key: str, kind: type) -> Any:
        value = raw.get(key)
        if not isinstance(value, kind) or not value:
            raise BadSettings(file=str(file), reason="kind", name=key, kind=kind.__name__)
        return value

    jurisdiction = need("jurisdiction", str)
    if jurisdiction not in JURISDICTIONS:
        choices = ", ".join(JURISDICTIONS)
        raise BadSettings(file=str(file), reason="choice", name="jurisdiction", choices=choices)
    for key in ("url", "data_url"):
        if urlsplit(need(key, str)).scheme not in ("http", "https"):
            raise BadSettings(file=str(file), reason="address", name=key)
    name = need("name", dict)
    if unknown := set(name) - set(LANGUAGES):
        raise BadSettings(file=str(file), reason="languages", languages=", ".join(sorted(unknown)))
    listen = need("listen", dict)
    node = NodeConfig(
        participant_id=need("participant_id", str),
        jurisdiction=jurisdiction,
        name=name,
        url=raw["url"].rstrip("/"),
        data_url=raw["data_url"].rstrip("/"),
        directory=directory.resolve(),
    )
    try:
        address = Listen(web=listen["web"], data=listen["data"])
    except KeyError as missing:
        raise BadSettings(file=str(file), reason="missing", what=f"[listen] {missing.args[0]}") from None
    try:
        limits = read_limits(raw.get("limits"))
    except BadLimits as error:
        raise BadSettings(file=str(file), reason="section", section="limits", told=str(error)) from None
    try:
        claims = read_options(raw.get("claims"))
    except BadOptions as error:
        raise BadSettings(file=str(file), reason="section", section="claims", told=str(error)) from None
    try:
        signing_in = identity.read(raw.get("identity"))
        if signing_in.passkeys_from is not None:
            # its library takes a tenth of a second, which no process of a node without passkeys shall wait
            from wantong.border.trust.identity.accounts import passkeys

            # else nobody could sign in from that day
            passkeys.relying_party(node.url, "")
    except identity.BadOptions as error:
        raise BadSettings(file=str(file), reason="section", section="identity", told=str(error)) from None
    except NoPasskeysHere:
        raise BadSettings(file=str(file), reason="passkeys", url=node.url) from None
    try:
        authorities = lines.read(raw.get("authorities"), directory)
    except lines.BadLine as error:
        raise BadSettings(file=str(file), reason="section", section="authorities", told=str(error)) from None
    return Settings(
        node,
        address,
        raw.get("database", "sqlite:db.sqlite3"),
        int(raw.get("threads", 4)),
        raw.get("log_level", "info"),
        limits,
        _tls(raw.get("tls"), directory, file),
        claims,
        signing_in,
        authorities,
    )


def _tls(told: Any, directory: Path, file: Path) -> Tls | None:
    if told is None:
        return None
    if not isinstance(told, dict) or not {"certificate", "key"} <= told.keys() <= {
        "certificate",
        "key",
        "ca",
    }:
        raise BadSettings(file=str(file), reason="tls")
    tls = Tls(**{name: directory / str(place) for name, place in told.items()})
    try:
        tls.client()
    except (OSError, ValueError) as error:
        raise BadSettings(file=str(file), reason="section", section="tls", told=str(error)) from None
    return tls


def database(url: str, directory: Path) -> dict[str, Any]:
    """Django's setting for ``sqlite:<file>`` (relative to the node's folder) or ``postgresql://…``."""
    if url.startswith("sqlite:"):
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(directory / url.removeprefix("sqlite:")),
            # opening one costs more than a request: its functions are made, its schema is read
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                # writers queue instead of failing half-way; FULL because an acknowledged act must survive power loss;
                # recursive triggers because REPLACE deletes, and only then asks the triggers that refuse it
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
                "PRAGMA recursive_triggers=ON;",
            },
        }
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise BadSettings(file="node.toml", reason="database", scheme=parts.scheme)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
