"""Every suite signs and verifies, and what it signs is what others verify: the openssl command checks and is checked."""

from __future__ import annotations

import concurrent.futures
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from hypothesis import given, settings
from hypothesis import strategies as st

from wantong.ground import crypto
from wantong.ground.crypto import Suite, pem, sm2
from wantong.ground.i18n import LANGUAGES

KEYS = {suite: crypto.generate(suite) for suite in Suite}
OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="no openssl command")
by_suite = pytest.mark.parametrize("suite", Suite)


def openssl(*arguments: str | Path, **more) -> subprocess.CompletedProcess:
    return subprocess.run([OPENSSL, *map(str, arguments)], capture_output=True, **more)


@by_suite
@given(
    message=st.binary(max_size=300), other=st.binary(max_size=300), at=st.integers(0), bit=st.integers(0, 7)
)
@settings(max_examples=10)
def test_a_signature_is_good_for_its_message_its_key_and_unaltered(suite, message, other, at, bit):
    key = KEYS[suite]
    signature = key.sign(message)
    assert crypto.verify(suite, key.public, message, signature)
    assert crypto.verify(suite, key.public, other, signature) == (other == message)
    altered = bytearray(signature)
    altered[at % len(altered)] ^= 1 << bit
    assert not crypto.verify(suite, key.public, message, bytes(altered))
    assert not crypto.verify(suite, key.public, message, signature[:-1])
    assert not crypto.verify(suite, key.public, message, signature + b"\0")


@by_suite
def test_another_key_did_not_sign_it(suite):
    signature = KEYS[suite].sign(b"one")
    assert not crypto.verify(suite, crypto.generate(suite).public, b"one", signature)


@by_suite
def test_a_key_survives_its_file(suite):
    again = crypto.load(KEYS[suite].pem(), suite)
    assert again == KEYS[suite]
    assert crypto.verify(suite, KEYS[suite].public, b"x", again.sign(b"x"))
    assert isinstance(again, crypto.Signer)
    assert "PRIVATE" not in repr(again)


def test_the_suite_of_a_key_is_told_by_the_key():
    assert {suite: crypto.suite_of(key.public) for suite, key in KEYS.items()} == {
        suite: Suite.RS256 if suite is Suite.PS256 else suite for suite in Suite
    }


@pytest.mark.parametrize("mine", Suite)
@pytest.mark.parametrize("theirs", Suite)
def test_a_key_of_another_suite_is_refused_and_not_just_wrong(mine, theirs):
    if {mine, theirs} == {Suite.RS256, Suite.PS256}:
        assert not crypto.verify(mine, KEYS[theirs].public, b"x", KEYS[theirs].sign(b"x"))
    elif mine is not theirs:
        with pytest.raises(crypto.BadKey):
            crypto.verify(mine, KEYS[theirs].public, b"x", KEYS[theirs].sign(b"x"))
        with pytest.raises(crypto.BadKey):
            crypto.load(KEYS[theirs].pem(), mine)


def foreign(key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n",
        pem.write("PRIVATE KEY", b"\x30\x03\x02\x01\x00"),
        foreign(ec.generate_private_key(ec.SECP521R1())),
        foreign(dsa.generate_private_key(1024)),
        # the public half of another key
        pem.write(
            "PRIVATE KEY",
            pem.read(KEYS[Suite.SM2SM3].pem(), "PRIVATE KEY")[:-64] + sm2.PrivateKey.generate().public[-64:],
        ),
        pem.write("PRIVATE KEY", pem.read(KEYS[Suite.SM2SM3].pem(), "PRIVATE KEY")[:-5]),
    ],
)
def test_what_is_no_key_of_ours_is_a_problem_with_a_next_step_in_four_languages(text):
    with pytest.raises(crypto.BadKey) as refused:
        crypto.load(text)
    assert all("⟦" not in "".join(refused.value.explain(lang).values()) for lang in LANGUAGES)


@given(r=st.integers(0, 2**256 - 1), s=st.integers(0, 2**256 - 1))
def test_pairs_are_written_both_ways(r, s):
    raw = r.to_bytes(32) + s.to_bytes(32)
    assert crypto.to_raw(crypto.to_der(raw), 32) == raw


@pytest.mark.parametrize("der", [b"", b"0\0", crypto.to_der(b"\xff" * 66), b"0\x06\x02\x01\xff\x02\x01\x01"])
def test_a_pair_that_is_none_or_does_not_fit(der):
    with pytest.raises(ValueError):
        crypto.to_raw(der, 32)


# ------------------------------------------------------------------------------------------------- the openssl command

DIGEST = {
    Suite.ES256: ["-sha256"],
    Suite.ES384: ["-sha384"],
    Suite.RS256: ["-sha256"],
    Suite.PS256: ["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"],
    Suite.SM2SM3: ["-sm3", "-sigopt", "distid:1234567812345678"],
}


def files(tmp_path: Path, suite: Suite) -> tuple[Path, Path, Path]:
    private, public, message = tmp_path / "private.pem", tmp_path / "public.pem", tmp_path / "message"
    private.write_bytes(KEYS[suite].pem())
    public.write_bytes(pem.write("PUBLIC KEY", KEYS[suite].public))
    message.write_bytes("互认 reconhecimento".encode())
    return private, public, message


@needs_openssl
@by_suite
def test_openssl_verifies_what_we_sign_and_we_what_it_signs(tmp_path, suite):
    private, public, message = files(tmp_path, suite)
    written = KEYS[suite].sign(message.read_bytes())
    mine = tmp_path / "signature"
    mine.write_bytes(crypto.to_der(written) if suite.pairs else written)
    theirs = tmp_path / "theirs"
    if suite is Suite.Ed25519:
        checked = openssl(
            "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", message, "-sigfile", mine
        )
        made = openssl("pkeyutl", "-sign", "-inkey", private, "-rawin", "-in", message, "-out", theirs)
    else:
        checked = openssl("dgst", *DIGEST[suite], "-verify", public, "-signature", mine, message)
        made = openssl("dgst", *DIGEST[suite], "-sign", private, "-out", theirs, message)
    assert checked.returncode == 0, checked
    assert made.returncode == 0, made
    signature = theirs.read_bytes()
    raw = crypto.to_raw(signature, suite.pairs) if suite.pairs else signature
    assert crypto.verify(suite, KEYS[suite].public, message.read_bytes(), raw)


@needs_openssl
def test_openssl_finds_a_changed_message(tmp_path):
    _, public, message = files(tmp_path, Suite.SM2SM3)
    signature = tmp_path / "signature"
    signature.write_bytes(crypto.to_der(KEYS[Suite.SM2SM3].sign(message.read_bytes())))
    message.write_bytes(b"another")
    checked = openssl("dgst", *DIGEST[Suite.SM2SM3], "-verify", public, "-signature", signature, message)
    assert checked.returncode == 1


@needs_openssl
def test_a_key_that_openssl_made_can_be_loaded(tmp_path):
    made = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2")
    key = crypto.load(made.stdout)
    assert key.suite is Suite.SM2SM3
    assert crypto.verify(key.suite, key.public, b"x", key.sign(b"x"))


# --------------------------------------------------------------------------------------------------------- SM2 and SM3

# GB/T 32918.5-2017, annex A.2: key, message, identifier and signature as printed there
ANNEX_KEY = bytes.fromhex(
    "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
    "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
)
ANNEX_SIGNATURE = bytes.fromhex(
    "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3"
    "B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"
)


def test_the_example_of_the_sm2_standard():
    public = sm2.POINT + ANNEX_KEY
    assert sm2.verify(public, b"message digest", ANNEX_SIGNATURE)
    assert not sm2.verify(public, b"message digest", ANNEX_SIGNATURE, b"ALICE123@YAHOO.COM")
    assert not sm2.verify(public, b"message digest.", ANNEX_SIGNATURE)


@needs_openssl
def test_openssl_agrees_on_the_example_of_the_sm2_standard(tmp_path):
    public, signature, message = tmp_path / "public.pem", tmp_path / "signature", tmp_path / "message"
    public.write_bytes(pem.write("PUBLIC KEY", sm2.POINT + ANNEX_KEY))
    signature.write_bytes(crypto.to_der(ANNEX_SIGNATURE))
    message.write_bytes(b"message digest")
    checked = openssl("dgst", *DIGEST[Suite.SM2SM3], "-verify", public, "-signature", signature, message)
    assert checked.returncode == 0


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        # GB/T 32905-2016, annex A
        (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
    ],
)
def test_the_examples_of_the_sm3_standard(message, expected):
    assert crypto.digest("sm3", message).hex() == expected


@given(name=st.binary(min_size=1, max_size=40), message=st.binary(max_size=40))
@settings(max_examples=10)
def test_a_signature_is_bound_to_the_identifier(name, message):
    key = KEYS[Suite.SM2SM3]
    private = sm2.PrivateKey(pem.read(key.pem(), "PRIVATE KEY"))
    signature = private.sign(message, name)
    assert sm2.verify(key.public, message, signature, name)
    assert sm2.verify(key.public, message, signature) == (name == sm2.IDENTIFIER)


@given(junk=st.binary(min_size=64, max_size=64))
@settings(max_examples=20)
def test_a_point_off_the_curve_is_no_key(junk):
    with pytest.raises(crypto.BadKey):
        sm2.verify(sm2.POINT + junk, b"x", bytes(64))


@pytest.mark.parametrize(
    "signature", [bytes(64), b"\xff" * 64, bytes(63) + b"\1", b"\0" * 31 + b"\1" + bytes(32)]
)
def test_numbers_out_of_range_sign_nothing(signature):
    assert not sm2.verify(KEYS[Suite.SM2SM3].public, b"x", signature)


def test_many_threads_sign_and_verify_at_once():
    key = KEYS[Suite.SM2SM3]

    def work(number: int) -> bool:
        message = number.to_bytes(4)
        return crypto.verify(key.suite, key.public, message, key.sign(message))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(400)))


def resident() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
def test_nothing_is_left_in_memory():
    def round_() -> None:
        key = sm2.PrivateKey.generate()
        signature = key.sign(b"x")
        # not by the cache of public keys
        library = sm2.library()
        assert library.verify(library.public(key.public), b"x", crypto.to_der(signature), sm2.IDENTIFIER)
        assert not library.verify(library.public(key.public), b"y", crypto.to_der(signature), sm2.IDENTIFIER)
        with pytest.raises(crypto.BadKey):
            library.public(key.public[:-1])

    for _ in range(100):
        round_()
    before = resident()
    for _ in range(250):
        round_()
    # a leaked key alone would be over 1 MiB here
    assert resident() - before < 250 * 1024


NO_SM2 = """
openssl_conf = all
[all]
providers = them
[them]
base = on
[on]
activate = 1
"""


def test_a_libcrypto_without_sm2_says_what_to_do(tmp_path):
    """A libcrypto that is configured to load only the encoders knows no SM2: as one that was built without it."""
    configuration = tmp_path / "openssl.cnf"
    configuration.write_text(NO_SM2)
    code = """
from wantong.ground import crypto
assert not crypto.sm2.available()
try:
    crypto.generate(crypto.Suite.SM2SM3)
except crypto.Sm2Missing as missing:
    print(missing.params["reason"], missing, missing.explain("en")["next"])
key = crypto.generate(crypto.Suite.ES256)
assert crypto.verify(key.suite, key.public, b"x", key.sign(b"x"))
"""
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "OPENSSL_CONF": str(configuration), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stderr
    assert "no-sm2" in said.stdout and "without SM2" in said.stdout
    assert "Install OpenSSL 3 with SM2" in said.stdout


def test_no_library_and_one_of_another_make():
    # libc is a library, but no libcrypto
    for name, reason in (("libnothing.so.9", "no-library"), ("libc.so.6", "old-library")):
        with pytest.raises(crypto.Sm2Missing) as missing:
            sm2.Library.open((name,))
        assert missing.value.params["reason"] == reason
        assert all(name in missing.value.explain(lang)["detail"] for lang in LANGUAGES)
