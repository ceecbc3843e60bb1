"""What a receipt proves, and every way in which it does not; the command, in four languages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from wantong.cli import main
from wantong.ground import i18n
from wantong.ground import log as package
from wantong.ground.http.fetch import REASONS
from wantong.ground.log import Party, SigningKey, Trust, salted_digest, verify_receipt
from wantong.ground.log.note import COSIGNATURE, Note
from wantong.ground.log.problems import Malformed
from wantong.ground.log.proof import Proof
from wantong.ground.log.verify import parse_salt

SALT = bytes(range(32))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "学位证书.pdf"
    path.write_bytes(b"a degree\n" * 100_000)
    return path


def log_entry(bay, **body) -> bytes:
    entry = json.dumps({"kind": "crossing.released", "time": "2026-11-21T02:30:00Z"} | body).encode()
    index = bay.log.append(entry).index
    bay.cosign("gd", "mo")
    return bay.log.receipt(index, bay.trust)


def digest(path: Path) -> str:
    return "sha256:" + sha256(path.read_bytes()).hexdigest()


def why_not(verdict) -> str:
    assert not verdict.proven
    statement = verdict.statements[-1]
    assert not statement.holds
    return statement.params["problem"].reason


def test_a_good_receipt_says_who_what_when_and_which_witnesses(bay, file):
    verdict = verify_receipt(log_entry(bay, payload={"sha256": digest(file)}), bay.trust, file)
    assert verdict.proven and verdict.file
    assert verdict.log.id == "hk.test.example"
    assert {s.witness.id for s in verdict.sightings} == {"gd.test.example", "mo.test.example"}
    assert verdict.explain("en") == [
        "Hong Kong node wrote this into its log as entry 0: “crossing.released”, dated 2026-11-21 10:30:00 (UTC+8) by that node.",
        "Guangdong node saw it there no later than 2025-11-21 09:53:20 (UTC+8).",
        "Macao node saw it there no later than 2025-11-21 09:53:20 (UTC+8).",
        "学位证书.pdf is exactly the file that was logged.",
    ]
    assert verdict.explain("zh-hant")[0].startswith("香港節點已將其寫入日誌，序號 0")
    assert verdict.to_dict("pt")["witnesses"][0]["time"] == "2025-11-21T01:53:20Z"


def test_one_changed_byte_of_the_file_is_caught(bay, file):
    receipt = log_entry(bay, payload={"sha256": digest(file).removeprefix("sha256:")})
    assert verify_receipt(receipt, bay.trust, file).proven
    data = bytearray(file.read_bytes())
    data[500_000] ^= 1
    file.write_bytes(data)
    verdict = verify_receipt(receipt, bay.trust, file)
    assert why_not(verdict) == "file-differs"
    assert verdict.file is False


def test_a_salted_digest_needs_its_salt(bay, file):
    receipt = log_entry(bay, payload={"salted_sha256": salted_digest(file, SALT)})
    assert verify_receipt(receipt, bay.trust, file, salt=SALT).file
    assert why_not(verify_receipt(receipt, bay.trust, file)) == "salt-missing"
    assert why_not(verify_receipt(receipt, bay.trust, file, salt=SALT[:16])) == "file-differs"
    assert digest(file) not in receipt.decode()


@pytest.mark.parametrize(
    "payload", [None, 5, "x", {}, {"sha256": 5}, {"sha256": "md5:0"}, {"sha256": "A" * 64}]
)
def test_an_entry_that_names_no_file_says_nothing_about_one(bay, file, payload):
    receipt = log_entry(bay, payload=payload)
    assert verify_receipt(receipt, bay.trust).proven
    assert why_not(verify_receipt(receipt, bay.trust, file)) == "file-not-named"


def test_entries_that_are_no_json_are_proven_all_the_same(bay):
    for entry in (
        b"\xff\xfe",
        b"[1]",
        b"[" * 60_000,
        b'{"kind": 5}',
        b'{"kind":"k","time":"\\ud800"}',
        b'{"a":NaN}',
    ):
        index = bay.log.append(entry).index
        bay.cosign("gd")
        verdict = verify_receipt(bay.log.receipt(index, bay.trust), bay.trust)
        assert verdict.proven
        assert verdict.statements[0].code == "verdict.logged-opaque"


def test_words_of_strangers_cannot_play_with_the_terminal(bay):
    receipt = log_entry(bay, kind="\x1b[2JProven\u202e" + "x" * 60_000)
    [logged, *_] = verify_receipt(receipt, bay.trust).explain("en")
    assert "\x1b" not in logged and "\u202e" not in logged and len(logged) < 700
    assert verify_receipt(receipt, bay.trust).proven
    unknown = receipt.replace(b"hk.test.example\n", "x\u009b2J\n".encode())
    assert "\u009b" not in "".join(verify_receipt(unknown, bay.trust).explain("en"))


@pytest.mark.parametrize(
    "time", ["soon", "9999-12-31T23:59:59Z", "2026-11-21T02:30:00", "0001-01-01T00:00:00+14:00", ""]
)
def test_a_time_that_is_none_is_told_as_it_stands(bay, time):
    verdict = verify_receipt(log_entry(bay, time=time), bay.trust)
    assert verdict.proven and f"dated {time} by" in verdict.explain("en")[0]


def test_each_way_not_to_prove(bay):
    receipt = log_entry(bay, n=1)
    other = log_entry(bay, n=2)
    proof, second = Proof.parse(receipt), Proof.parse(other)
    gd, mo, hk = (bay.witnesses[p] for p in ("gd", "mo", "hk"))

    def reason(changed: Proof | bytes, trust: Trust = bay.trust) -> str:
        return why_not(verify_receipt(bytes(changed), trust))

    def signed_by(*signatures) -> Proof:
        own = proof.checkpoint.signatures[:1]
        return replace(proof, checkpoint=Note(proof.checkpoint.text, (*own, *signatures)))

    text = proof.checkpoint.text
    assert reason(b"") == "truncated"
    assert reason(receipt.replace(b"@v1", b"@v2")) == "header"
    assert reason(replace(proof, extra=None)) == "no-entry"
    assert reason(replace(proof, extra=proof.extra + b" ")) == "inclusion"
    assert reason(replace(proof, index=1)) == "inclusion"
    assert reason(replace(second, index=0)) == "inclusion"
    assert reason(replace(second, hashes=())) == "inclusion"
    assert reason(replace(second, hashes=(bytes(32),))) == "inclusion"
    assert reason(replace(second, checkpoint=proof.checkpoint)) == "inclusion"
    stranger = SigningKey.generate("hk.test.example")
    assert reason(replace(proof, checkpoint=Note(text, (stranger.sign(text),)))) == "log-signature"
    assert reason(receipt.replace(b"hk.test.example\n", b"xx.test.example\n")) == "unknown-log"
    false = replace(bay.signer.sign(text), data=bytes(64))
    assert reason(replace(proof, checkpoint=Note(text, (false,)))) == "signature"
    assert reason(signed_by()) == "quorum"
    assert reason(signed_by(hk.sign(text, 5))) == "quorum"  # its own witness
    assert reason(signed_by(SigningKey.generate(gd.name, COSIGNATURE).sign(text, 5))) == "quorum"
    assert reason(signed_by(replace(gd.sign(text, 5), data=bytes(72)))) == "signature"
    assert reason(signed_by(gd.sign(text, 5), gd.sign(text, 6)), Trust(bay.trust.parties, 2)) == "quorum"
    assert verify_receipt(
        bytes(signed_by(gd.sign(text, 5), mo.sign(text, 6))), Trust(bay.trust.parties, 2)
    ).proven
    # the bytes of an Ed25519 log signature under the witness's name prove nothing
    assert (
        reason(signed_by(replace(bay.signer.sign(text), name=gd.name, key_id=gd.verifier.id))) == "signature"
    )


def test_a_time_beyond_all_calendars_is_told_and_does_not_break(bay):
    receipt = log_entry(bay)
    proof = Proof.parse(receipt)
    text = proof.checkpoint.text
    note = Note(text, (proof.checkpoint.signatures[0], bay.witnesses["gd"].sign(text, 2**63 - 1)))
    verdict = verify_receipt(bytes(replace(proof, checkpoint=note)), bay.trust)
    assert verdict.proven and verdict.sightings[0].at.year == 9999
    assert verdict.explain("pt") and verdict.to_dict()


@given(data=st.data())
def test_a_receipt_with_anything_changed_proves_nothing_else(data):
    """Whatever is done to a receipt, it is refused, or it still proves the very same entry."""
    at = data.draw(st.integers(0, len(GOOD) - 1))
    changed = bytearray(GOOD)
    if data.draw(st.booleans()):
        changed[at] = data.draw(st.integers(0, 255))
    else:
        changed[at : at + data.draw(st.integers(1, 50))] = data.draw(st.binary(max_size=10))
    verdict = verify_receipt(bytes(changed), GOOD_TRUST)
    if verdict.proven:
        assert (verdict.entry, verdict.index) == ({"kind": "k", "time": "t"}, 0)
    for lang in i18n.LANGUAGES:
        assert "⟦" not in "".join(verdict.explain(lang))


def _good() -> tuple[bytes, Trust]:
    from wantong.ground.log.checkpoint import Checkpoint, sign_checkpoint
    from wantong.ground.log.merkle import leaf_hash, node_hash

    log, witness = SigningKey.generate("a"), SigningKey.generate("b", COSIGNATURE)
    entry = b'{"kind":"k","time":"t"}'
    note = sign_checkpoint(Checkpoint("a", 2, node_hash(leaf_hash(entry), bytes(32))), log)
    note = note.with_signatures([witness.sign(note.text, 9)])
    trust = Trust((Party("a", log=log.verifier), Party("b", witness=witness.verifier)))
    return bytes(Proof(0, (bytes(32),), note, entry)), trust


GOOD, GOOD_TRUST = _good()


# --- the texts --------------------------------------------------------------------------------------------------


def test_every_sentence_the_code_can_say_exists_in_four_languages():
    source = "".join(p.read_text() for p in Path(package.__file__).parent.glob("*.py"))
    codes = {
        f"log.malformed.{c}" for c in re.findall(r'Malformed\(\s*(?:"[a-z-]+"|thing), "([a-z0-9-]+)"', source)
    }
    codes |= {f"log.thing.{c}" for c in re.findall(r'Malformed\("([a-z-]+)"', source)}
    codes |= {f"log.unproven.{c}" for c in re.findall(r'Unproven\(\s*"([a-z-]+)"', source)}
    codes |= {
        f"log.witness.{c}"
        for c in re.findall(r'(?:Unreachable\(|WitnessFailed\(peer\.id, )"([a-z-]+)"', source)
    } | {f"log.witness.{reason}" for reason in REASONS}
    codes |= {f"log.{c}" for c in re.findall(r'"((?:verdict|audit)\.[a-z-]+)"', source)}
    codes |= {
        f"problem.{c}.{p}"
        for c in re.findall(r'slug = "([a-z-]+)"', source)
        for p in ("title", "detail", "next")
    }
    assert len(codes) > 90
    for code in codes:
        for lang in i18n.LANGUAGES:
            assert i18n.catalogue().get(code, {}).get(lang), f"{code} in {lang}"


# --- the command ------------------------------------------------------------------------------------------------


@pytest.fixture
def files(bay, file, tmp_path):
    trust = tmp_path / "trust.toml"
    trust.write_text(bay.trust.dumps())
    receipt = tmp_path / "degree.tlog-proof"
    receipt.write_bytes(log_entry(bay, payload={"salted_sha256": salted_digest(file, SALT)}))
    return str(receipt), str(file), str(trust)


def run(*arguments: str):
    return CliRunner().invoke(main, ["verify", *arguments])


def test_the_command_proves_in_words(files, tmp_path):
    receipt, file, trust = files
    result = run(receipt, file, "--trust", trust, "--salt", SALT.hex(), "--lang", "zh-hans")
    assert result.exit_code == 0
    assert result.output.splitlines()[0] == "已获证明"
    assert "✓ 学位证书.pdf 与登记的文件完全一致。" in result.output
    # the salt in the receipt's companion
    (tmp_path / "degree.salt").write_text(SALT.hex() + "\n")
    assert run(receipt, file, "--trust", trust).exit_code == 0
    told = json.loads(run(receipt, "--trust", trust, "--json").output)
    assert told["proven"] and told["file"] is None and told["log"] == "hk.test.example"


def test_the_command_says_why_not(files):
    receipt, file, trust = files
    result = run(receipt, file, "--trust", trust)
    assert result.exit_code == 1
    assert result.output.splitlines()[0] == "Not proven"
    assert "✗" in result.output and "salt" in result.output
    told = json.loads(run(receipt, file, "--trust", trust, "--json").output)
    assert not told["proven"] and told["statements"][-1]["code"] == "verdict.refused"


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_what_a_log_says_is_shown_and_not_obeyed(bay, tmp_path, option):
    hostile = "x\x1b]0;owned\x07\x1b[2J\u202e\x9b"
    receipt, trust = tmp_path / "r.tlog-proof", tmp_path / "trust.toml"
    receipt.write_bytes(log_entry(bay, kind=hostile, time=hostile))
    trust.write_text(bay.trust.dumps())
    said = run(str(receipt), "--trust", str(trust), *option).output
    assert "owned" in said
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", said)


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["{receipt}"], ["{receipt}", "{file}"], ["missing", "--trust", "{trust}"],
        ["{receipt}", "--trust", "{receipt}"], ["{receipt}", "--trust", "{trust}", "--salt", "xyz"],
        ["{receipt}", "--trust", "{trust}", "--salt", "00"], ["{receipt}", "--trust", "{trust}", "--lang", "fr"],
    ],
)  # fmt: skip
def test_wrong_questions_are_status_2(files, arguments):
    receipt, file, trust = files
    result = run(*(a.format(receipt=receipt, file=file, trust=trust) for a in arguments))
    assert result.exit_code == 2
    assert "Error" in result.output


def test_a_receipt_of_any_size_is_refused_without_reading_it_all(files, tmp_path):
    huge = tmp_path / "huge.tlog-proof"
    with huge.open("wb") as file:
        file.truncate(10**10)
    assert run(str(huge), "--trust", files[2]).exit_code == 1


def test_verifying_loads_no_django_and_no_network(files):
    receipt, file, trust = files
    code = (
        "import sys\n"
        "from wantong.cli import main\n"
        "try: main()\n"
        "except SystemExit as e: assert e.code == 0, e.code\n"
        "assert not {'django', 'httpx', 'httpcore', 'ssl'} & set(sys.modules), sys.modules.keys()\n"
    )
    arguments = ["verify", receipt, file, "--trust", trust, "--salt", SALT.hex()]
    source = str(Path(package.__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_salts():
    assert parse_salt(" 00112233445566778899aabbccddeeff\n") == bytes.fromhex(
        "00112233445566778899aabbccddeeff"
    )
    for text in ("", "0", "zz" * 16, "00" * 15, "00" * 1025):
        with pytest.raises(Malformed):
            parse_salt(text)


def test_short_salts_hide_nothing_and_are_refused(file):
    with pytest.raises(Malformed):
        salted_digest(file, b"short")


# --- keys that were left behind ---------------------------------------------------------------------------------


def test_a_key_that_was_left_behind_proves_what_a_witness_saw_before_and_nothing_after():
    from datetime import UTC, datetime

    from wantong.ground.log import Keys
    from wantong.ground.log.checkpoint import Checkpoint, sign_checkpoint
    from wantong.ground.log.merkle import leaf_hash

    old, new = SigningKey.generate("a"), SigningKey.generate("a")
    seen, renewed = SigningKey.generate("b", COSIGNATURE), SigningKey.generate("b", COSIGNATURE)
    left = datetime(2026, 6, 1, tzinfo=UTC)
    before, after = int(left.timestamp()) - 60, int(left.timestamp()) + 60
    trust = Trust(
        (
            Party("a", log=new.verifier, also=(Keys(log=old.verifier, until=left),)),
            Party("b", witness=renewed.verifier, also=(Keys(witness=seen.verifier, until=left),)),
        )
    )
    entry = b'{"kind":"k","time":"t"}'

    def proven(signers, witness, at) -> bool:
        note = sign_checkpoint(Checkpoint("a", 1, leaf_hash(entry)), *signers)
        note = note.with_signatures([witness.sign(note.text, at)])
        return verify_receipt(bytes(Proof(0, (), note, entry)), trust).proven

    assert proven([old], seen, before)
    assert (
        proven([old, new], seen, before)
        and proven([new], renewed, after)
        and proven([old, new], renewed, after)
    )
    assert not proven([old], renewed, after), "a stolen old key signs nothing new"
    assert not proven([new], seen, after), "nor does a stolen old key of a witness cosign"
    assert Trust.parse(trust.dumps().encode()).parties == trust.parties


def test_two_keys_of_one_witness_are_one_witness():
    from wantong.ground.log import Keys

    first, second = (SigningKey.generate("b", COSIGNATURE) for _ in range(2))
    party = Party("b", witness=first.verifier, also=(Keys(witness=second.verifier),))
    trust = Trust((party,), quorum=2)
    assert not trust.enough([first.verifier, second.verifier])
    assert Trust((party,), quorum=1).enough([second.verifier])
