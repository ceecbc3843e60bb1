"""Notes, keys, checkpoints, proofs, requests and trust files: their examples, and whatever else may come in.

The two examples come from the C2SP specifications signed-note and tlog-cosignature (https://c2sp.org, CC BY 4.0);
the policy's shape is that of tlog-policy, with keys of our own.
"""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.ground.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from wantong.ground.log.keys import generate_keys
from wantong.ground.log.note import COSIGNATURE, Note, Signature, SigningKey, VerifierKey
from wantong.ground.log.problems import LogProblem, Malformed, Unproven
from wantong.ground.log.proof import Proof
from wantong.ground.log.trust import Group, Party, Trust
from wantong.ground.log.witness import AddCheckpoint

EXAMPLE_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE_NOTE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
""".encode()
COSIGNED = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
""".encode()

LOG = SigningKey.generate("log.example")
WITNESS = SigningKey.generate("w.example/1", COSIGNATURE)
CHECKPOINT = Checkpoint("log.example", 3, bytes(32))
NOTE = sign_checkpoint(CHECKPOINT, LOG)


def test_the_example_of_the_specification_verifies():
    key = VerifierKey.parse(EXAMPLE_VKEY)
    assert str(key) == EXAMPLE_VKEY
    note = Note.parse(EXAMPLE_NOTE)
    assert bytes(note) == EXAMPLE_NOTE
    assert [v.key for v in note.verify([key])] == [key]
    changed = Note.parse(EXAMPLE_NOTE.replace(b"an example", b"no example"))
    with pytest.raises(Unproven):
        changed.verify([key])


def test_the_example_of_a_cosigned_checkpoint_reads():
    note = Note.parse(COSIGNED)
    checkpoint = Checkpoint.parse(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert bytes(checkpoint) == note.text
    assert int.from_bytes(note.signatures[1].data[:8]) == 1679315147
    assert len(note.signatures[1].data) == 72


def test_text_may_hold_empty_lines_and_any_script():
    text = "第一行\n\né subito sera.\n".encode()
    note = Note(text, (LOG.sign(text),))
    assert Note.parse(bytes(note)) == note
    assert note.verify([LOG.verifier])


def test_signatures_by_strangers_are_ignored_and_false_ones_refuse_the_note():
    stranger = SigningKey.generate("stranger.example")
    note = NOTE.with_signatures([stranger.sign(NOTE.text)])
    assert [v.key for v in note.verify([LOG.verifier])] == [LOG.verifier]
    assert note.verify([]) == []
    forged = NOTE.with_signatures([dataclasses.replace(LOG.sign(NOTE.text), data=bytes(64))])
    with pytest.raises(Unproven):
        forged.verify([LOG.verifier])
    short = NOTE.with_signatures([dataclasses.replace(LOG.sign(NOTE.text), data=bytes(63))])
    with pytest.raises(Unproven):
        short.verify([LOG.verifier])
    assert NOTE.with_signatures(NOTE.signatures) == NOTE


def test_cosignatures_bind_the_time_and_the_text():
    cosigned = NOTE.with_signatures([WITNESS.sign(NOTE.text, 20), WITNESS.sign(NOTE.text, 10)])
    [seen] = cosigned.verify([WITNESS.verifier])
    assert seen.time == 10  # the earliest that holds
    late = cosigned.signatures[1]
    moved = dataclasses.replace(late, data=(21).to_bytes(8) + late.data[8:])
    for wrong in (moved, dataclasses.replace(late, data=bytes(8) + late.data[8:])):
        with pytest.raises(Unproven):
            WITNESS.verifier.verify(NOTE.text, wrong)
    with pytest.raises(Unproven):
        WITNESS.verifier.verify(NOTE.text + b"x\n", late)
    with pytest.raises(ValueError, match="time"):
        WITNESS.sign(NOTE.text)
    with pytest.raises(ValueError, match="time"):
        LOG.sign(NOTE.text, 5)


def test_one_seed_used_for_log_and_witness_has_two_identities():
    other = SigningKey(LOG.name, COSIGNATURE, LOG.seed)
    assert other.verifier.id != LOG.verifier.id
    assert open_checkpoint(NOTE, (LOG.verifier,)) == CHECKPOINT
    with pytest.raises(Unproven):
        open_checkpoint(NOTE, (other.verifier,))


def test_secret_keys_read_back_and_do_not_show():
    for key in (LOG, WITNESS):
        assert SigningKey.loads(key.dumps() + "\n") == key
        assert key.seed.hex() not in repr(key)
        assert repr(key.seed)[2:-1] not in repr(key)
    for broken in (
        "",
        "PRIVATE+KEY+x",
        LOG.dumps()[:-4],
        LOG.dumps().replace("log.", "lag."),
        str(LOG.verifier),
    ):
        with pytest.raises(Malformed):
            SigningKey.loads(broken)
    with pytest.raises(Malformed):
        SigningKey.generate("has space")


def test_key_files_are_private_and_never_overwritten(tmp_path):
    first = generate_keys(tmp_path / "keys", "gd.example")
    assert {p.stat().st_mode & 0o777 for p in (tmp_path / "keys").iterdir()} == {0o600}
    assert generate_keys(tmp_path / "keys", "gd.example") == first
    assert first.witness.name == "gd.example/witness"
    assert sorted(p.name for p in (tmp_path / "keys").iterdir()) == ["log.key", "witness.key"]


@pytest.mark.parametrize(
    "vkey",
    [
        "", "a+b+c", "a++", EXAMPLE_VKEY[:-1], EXAMPLE_VKEY + "=", EXAMPLE_VKEY.replace("530d", "530D"),
        EXAMPLE_VKEY.replace("foo", "fo o"), EXAMPLE_VKEY.replace("530d903a", "530d903b"), "+530d903a+AekyeRrm",
        EXAMPLE_VKEY.replace("+Ae", "+Ye"), EXAMPLE_VKEY[:-4],
    ],
)  # fmt: skip
def test_broken_verifier_keys_are_refused(vkey):
    with pytest.raises(Malformed):
        VerifierKey.parse(vkey)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\n", b"\n\n", b"text\n", b"text\n\n", b"text\n\nx\n", EXAMPLE_NOTE[:-1], EXAMPLE_NOTE[:-3] + b"\n",
        EXAMPLE_NOTE.replace(b"Th", b"\r"), EXAMPLE_NOTE.replace(b"This", b"\xff"), EXAMPLE_NOTE + b"\n",
        EXAMPLE_NOTE.replace(b"foo Uw", b"foo  Uw"), EXAMPLE_NOTE.replace("— ".encode(), b"- "),
        EXAMPLE_NOTE + EXAMPLE_NOTE.split(b"\n\n")[1] * 101, b"x" * 300_000,
        EXAMPLE_NOTE.split(b"\n\n")[0] + "\n\n— a AAAAAA==\n".encode(),
        EXAMPLE_NOTE.replace("— example.com/foo".encode(), "— example.com+foo".encode()),
    ],
)  # fmt: skip
def test_broken_notes_are_refused(data):
    with pytest.raises(Malformed):
        Note.parse(data)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"o\n1\n", b"o\n01\n" + b"A" * 43 + b"=\n", b"o\n-1\n" + b"A" * 43 + b"=\n", b"\n1\n" + b"A" * 43 + b"=\n",
        b"o\n1\n" + b"A" * 43 + b"=", b"o\n1\nAAAA\n", b"o\n1\n" + b"A" * 43 + b"=\n\n", b"o\n1\n" + b"A" * 42 + b"B=\n",
        b"o\n9223372036854775808\n" + b"A" * 43 + b"=\n", "o\n１\n".encode() + b"A" * 43 + b"=\n",
    ],
)  # fmt: skip
def test_broken_checkpoints_are_refused(text):
    with pytest.raises(Malformed):
        Checkpoint.parse(text)


def test_extension_lines_are_kept_and_signed():
    extended = dataclasses.replace(CHECKPOINT, extensions=("one", "two 2"))
    note = sign_checkpoint(extended, LOG)
    assert open_checkpoint(Note.parse(bytes(note)), (LOG.verifier,)) == extended


# --- anything that comes in is read or refused, never more ------------------------------------------------------

PROOF = Proof(1, (bytes(32), b"\x01" * 32), NOTE, b"entry")
REQUEST = AddCheckpoint(2, (bytes(32),), NOTE)
POLICY = f"""# who counts
log {LOG.verifier} https://log.example/
witness W1 {WITNESS.verifier}
group all-of-them all W1
quorum all-of-them
""".encode()
TRUST = Trust(
    (Party("log.example", {"en": "The log"}, "hk", "https://x", LOG.verifier, WITNESS.verifier),), 1
)

PARSERS = {
    "note": (Note.parse, bytes(NOTE)),
    "checkpoint": (Checkpoint.parse, bytes(CHECKPOINT)),
    "proof": (Proof.parse, bytes(PROOF)),
    "request": (AddCheckpoint.parse, bytes(REQUEST)),
    "trust": (Trust.parse, TRUST.dumps().encode()),
    "policy": (Trust.parse, POLICY),
    "vkey": (lambda b: VerifierKey.parse(b.decode("utf-8", "replace")), EXAMPLE_VKEY.encode()),
    "skey": (lambda b: SigningKey.loads(b.decode("utf-8", "replace")), LOG.dumps().encode()),
    "signature": (lambda b: Signature.parse(b.decode("utf-8", "replace")), EXAMPLE_NOTE.splitlines()[2]),
}


@pytest.mark.parametrize("what", PARSERS)
def test_good_ones_read(what):
    parse, good = PARSERS[what]
    value = parse(good)
    if what in ("note", "checkpoint", "proof", "request"):
        assert bytes(value) == good


@pytest.mark.parametrize("what", PARSERS)
@given(data=st.data())
def test_any_bytes_are_read_or_refused_with_a_typed_error(what, data):
    parse, good = PARSERS[what]
    if data.draw(st.booleans()):
        raw = data.draw(st.binary(max_size=400))
    else:
        # a good one with a few places changed gets deeper than noise
        raw = bytearray(good)
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(raw)))
            match data.draw(st.sampled_from(["cut", "insert", "replace", "repeat"])):
                case "cut":
                    del raw[at : at + data.draw(st.integers(1, 40))]
                case "insert":
                    raw[at:at] = data.draw(
                        st.binary(min_size=1, max_size=8) | st.sampled_from([b"\n", b"\n\n", b"+"])
                    )
                case "replace":
                    raw[at : at + 1] = data.draw(st.binary(min_size=1, max_size=1))
                case "repeat":
                    raw[at:at] = raw[max(0, at - 60) : at]
        raw = bytes(raw)
    try:
        value = parse(raw)
    except LogProblem as problem:
        for lang in ("zh-hans", "zh-hant", "en", "pt"):
            assert "⟦" not in "".join(problem.explain(lang).values())
        return
    if what in ("note", "checkpoint", "proof", "request"):
        # what is accepted has one spelling only, so no two files can claim to be one proof
        assert bytes(value) == raw


# --- trust files ------------------------------------------------------------------------------------------------


def test_a_trust_file_reads_back():
    assert Trust.parse(TRUST.dumps().encode()) == TRUST
    assert TRUST.log("log.example") is TRUST.parties[0]
    assert TRUST.log("other.example") is None
    assert TRUST.log_keys() == {"log.example": (LOG.verifier,)}
    assert TRUST.witnesses("log.example") == {}  # its own witness proves nothing
    assert TRUST.witnesses("other.example") == {WITNESS.verifier: TRUST.parties[0]}
    assert TRUST.peers("log.example") == ()
    assert TRUST.peers("other.example") == TRUST.parties


def test_odd_texts_survive_the_trust_file():
    odd = dataclasses.replace(TRUST.parties[0], names={"en": 'a"b\\c\x7f\n', "zh-hant": "香港"}, url="")
    assert Trust.parse(Trust((odd,), 0).dumps().encode()) == Trust((odd,), 0)


@pytest.mark.parametrize(
    "text",
    [
        "", "x = 1", "quorum = 1", "quorum = true\n[[node]]\nid='a'", "quorum = -1\n[[node]]\nid='a'", "[[node]]",
        "[[node]]\nid = 5", "[[node]]\nid = ''", "[[node]]\nid='a'\nunknown='x'", "[[node]]\nid='a'\nname='x'",
        "node = [1]", "[[node]]\nid='a'\n[[node]]\nid='a'", f"[[node]]\nid='a'\nlog='{LOG.verifier}'",
        f"[[node]]\nid='log.example'\nlog='{WITNESS.verifier}'", f"[[node]]\nid='a'\nwitness='{LOG.verifier}'",
        f"[[node]]\nid='a'\nwitness='{WITNESS.verifier}'\n[[node]]\nid='b'\nwitness='{WITNESS.verifier}'",
        "log x", "quorum none\nquorum none", "quorum nobody", f"log {LOG.verifier}", f"witness none {WITNESS.verifier}",
        f"witness a {WITNESS.verifier}\nwitness b {WITNESS.verifier}\nquorum a",
        f"witness a {WITNESS.verifier}\ngroup g 2 a\nquorum g", f"witness a {WITNESS.verifier}\ngroup g 0 a\nquorum g",
        f"witness a {WITNESS.verifier}\ngroup g any a a\nquorum g", f"witness a {WITNESS.verifier}\ngroup g any b\nquorum g",
        f"witness a {WITNESS.verifier}\ngroup g any a\ngroup h any a\nquorum h", f"witness a {LOG.verifier}\nquorum a",
        "quorum none\n\x01", "log\tx\x7f", "a" * 2_000_000,
    ],
    ids=itertools.count(),  # the keys are new every time, and the workers must agree on names
)  # fmt: skip
def test_broken_trust_files_are_refused(text):
    with pytest.raises(Malformed):
        Trust.parse(text.encode())


def test_a_policy_with_groups_decides_as_written():
    keys = {
        n: SigningKey.generate(f"{n}.example", COSIGNATURE).verifier for n in ("x1", "x2", "x3", "y1", "y2")
    }
    lines = [f"log\t{LOG.verifier}", *(f"witness {n} {k} https://{n}.example/" for n, k in keys.items())]
    lines += ["  group X 2 x1 x2 x3", "group Y any y1 y2", "# both", "group both all X Y", "quorum both"]
    trust = Trust.parse("\n".join(lines).encode())
    assert trust.witnesses("log.example").keys() == set(keys.values())

    def enough(*names: str) -> bool:
        return trust.enough(keys[n] for n in names)

    assert enough("x1", "x3", "y2")
    assert not enough("x1", "y1", "y2")
    assert not enough("x1", "x2", "x3")
    assert Trust.parse(b"quorum none").enough(())
    single = Trust.parse("\n".join([*lines[:6], "quorum x1"]).encode())
    assert single.enough([keys["x1"]]) and not single.enough([keys["x2"]])
    with pytest.raises(ValueError, match="TOML"):
        single.dumps()


def test_deeply_nested_groups_are_bounded():
    lines = [
        f"witness g0 {WITNESS.verifier}",
        *(f"group g{i} any g{i - 1}" for i in range(1, 256)),
        "quorum g255",
    ]
    trust = Trust.parse("\n".join(lines).encode())
    assert isinstance(trust.group, Group) and trust.enough([WITNESS.verifier])
    with pytest.raises(Malformed):
        Trust.parse("\n".join([*lines[:-1], "group last any g255", "quorum last"]).encode())
