"""What must hold when a run is over, read from the nodes' own disks, their logs and the recorded wire."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from play import Played
from proxy import Exchange, readable
from world import FaultyNode, World

from wantong.ground.log import Trust, verify_receipt
from wantong.ground.log.checkpoint import Checkpoint
from wantong.ground.log.note import Note
from wantong.ground.log.tiles import TreeBuilder
from wantong.node.bay import DUE
from wantong.node.demo.desk import GaveUp

_JWT = re.compile(rb"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}")
_MARKER = re.compile(rb"R\d+-[0-9a-f]{8}-")


class Broken(AssertionError):
    """A property does not hold; the text says which and shows it."""


def check(holds: Any, what: str, *shown: Any) -> None:
    """Raise :class:`Broken` unless it ``holds``."""
    if not holds:
        raise Broken(f"{what}: {' | '.join(str(s)[:1500] for s in shown)}")


@dataclass
class Judge:
    """Judges run after run on one bay, and remembers what each node's log has acknowledged so far."""

    world: World
    trust: Trust = field(init=False)
    keys: list[bytes] = field(init=False)
    leaves: dict[str, list[str]] = field(default_factory=dict)
    trees: dict[str, TreeBuilder] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.trust = Trust.parse(self.world.bay.trust_file.read_bytes())
        self.keys = [
            key
            for node in self.world.nodes.values()
            for path in sorted((node.directory / "keys").rglob("*"))
            if path.is_file()
            for key in _secrets(path.read_bytes())
        ]
        for node in self.world.nodes.values():
            self.keys += [operator["token"].encode() for operator in node.operators().values()]

    # --- rest ---------------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Until nothing must happen any more at any node, or :class:`Broken` after so many seconds."""
        deadline = time.monotonic() + seconds
        still = 0
        while still < 2:
            restless = list(self._restless())
            still = 0 if restless else still + 1
            if time.monotonic() > deadline:
                raise Broken(f"no rest after {seconds:.0f} s: {restless[:6]}")
            time.sleep(0.2 if restless else 0.05)

    def _restless(self) -> Iterator[str]:
        for place, node in self.world.nodes.items():
            try:
                for event in node.rows(DUE):
                    yield f"{place}: {event}"
                for entry in node.rows('SELECT kind FROM log_logentry WHERE "index" IS NULL'):
                    yield f"{place}: {entry['kind']} is not logged"
            except Exception as error:
                yield f"{place}: {error!r}"

    # --- properties ---------------------------------------------------------------------------------------------

    def judge(self, played: Played, exchanges: Iterable[Exchange], *, complete: bool) -> None:
        """Everything that must hold after a run; ``complete``: all that was asked for must have arrived."""
        if not played.plan.restored:
            check(not played.trouble, "the run did not come to its end", played.trouble)
        self.agreements(played, complete=complete)
        self.deliveries(played, complete=complete)
        self.logs(played)
        self.wire(played, list(exchanges), complete=complete)
        self.remains()

    def agreements(self, played: Played, *, complete: bool) -> None:
        """Both sides hold the same processes under the same ids in the same final states; the third knows none."""
        where = f"dataset_id = '{played.dataset}'"
        sides = {}
        for place, node in self.world.nodes.items():
            negotiations = node.rows(
                "SELECT pid, counterpart_pid, role, state, agreement_id, reason FROM exchange_negotiation "
                f"WHERE {where}"
            )
            agreements = node.rows(f"SELECT id, role, policy FROM exchange_agreement WHERE {where}")
            transfers = node.rows(
                "SELECT t.pid, t.counterpart_pid, t.role, t.state, t.agreement_id, t.reason "
                "FROM exchange_transfer t "
                f"JOIN exchange_agreement a ON a.id = t.agreement_id WHERE a.{where}"
            )
            sides[place] = (negotiations, agreements, transfers)
        plan = played.plan
        for place, found in sides.items():
            if place not in (plan.source, plan.target):
                check(not any(found), "a third node knows of it", place, found)
        ours, theirs = sides[plan.source], sides[plan.target]
        for own, other, final in (
            (ours[0], theirs[0], {"FINALIZED", "TERMINATED"}),
            (ours[2], theirs[2], {"COMPLETED", "TERMINATED"}),
        ):
            both = {row["pid"]: row for row in other}
            check({row["counterpart_pid"] for row in own} == set(both), "one side knows more", own, other)
            for row in own:
                mate = both[row["counterpart_pid"]]
                check(mate["counterpart_pid"] == row["pid"], "the ids do not match", row, mate)
                check(row["role"] == "provider" and mate["role"] == "consumer", "the roles", row, mate)
                check(row["state"] == mate["state"], "the two sides differ", row, mate)
                check(row["state"] in final, "it has not ended", row, mate)
                check(row["agreement_id"] == mate["agreement_id"], "two agreements", row, mate)
        terms = [{row["id"]: _plain(row["policy"]) for row in side[1]} for side in (ours, theirs)]
        check(terms[0] == terms[1], "the agreements differ", *terms)
        if complete:
            check([row["state"] for row in ours[0]] == ["FINALIZED"], "no agreement", ours[0], theirs[0])
            check(
                [row["state"] for row in ours[2]] == ["COMPLETED"] * played.plan.transfers,
                "not everything was transferred",
                ours[2],
                theirs[2],
            )

    def deliveries(self, played: Played, *, complete: bool) -> None:
        """What arrived left once: acts, log entries, persons, claims, holdings and files agree."""
        plan = played.plan
        source, target = self.world.nodes[plan.source], self.world.nodes[plan.target]
        question = (
            "SELECT d.id, d.transfer_id, d.direction, d.state, a.act, a.data FROM declarations_declaration d "
            f"JOIN declarations_action a ON a.declaration_id = d.id WHERE d.dataset_id = '{played.dataset}' "
            "ORDER BY a.number"
        )
        states = {
            row["counterpart_pid"].removeprefix("urn:uuid:"): (
                row["pid"].removeprefix("urn:uuid:"),
                row["state"],
            )
            for row in target.rows(
                "SELECT t.pid, t.counterpart_pid, t.state FROM exchange_transfer t JOIN exchange_agreement a "
                f"ON a.id = t.agreement_id WHERE a.dataset_id = '{played.dataset}'"
            )
        }
        sent: dict[str, list[dict[str, Any]]] = {}
        for row in source.rows(question):
            sent.setdefault(row["transfer_id"], []).append(row)
        came: dict[str, list[dict[str, Any]]] = {}
        for row in target.rows(question):
            came.setdefault(row["transfer_id"], []).append(row)
        logged = {
            place: [
                (entry["kind"], json.loads(entry["body"])["transfer_id"])
                for entry in self.world.nodes[place].rows(
                    "SELECT kind, body FROM log_logentry WHERE kind LIKE 'gate.%' "
                    f"AND body LIKE '%{played.dataset}%'"
                )
            ]
            for place in (plan.source, plan.target)
        }
        for own, (theirs, state) in states.items():
            acts = [row["act"] for row in sent.get(own, ())]
            delivered, received = acts.count("deliver"), came.get(theirs, [])
            check(delivered <= 1, "delivered twice", own, acts)
            check(acts.count("release") - acts.count("recall") <= 1, "released twice", own, acts)
            times = logged[plan.source].count(("gate.export.deliver", own))
            check(times <= 1, "two log entries of one delivery", own, times)
            holdings = target.rows(
                "SELECT h.path, h.sha256 FROM declarations_holding h JOIN declarations_declaration d "
                f"ON d.id = h.declaration_id WHERE d.transfer_id = '{theirs}'"
            )
            datasets = target.rows(
                "SELECT r.sha256 FROM exchange_receiveddataset r JOIN exchange_transfer t "
                f"ON t.pid = r.transfer_id WHERE t.id = '{theirs}'"
            )
            check(len(holdings) <= 1 and len(datasets) <= 1, "held twice", holdings, datasets)
            # an entry that no witness had seen is lost with the node; then the restored node's log tells what its peer said
            told = times or (own in self._followed(played, plan.source) and plan.restored == plan.source)
            check(not holdings or told, "it arrived and nobody has logged that it left", own, acts)
            if state == "COMPLETED" and not plan.restored:
                check(delivered == 1, "completed, and not delivered", own, acts)
                check(sent[own][0]["state"] == "receipted", "the sender's gate is not done", sent[own])
                check(
                    received and received[0]["state"] == "receipted", "the receiver's gate is not done", came
                )
                check(len(holdings) == len(datasets) == 1, "completed, and nothing is here", own, theirs)
            for holding in holdings:
                released = [_plain(row["data"]) for row in sent.get(own, ()) if row["act"] == "release"]
                if released:
                    check(released[-1]["sha256"] == holding["sha256"], "other bytes came than left", own)
                content = Path(holding["path"]).read_bytes()
                check(
                    hashlib.sha256(content).hexdigest() == holding["sha256"], "the file is another", holding
                )
                check(played.marker.encode() in content, "the file holds other rows", holding)
                check(not any(s.encode() in content for s in played.secret), "more came than may", holding)

    def _followed(self, played: Played, place: str) -> set[str]:
        """The transfers that a restored node knows from its peer to be complete, as its log tells."""
        bodies = [
            json.loads(row["body"])
            for row in self.world.nodes[place].rows(
                "SELECT body FROM log_logentry WHERE kind = 'exchange.reconciled' "
                f"AND body LIKE '%{played.dataset}%'"
            )
        ]
        return {
            body["transfer_id"] for body in bodies if body.get("transfer_id") and body["is"] == "COMPLETED"
        }

    def reconciled(self, played: Played) -> list[str]:
        """The rules that were applied after a restore, as the logs tell them."""
        return [
            f"reconciled: {json.loads(row['body'])['rule']}"
            for node in self.world.nodes.values()
            for row in node.rows(
                "SELECT body FROM log_logentry WHERE kind = 'exchange.reconciled' "
                f"AND body LIKE '%{played.dataset}%'"
            )
        ]

    def logs(self, played: Played) -> None:
        """Every node's log has grown from what it was, and everything new in it has a receipt that proves it offline."""
        for place, node in self.world.nodes.items():
            known = self.leaves.setdefault(place, [])
            if played.plan.restored == place or played.plan.seed % 25 == 0:
                again = node.rows(
                    f'SELECT leaf_hash FROM log_logentry WHERE "index" < {len(known)} ORDER BY "index"'
                )
                check([row["leaf_hash"] for row in again] == known, "acknowledged entries are gone", place)
            new = node.rows(
                'SELECT id, kind, leaf_hash, "index" AS at FROM log_logentry '
                f'WHERE "index" >= {len(known)} ORDER BY "index"'
            )
            check(
                [row["at"] for row in new] == list(range(len(known), len(known) + len(new))),
                "the log has gaps",
                place,
            )
            tree = self.trees.setdefault(place, TreeBuilder())
            if new:
                tree.extend([bytes.fromhex(row["leaf_hash"]) for row in new])
                known += [row["leaf_hash"] for row in new]
            note = Note.parse(node.desk("officer").patiently("/log/checkpoint"))
            head = Checkpoint.parse(note.text)
            check(head.size == len(known), "the checkpoint covers another size", place, head, len(known))
            check(head.root == tree.root(), "the tree did not grow from what it was", place, head)
            for row in new:
                self._receipt(node, row)

    def _receipt(self, node: FaultyNode, row: Mapping[str, Any]) -> None:
        place = node.jurisdiction
        try:
            receipt = node.desk("officer").patiently(f"/log/receipts/{uuid.UUID(str(row['id']))}")
        except GaveUp:
            raise Broken(f"no receipt: {place} {dict(row)}") from None
        verdict = verify_receipt(receipt, self.trust)
        check(
            verdict.proven, "a receipt proves nothing", place, row, [s.text("en") for s in verdict.statements]
        )

    def wire(self, played: Played, exchanges: list[Exchange], *, complete: bool) -> None:
        """Only what was released to that receiver has crossed, in no direction anything else."""
        said = [(exchange, readable(exchange)) for exchange in exchanges]
        forbidden = [secret.encode() for secret in played.secret] + self.keys
        own, marked = played.marker.encode(), False
        names = {place: f"{place}.wantong.example" for place in self.world.nodes}
        for exchange, text in said:
            shown = (exchange.target, exchange.plane, exchange.request[:200])
            for secret in forbidden:
                check(secret not in text, "it crossed the wire", secret[:60], *shown)
            foreign = {found for found in _MARKER.findall(text) if found != own}
            check(not foreign, "rows of another table crossed", foreign, *shown)
            if own in text:
                marked = True
                check(
                    exchange.plane == "data" and exchange.target == played.plan.source,
                    "rows went another way than to their receiver",
                    *shown,
                )
            for token in _JWT.findall(text):
                claims = _claims(token)
                if claims.get("aud") == "wantong-data-plane":
                    check(
                        claims["rcv"] == names[played.plan.target], "somebody else's access", claims, *shown
                    )
                elif not exchange.request.startswith(b"GET /trust/") or "aud" in claims:
                    # (what a node says of its trust is signed and for everybody)
                    check(
                        claims.get("aud") == names[exchange.target], "somebody else's token", claims, *shown
                    )
        check(marked or not complete, "the wire was not watched: nothing was seen on it")

    def remains(self) -> None:
        """Nothing half-made, parked or forgotten lies on any disk."""
        for place, node in self.world.nodes.items():
            parked = node.rows("SELECT topic, key, last_error FROM outbox_event WHERE state = 'parked'")
            check(not parked, "something was given up", place, parked)
            left = [str(path) for path in _left_over(node)]
            check(not left, "something lies around", place, left)
        shared = [path.name for path in self.world.temporary.iterdir()]
        check(not shared, "something lies in the temporary folder", shared)


def _left_over(node: FaultyNode) -> Iterator[Path]:
    for folder in ("outgoing", "incoming", "passing", "declared"):
        yield from (path for path in (node.directory / folder).rglob("*") if path.is_file())
    yield from (path for path in (node.directory / "blobs").glob(".draft/*"))
    for folder in ("keys", "run", "."):
        yield from (p for p in (node.directory / folder).iterdir() if p.name.startswith("."))
    yield from (path for path in (node.directory / "log").rglob("*.new"))


def _secrets(content: bytes) -> Iterator[bytes]:
    """The strings of a key file that nobody else may see: private members of a JWK, the beginning of a key in PEM, or
    the file itself. What follows in a PEM file holds the public key too, and the certificates."""
    if content.startswith(b"-----BEGIN PRIVATE KEY"):
        yield content.split()[3]
        return
    try:
        key = json.loads(content)
    except ValueError:
        yield from (line for line in content.split() if len(line) > 20)
        return
    for name in ("d", "k"):
        if isinstance(key, dict) and isinstance(key.get(name), str):
            yield key[name].encode()


def _claims(token: bytes) -> Mapping[str, Any]:
    part = token.split(b".")[1]
    claims: Mapping[str, Any] = json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    return claims


def _plain(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
