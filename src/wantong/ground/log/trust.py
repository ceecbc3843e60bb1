"""Whom a verifier trusts: the keys of logs and witnesses, and how many witnesses are enough.

Two spellings of one thing, both read by :func:`Trust.parse`:

*The trust file of a bay* (TOML): one table a node, with its log and witness keys, its names and place::

    quorum = 1

    [[node]]
    id = "hk.wantong.example"
    jurisdiction = "hk"
    url = "https://hk.wantong.example"
    networks = ["10.8.0.0/16"]                       # only if that name leads to private addresses
    log = "hk.wantong.example+0ad2…+AU5k…"
    witness = "hk.wantong.example/witness+77c1…+BJ0q…"
    name = { zh-hans = "香港节点", zh-hant = "香港節點", en = "Hong Kong node", pt = "Nó de Hong Kong" }

A node that changes its keys has both for a time; those it has left behind say until when they signed::

        [[node.also]]
        log = "hk.wantong.example+51c7…+AbQ1…"
        witness = "hk.wantong.example/witness+9a0e…+BBx8…"
        until = 2027-03-01T00:00:00+00:00

``quorum`` counts witnesses of *other* nodes: a log that witnesses itself proves nothing.

*A C2SP tlog-policy* (https://c2sp.org/tlog-policy): ``log``, ``witness``, ``group`` and ``quorum`` lines, for
receipts and logs of the wider world.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from wantong.ground.http.reach import Reach
from wantong.ground.log.note import COSIGNATURE, ED25519, Verified, VerifierKey
from wantong.ground.log.problems import Malformed

MAX_TRUST_BYTES = 1024 * 1024
LANGUAGES = ("zh-hans", "zh-hant", "en", "pt")
_MAX_KEYS = 200


@dataclass(frozen=True)
class Keys:
    """Other keys of a party: those it is changing to or from (``until`` is None), or has signed with ``until`` then."""

    log: VerifierKey | None = None
    witness: VerifierKey | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Party:
    """Someone who keeps a log, or a witness, or both (a node of the bay does both).

    ``id`` is what the log calls itself (its origin); ``names`` is a language map; ``jurisdiction`` is ``gd``,
    ``hk``, ``mo`` or empty; ``url`` is where the node is, for those who fetch; ``networks`` are the private ones in
    which it may lie.
    """

    id: str
    names: Mapping[str, str] = field(default_factory=dict)
    jurisdiction: str = ""
    url: str = ""
    log: VerifierKey | None = None
    witness: VerifierKey | None = None
    networks: tuple[str, ...] = ()
    also: tuple[Keys, ...] = ()

    @property
    def log_keys(self) -> tuple[VerifierKey, ...]:
        """Every key that signs or has signed this party's checkpoints, the newest first."""
        return tuple(key for key in (self.log, *(keys.log for keys in self.also)) if key)

    @property
    def witness_keys(self) -> tuple[VerifierKey, ...]:
        """Every key with which this party cosigns or has cosigned, the newest first."""
        return tuple(key for key in (self.witness, *(keys.witness for keys in self.also)) if key)

    @property
    def living(self) -> Party:
        """The party without the keys that it does not use any more."""
        return replace(self, also=tuple(keys for keys in self.also if keys.until is None))

    def until(self, key: VerifierKey) -> datetime | None:
        """Until when a signature by ``key`` counts; None: it does."""
        return next((keys.until for keys in self.also if key in (keys.log, keys.witness)), None)

    @property
    def reach(self) -> Reach:
        """Where connections on its behalf may go."""
        return Reach.of((self.url,), self.networks)


@dataclass(frozen=True)
class Group:
    """At least ``threshold`` of ``members``, each a witness key or a group."""

    threshold: int
    members: tuple[VerifierKey | Group, ...]

    def satisfied(self, seen: frozenset[VerifierKey]) -> bool:
        """Whether the witnesses that have ``seen`` a checkpoint are enough."""
        held = (m.satisfied(seen) if isinstance(m, Group) else m in seen for m in self.members)
        return sum(held) >= self.threshold


@dataclass(frozen=True)
class Trust:
    """The parties and the quorum. Without a ``group``, any ``quorum`` witnesses foreign to the log are enough."""

    parties: tuple[Party, ...]
    quorum: int = 1
    group: Group | None = None

    def log(self, origin: str) -> Party | None:
        """The party whose log has this origin."""
        return next((p for p in self.parties if p.log is not None and p.log.name == origin), None)

    def log_keys(self) -> dict[str, tuple[VerifierKey, ...]]:
        """Origin → keys, as a witness needs them."""
        return {p.log.name: p.living.log_keys for p in self.parties if p.log is not None}

    def witnesses(self, origin: str) -> dict[VerifierKey, Party]:
        """The witnesses whose word counts for this log: all but the log's own."""
        return {key: p for p in self.parties if self.group or p.id != origin for key in p.witness_keys}

    def counted(self, seen: Iterable[Verified]) -> list[Verified]:
        """Of verified cosignatures those by keys that were good at the time they state."""
        good = []
        for v in seen:
            until = next((p.until(v.key) for p in self.parties if v.key in p.witness_keys), None)
            if until is None or (v.time is not None and v.time <= until.timestamp()):
                good.append(v)
        return good

    def enough(self, seen: Iterable[VerifierKey]) -> bool:
        """Whether these witnesses (of :meth:`witnesses`) make the quorum; two keys of one party are one witness."""
        held = frozenset(seen)
        if self.group is not None:
            return self.group.satisfied(held)
        return sum(not held.isdisjoint(p.witness_keys) for p in self.parties) >= self.quorum

    def peers(self, own: str) -> tuple[Party, ...]:
        """The parties other than ``own`` that can be asked to witness."""
        return tuple(p for p in self.parties if p.id != own and p.witness is not None and p.url)

    def dumps(self) -> str:
        """The trust file in TOML (only for trust without groups)."""
        if self.group is not None:
            raise ValueError("a policy with groups has no TOML form")
        lines = [f"quorum = {self.quorum}"]
        for p in self.parties:
            lines += ["", "[[node]]", f"id = {_toml(p.id)}"]
            if p.jurisdiction:
                lines.append(f"jurisdiction = {_toml(p.jurisdiction)}")
            if p.url:
                lines.append(f"url = {_toml(p.url)}")
            lines += (
                f"{use} = {_toml(str(key))}" for use, key in (("log", p.log), ("witness", p.witness)) if key
            )
            if p.networks:
                lines.append(f"networks = {_toml(list(p.networks))}")
            if p.names:
                names = ", ".join(f"{lang} = {_toml(text)}" for lang, text in p.names.items())
                lines.append(f"name = {{ {names} }}")
            for keys in p.also:
                lines += ["", "    [[node.also]]"]
                lines += (
                    f"    {use} = {_toml(str(key))}"
                    for use, key in (("log", keys.log), ("witness", keys.witness))
                    if key
                )
                if keys.until:
                    lines.append(f"    until = {keys.until.astimezone(UTC).isoformat(timespec='seconds')}")
        return "\n".join(lines) + "\n"

    @classmethod
    def parse(cls, data: bytes) -> Trust:
        """Read a trust file of either spelling. Raises :class:`Malformed`."""
        if len(data) > MAX_TRUST_BYTES:
            raise Malformed("trust", "too-large")
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise Malformed("trust", "utf8") from None
        return _parse_policy(text) if _is_policy(text) else _parse_toml(text)


def _toml(text: str | list[str]) -> str:
    # TOML basic strings are JSON strings, but for DEL, which JSON leaves as it is
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


# --- TOML -------------------------------------------------------------------------------------------------------


def _parse_toml(text: str) -> Trust:
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        raise Malformed("trust", "toml") from None
    quorum = document.get("quorum", 1)
    nodes = document.get("node", [])
    if type(quorum) is not int or quorum < 0 or not isinstance(nodes, list) or not nodes:
        raise Malformed("trust", "shape")
    if not document.keys() <= {"quorum", "node"}:
        raise Malformed("trust", "shape")
    parties = tuple(map(_party, nodes))
    _no_duplicates(parties)
    if len({p.id for p in parties}) != len(parties):
        raise Malformed("trust", "duplicate")
    return Trust(parties, quorum)


def _party(table: Any) -> Party:
    if not isinstance(table, dict) or not table.keys() <= {
        "id",
        "jurisdiction",
        "url",
        "log",
        "witness",
        "name",
        "networks",
        "also",
    }:
        raise Malformed("trust", "shape")
    names, networks = table.pop("name", {}), table.pop("networks", [])
    also = table.pop("also", [])
    if not isinstance(also, list) or len(also) > _MAX_KEYS:
        raise Malformed("trust", "shape")
    if not isinstance(networks, list) or not all(_is_network(network) for network in networks):
        raise Malformed("trust", "shape")
    if not isinstance(names, dict) or not all(isinstance(v, str) for v in (*table.values(), *names.values())):
        raise Malformed("trust", "shape")
    if not table.get("id"):
        raise Malformed("trust", "shape")
    log = _vkey(table["log"], ED25519) if "log" in table else None
    witness = _vkey(table["witness"], COSIGNATURE) if "witness" in table else None
    others = tuple(_keys(told, log, witness) for told in also)
    if log is not None and log.name != table["id"]:
        raise Malformed("trust", "origin")
    return Party(
        id=table["id"],
        names=names,
        jurisdiction=table.get("jurisdiction", ""),
        url=table.get("url", ""),
        log=log,
        witness=witness,
        networks=tuple(networks),
        also=others,
    )


def _keys(told: Any, log: VerifierKey | None, witness: VerifierKey | None) -> Keys:
    if not isinstance(told, dict) or not told.keys() <= {"log", "witness", "until"}:
        raise Malformed("trust", "shape")
    until = told.pop("until", None)
    if until is not None and (not isinstance(until, datetime) or until.tzinfo is None):
        raise Malformed("trust", "shape")
    if not all(isinstance(key, str) for key in told.values()):
        raise Malformed("trust", "shape")
    keys = Keys(
        _vkey(told["log"], ED25519) if "log" in told else None,
        _vkey(told["witness"], COSIGNATURE) if "witness" in told else None,
        until,
    )
    # a party changes its keys, never its names
    for key, own in ((keys.log, log), (keys.witness, witness)):
        if key is not None and (own is None or key.name != own.name):
            raise Malformed("trust", "origin")
    return keys


def _is_network(told: Any) -> bool:
    try:
        ip_network(told)
    except ValueError:
        return False
    return isinstance(told, str)


def _vkey(text: str, algorithm: int) -> VerifierKey:
    key = VerifierKey.parse(text)
    if key.algorithm != algorithm:
        raise Malformed("trust", "algorithm")
    return key


def _no_duplicates(parties: tuple[Party, ...]) -> None:
    for keys in (
        [key for p in parties for key in p.log_keys],
        [key for p in parties for key in p.witness_keys],
    ):
        if len({key.public for key in keys}) != len(keys):
            raise Malformed("trust", "duplicate")


# --- C2SP tlog-policy -------------------------------------------------------------------------------------------

_POLICY_WORD = re.compile(r"[ \t]*(log|witness|group|quorum)[ \t]+[^ \t=\n]")
_MAX_NAMES = 256  # witnesses and groups; bounds how deep groups can nest


def _is_policy(text: str) -> bool:
    lines = (
        line for line in text.split("\n") if line.strip(" \t") and not line.lstrip(" \t").startswith("#")
    )
    first = next(lines, "")
    return _POLICY_WORD.match(first) is not None


def _parse_policy(text: str) -> Trust:
    parties: list[Party] = []
    named: dict[str, VerifierKey | Group] = {}
    used: set[str] = set()
    quorum: list[str] = []
    for line in text.split("\n"):
        if any(ord(c) < 0x20 and c != "\t" for c in line) or "\x7f" in line:
            raise Malformed("trust", "control")
        words = re.split(r"[ \t]+", line.strip(" \t"))
        match words:
            case [""]:
                continue
            case [word, *_] if word.startswith("#"):
                continue
            case ["log", vkey] | ["log", vkey, _]:
                key = _vkey(vkey, ED25519)
                parties.append(Party(key.name, url=words[2] if len(words) == 3 else "", log=key))
            case ["witness", name, vkey] | ["witness", name, vkey, _]:
                key = _vkey(vkey, COSIGNATURE)
                _define(named, name, key)
                parties.append(Party(name, url=words[3] if len(words) == 4 else "", witness=key))
            case ["group", name, threshold, *members] if members:
                _define(named, name, _group(threshold, members, named, used))
            case ["quorum", name] if not quorum and (name == "none" or name in named):
                quorum.append(name)
            case _:
                raise Malformed("trust", "policy-line")
    if not quorum:
        raise Malformed("trust", "quorum")
    _no_duplicates(tuple(parties))
    if quorum == ["none"]:
        return Trust(tuple(parties), 0, Group(0, ()))
    member = named[quorum[0]]
    return Trust(tuple(parties), 1, member if isinstance(member, Group) else Group(1, (member,)))


def _define(named: dict[str, VerifierKey | Group], name: str, what: VerifierKey | Group) -> None:
    if name in named or name == "none":
        raise Malformed("trust", "duplicate")
    if len(named) == _MAX_NAMES:
        raise Malformed("trust", "too-large")
    named[name] = what


def _group(
    threshold: str, members: list[str], named: Mapping[str, VerifierKey | Group], used: set[str]
) -> Group:
    if any(m not in named or m in used for m in members) or len(set(members)) != len(members):
        raise Malformed("trust", "group")
    used.update(members)
    count = {"any": 1, "all": len(members)}.get(threshold)
    if count is None:
        if not re.fullmatch(r"[1-9][0-9]{0,4}", threshold, re.ASCII):
            raise Malformed("trust", "group")
        count = int(threshold)
    if count > len(members):
        raise Malformed("trust", "group")
    return Group(count, tuple(named[m] for m in members))
