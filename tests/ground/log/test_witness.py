"""The witness, by every status code of https://c2sp.org/tlog-witness, and what it may never do."""

from __future__ import annotations

import sqlite3
import threading
from base64 import b64encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.ground.log import SigningKey, Witness
from wantong.ground.log.checkpoint import Checkpoint, sign_checkpoint
from wantong.ground.log.merkle import EMPTY_ROOT, consistency_proof, leaf_hash, root_hash
from wantong.ground.log.note import COSIGNATURE, Note
from wantong.ground.log.problems import StorageFailed
from wantong.ground.log.tiles import TileReader, TreeBuilder
from wantong.ground.log.witness import Accepted, AddCheckpoint, judge

LOG = SigningKey.generate("log.example")
SECOND = SigningKey.generate("log.example")
SIGNER = SigningKey.generate("w.example", COSIGNATURE)
LOGS = {"log.example": (LOG.verifier, SECOND.verifier)}


class Tree:
    """A log small enough to keep in memory, with any past."""

    def __init__(self, *entries: bytes) -> None:
        tree = TreeBuilder()
        self.tiles = tree.extend([leaf_hash(entry) for entry in entries])
        self.size = tree.size

    def node(self):
        return TileReader(lambda level, number, width: self.tiles[level, number][: width * 32], self.size)

    def note(self, size: int, signer: SigningKey = LOG, origin: str = "log.example") -> Note:
        return sign_checkpoint(Checkpoint(origin, size, root_hash(size, self.node())), signer)

    def request(self, old: int, new: int, **how) -> bytes:
        return bytes(
            AddCheckpoint(
                old, tuple(consistency_proof(min(old, new), new, self.node())), self.note(new, **how)
            )
        )


HONEST = Tree(*(b"%d" % i for i in range(40)))
FORK = Tree(*(b"%d" % i for i in range(20)), *(b"fork %d" % i for i in range(20)))


@pytest.fixture
def witness(tmp_path):
    witness = Witness(tmp_path, SIGNER)
    yield witness
    witness.close()


def test_a_log_is_followed_as_it_grows(witness):
    for old, new in [(0, 0), (0, 3), (3, 3), (3, 7), (7, 8), (8, 40)]:
        answer = witness.add_checkpoint(HONEST.request(old, new), LOGS, 1000 + new)
        assert answer.status == 200, answer.body
        note = HONEST.note(new)
        [seen] = Note.parse(note.text + b"\n" + answer.body).verify([SIGNER.verifier])
        assert seen.time == 1000 + new
    kept = Note.parse(witness.checkpoint(sha256(b"log.example").hexdigest()))
    assert len(kept.verify([LOG.verifier, SIGNER.verifier])) == 2
    assert witness.checkpoint("00") is None


@pytest.mark.parametrize(
    "request_, status",
    [
        (b"", 400),
        (b"old 0\n\n", 400),
        (b"old 00\n\n" + bytes(HONEST.note(6)), 400),
        (b"old -1\n\n" + bytes(HONEST.note(6)), 400),
        (b"new 5\n\n" + bytes(HONEST.note(6)), 400),
        (b"old 5\nAAAA\n\n" + bytes(HONEST.note(6)), 400),
        (b"old 5\n" + (b64encode(bytes(32)) + b"\n") * 64 + b"\n" + bytes(HONEST.note(6)), 400),
        (b"old 5\n\xc3\xa9\n\n" + bytes(HONEST.note(6)), 400),
        (b"old 5\n\n" + HONEST.note(6).text, 400),
        (b"x" * 300_000, 400),
        (HONEST.request(0, 6, origin="stranger.example"), 404),
        (HONEST.request(5, 6, signer=SigningKey.generate("log.example")), 403),
        (HONEST.request(5, 6).replace(b"log.example ", b"lag.example "), 403),
        (HONEST.request(7, 6), 400),
        (HONEST.request(0, 6), 409),
        (HONEST.request(4, 6), 409),
        (HONEST.request(6, 6), 409),
        (HONEST.request(5, 4), 400),
        (bytes(AddCheckpoint(5, (), HONEST.note(6))), 422),
        (bytes(AddCheckpoint(5, (bytes(32),) * 3, HONEST.note(6))), 422),
        (bytes(AddCheckpoint(5, (bytes(32),), HONEST.note(5))), 422),
        (bytes(AddCheckpoint(5, (), FORK.note(5, origin="log.example"))), 200),
        (HONEST.request(5, 6, signer=SECOND), 200),
        (HONEST.request(5, 40), 200),
    ],
)
def test_each_request_gets_the_status_of_the_specification(witness, request_, status):
    assert witness.add_checkpoint(HONEST.request(0, 5), LOGS, 1).status == 200
    answer = witness.add_checkpoint(request_, LOGS, 2)
    assert (answer.status, answer.body) == (status, answer.body)
    if status == 409:
        assert answer.body == b"5\n"
        assert answer.content_type == "text/x.tlog.size"


def test_two_roots_for_one_size_are_refused(witness):
    assert witness.add_checkpoint(HONEST.request(0, 30), LOGS, 1).status == 200
    assert witness.add_checkpoint(FORK.request(30, 30), LOGS, 2).status == 422
    assert witness.add_checkpoint(FORK.request(30, 31), LOGS, 2).status == 422


def test_an_empty_tree_with_a_root_and_a_proof_from_nothing_are_refused(witness):
    wrong = sign_checkpoint(Checkpoint("log.example", 0, bytes(32)), LOG)
    assert witness.add_checkpoint(bytes(AddCheckpoint(0, (), wrong)), LOGS, 1).status == 422
    assert (
        witness.add_checkpoint(bytes(AddCheckpoint(0, (bytes(32),), HONEST.note(3))), LOGS, 1).status == 422
    )
    assert sign_checkpoint(Checkpoint("log.example", 0, EMPTY_ROOT), LOG) == HONEST.note(0)


def test_a_false_signature_beside_a_true_one_is_refused(witness):
    request = AddCheckpoint.parse(HONEST.request(0, 5))
    false = SECOND.sign(b"something else\n")
    spoilt = AddCheckpoint(0, (), request.note.with_signatures([false]))
    assert witness.add_checkpoint(bytes(spoilt), LOGS, 1).status == 403
    stranger = SigningKey.generate("else.example").sign(request.note.text)
    extra = AddCheckpoint(0, (), request.note.with_signatures([stranger]))
    assert witness.add_checkpoint(bytes(extra), LOGS, 1).status == 200
    # what strangers signed is not kept
    assert b"else.example" not in witness.checkpoint(sha256(b"log.example").hexdigest())


def test_what_was_cosigned_is_on_disk_before_the_answer(witness, tmp_path):
    assert witness.add_checkpoint(HONEST.request(0, 5), LOGS, 1).status == 200
    # a second witness on the same folder, as after kill -9: nothing was closed
    again = Witness(tmp_path, SIGNER)
    assert again.add_checkpoint(HONEST.request(0, 7), LOGS, 2).body == b"5\n"
    assert again.add_checkpoint(HONEST.request(5, 7), LOGS, 2).status == 200
    assert witness.add_checkpoint(FORK.request(5, 25), LOGS, 3).status == 409
    again.close()


def test_what_cannot_be_stored_is_not_cosigned(witness, tmp_path):
    witness._db.execute("PRAGMA query_only = 1")
    with pytest.raises(StorageFailed):
        witness.add_checkpoint(HONEST.request(0, 5), LOGS, 1)
    witness._db.execute("PRAGMA query_only = 0")
    assert witness.add_checkpoint(HONEST.request(0, 5), LOGS, 1).status == 200
    with sqlite3.connect(tmp_path / "witness.db") as db:
        assert db.execute("SELECT count(*) FROM cosigned").fetchone() == (1,)


def test_racing_submissions_never_roll_back(witness, tmp_path):
    other = Witness(tmp_path, SIGNER)
    assert witness.add_checkpoint(HONEST.request(0, 1), LOGS, 1).status == 200
    answers = []

    def submit(by: Witness, tree: Tree, new: int) -> None:
        answers.append((new, tree, by.add_checkpoint(tree.request(1, new), LOGS, 1).status))

    threads = [
        threading.Thread(target=submit, args=((witness, other)[n % 2], (HONEST, FORK)[n // 2 % 2], 22 + n))
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for *_, status in answers) == [200] + [409] * 15
    other.close()


def test_a_witness_needs_a_cosigning_key(tmp_path):
    with pytest.raises(ValueError, match="cosignature"):
        Witness(tmp_path, LOG)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.integers(0, 40)), max_size=12))
def test_whatever_is_submitted_all_that_is_cosigned_is_one_history(submissions):
    """Two logs with one key share their first 20 entries: a witness may follow one of them past that, never both."""
    latest: list[Checkpoint] = []
    cosigned: list[tuple[Tree, int]] = []
    for honest, old, new in submissions:
        tree = HONEST if honest else FORK
        request = AddCheckpoint.parse(tree.request(old, new))
        verdict = judge(request, LOGS, lambda origin: latest[-1] if latest else None)
        if isinstance(verdict, Accepted):
            assert verdict.checkpoint.size >= (latest[-1].size if latest else 0)
            latest.append(verdict.checkpoint)
            cosigned.append((tree, new))
    assert len({id(tree) for tree, size in cosigned if size > 20}) <= 1
