"""Every identifier against published vectors, and the vectorised checks against the readable ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.gate.classification import checks
from wantong.border.gate.classification import identifiers as ids

# Source of each vector: GB 11643-1999 annex A (11010519491231002X, 440524188001010014); the reference table of
# identifiers (A123456(3), AB987654(3), E364912(5)); ICAO Doc 9303 parts 4-6 specimens (UTOPIA); GB 32100-2015
# codes of listed companies as published in their annual reports; the Visa test number of the card industry.
RIGHT = {
    ids.is_cn_id: ["11010519491231002X", "440524188001010014"],
    ids.is_cn_id_old: ["110105491231002", "440524800101001"],
    ids.is_hkid: ["A123456(3)", "AB987654(3)", "E364912(5)", "A1234563"],
    ids.is_luhn: ["4111111111111111", "79927398713"],
    ids.is_bank_card: ["4111111111111111", "5555555555554444", "378282246310005"],
    ids.is_uscc: ["91440300708461136T", "914403001922038216", "91350100M000100Y43"],
    ids.is_mrz_line: [
        "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
        "D231458907UTO7408122F1204159<<<<<<<6",
        "7408122F1204159UTO<<<<<<<<<<<6",
    ],
    ids.is_mo_bir: ["1234567(8)", "5123456/7", "71234560"],
    ids.is_home_return_permit: ["H12345678", "M1234567801"],
    ids.is_exit_permit: ["C12345678", "CA1234567", "W12345678"],
    ids.is_passport: ["E12345678", "EA1234567", "G12345678", "K12345678", "HA12345678", "MA1234567"],
    ids.is_phone: [
        "13800138000",
        "+86 138 0013 8000",
        "0755-83212345",
        "+852 2123 4567",
        "+853 6612 3456",
        "00852 91234567",
    ],
    ids.is_plate: ["粤B12345", "粤B·D12345", "粤ZF023港", "粤ZA123澳", "京A0000警"],
    ids.is_email: ["a@b.mo", "chan.tm+x@mail.example.com.hk"],
}
WRONG = {
    ids.is_cn_id: [
        "110105194912310021",
        "440524188013010014",
        "990105194912310024",
        "11010519491231002",
        "１10105194912310021",
    ],
    ids.is_cn_id_old: ["110105491331002", "990105491231002", "110105010229002", "11010549123100"],
    ids.is_cn_permit: ["11010519491231002X"],
    ids.is_hkid: ["A123456(9)", "A12345(3)", "123456(3)", "A123456(3", "A123456[3]"],
    ids.is_bank_card: ["4111111111111112", "0000000000000000", "1234567812345670"],
    ids.is_uscc: ["91440300708461136X", "914403007084611360", "81440300708461136T"],
    ids.is_mrz_line: [
        "L898902C36UTO7408123F1204159ZE184226B<<<<<10",
        "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
    ],
    ids.is_mo_bir: ["2234567(8)", "1234567(A)"],
    ids.is_exit_permit: ["CI1234567", "CO1234567", "C1234567"],
    ids.is_phone: ["12800138000", "+852 1123 4567", "+1 202 555 0143", "61234567"],
    ids.is_plate: ["粤12345", "国B12345", "粤BABCDE"],
    ids.is_email: ["a@b", "a..b@c.com", "@c.com", "a@1.2.3.4"],
}


@pytest.mark.parametrize(("check", "text"), [(c, t) for c, ts in RIGHT.items() for t in ts])
def test_right(check, text):
    assert check(ids.tidy(text) if check not in (ids.is_email, ids.is_phone, ids.is_mrz_line) else text)


@pytest.mark.parametrize(("check", "text"), [(c, t) for c, ts in WRONG.items() for t in ts])
def test_wrong(check, text):
    assert not check(text)


@pytest.mark.parametrize("area", sorted(ids.PERMIT_AREAS))
def test_permits_of_hong_kong_macao_and_taiwan_residents(area):
    number = area + "19900307123"
    assert ids.is_cn_permit(number + ids.cn_check_digit(number))
    assert not ids.is_cn_id(number + ids.cn_check_digit(number))


def test_hkid_letters_start_at_ten():
    # a public routine maps A to 1 and finds 9 here
    assert ids.hkid_check_digit("A", "123456") == "3"


def test_tidy_narrows_and_raises():
    assert ids.tidy("ａ１２３４５６（３）") == "A123456(3)"
    assert ids.tidy("1101 0519-4912-3100 2x") == "11010519491231002X"


digits = "0123456789"
TWINS = [
    (
        "cn-id",
        ids.is_cn_id,
        st.tuples(st.text(digits, min_size=17, max_size=17), st.sampled_from(digits + "X")).map("".join),
    ),
    (
        "cn-id",
        ids.is_cn_id,
        st.builds(
            lambda a, d, s: (n := f"{a}{d.isoformat().replace('-', '')}{s:03d}") + ids.cn_check_digit(n),
            st.sampled_from(["440301", "110105", "991234", "810000"]),
            st.dates(),
            st.integers(0, 999),
        ),
    ),
    (
        "cn-id-old",
        ids.is_cn_id_old,
        st.from_regex(r"(44|11|99)[0-9]{4}[0-9]{2}[01][0-9][0-3][0-9]{4}", fullmatch=True),
    ),
    ("hkid", ids.is_hkid, st.from_regex(r"[A-Z]{1}[0-9]{6}\([0-9A]\)", fullmatch=True)),
    ("hkid", ids.is_hkid, st.from_regex(r"[A-Z]{2}[0-9]{6}[0-9A]", fullmatch=True)),
    ("bank-card", ids.is_bank_card, st.from_regex(r"(62|4[0-9]|5[0-9])[0-9]{14}", fullmatch=True)),
    ("bank-card", ids.is_bank_card, st.from_regex(r"62[0-9]{17}", fullmatch=True)),
    ("uscc", ids.is_uscc, st.from_regex(r"91(44|31|99)[0-9]{4}[0-9A-HJ-NPQRTUWXY]{10}", fullmatch=True)),
    ("home-return-permit", ids.is_home_return_permit, st.from_regex(r"[A-Z][0-9]{8}", fullmatch=True)),
    ("exit-permit", ids.is_exit_permit, st.from_regex(r"[A-Z][A-Z0-9][0-9]{7}", fullmatch=True)),
    ("passport", ids.is_passport, st.from_regex(r"[A-Z][A-Z0-9][0-9]{7}", fullmatch=True)),
    ("passport", ids.is_passport, st.from_regex(r"[A-Z]{2}[0-9]{8}", fullmatch=True)),
    ("phone-cn", ids.is_cn_mobile, st.from_regex(r"1[0-9]{10}", fullmatch=True)),
    ("phone-hk", ids.is_hk_phone, st.from_regex(r"[0-9]{8}", fullmatch=True)),
    ("phone-mo", ids.is_mo_phone, st.from_regex(r"[268][0-9]{7}", fullmatch=True)),
]


@pytest.mark.parametrize(("name", "scalar", "texts"), TWINS, ids=[f"{t[0]}-{i}" for i, t in enumerate(TWINS)])
def test_vectorised_checks_agree_with_the_readable_ones(name, scalar, texts):
    @given(st.lists(texts, min_size=1, max_size=30).filter(lambda rows: len({len(row) for row in rows}) == 1))
    def holds(rows):
        table = np.frombuffer("".join(rows).encode(), np.uint8).reshape(len(rows), -1)
        assert checks.CHECKS[name](table).tolist() == [scalar(row) for row in rows]

    holds()


def test_vectorised_mrz_agrees_on_damaged_specimens():
    for line in RIGHT[ids.is_mrz_line]:
        variants = [line] + [line[:i] + c + line[i + 1 :] for i in range(len(line)) for c in "0A<7"]
        table = np.frombuffer("".join(variants).encode(), np.uint8).reshape(len(variants), -1)
        assert checks.CHECKS["mrz"](table).tolist() == [ids.is_mrz_line(v) for v in variants]


def test_how_often_random_digits_pass():
    # reference: mainland number with date and area 0.03 %, HKID 9.1 %, Luhn 10.1 %
    rng = np.random.default_rng(7)
    rows = rng.integers(48, 58, (200_000, 18), np.uint8)
    assert checks.cn_id(rows).mean() < 0.0003
    assert checks.luhn(rows[:, :16]).mean() == pytest.approx(0.1, abs=0.003)
    rows[:, 0] = rng.integers(65, 91, len(rows), np.uint8)
    assert checks.hkid(np.ascontiguousarray(rows[:, :8])).mean() == pytest.approx(1 / 11, abs=0.003)
