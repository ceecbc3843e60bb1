"""Document numbers against published vectors and against numbers made by another hand; words in four languages."""

from __future__ import annotations

from datetime import UTC, date, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.trust.documents import checking, kinds, mrz, numbers, samples
from wantong.border.trust.documents.checking import check
from wantong.border.trust.documents.dates import PartialDate
from wantong.ground.i18n import LANGUAGES

AT = datetime(2026, 11, 21, tzinfo=UTC)
# GB 11643-1999 annex A; GB 32100 codes of listed companies from their annual reports; ICAO 9303 parts 4 to 6
# (UTOPIA specimens); HKIDs as descriptions of the check digit print them; the rest is form only
PUBLISHED = {
    "cn-resident-id": ["11010519491231002X", "440524188001010014", "１１０１０５１９４９１２３１００２ｘ"],
    "hk-id": ["A123456(3)", "AB987654(3)", "E364912(5)", "A1234563", "a123456(3)", "A 123456 (3)"],
    "cn-uscc": ["91440300708461136T", "914403001922038216", "91350100M000100Y43"],
    "mrz": [
        "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10",
        "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
        "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nD231458907UTO7408122F1204159<<<<<<<6",
        "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\nERIKSSON<<ANNA<MARIA<<<<<<<<<<",
    ],
    "cn-home-return-permit": ["H12345678", "M1234567801"],
    "cn-home-return-permit-foreign": ["HA1234567", "MA0000001"],
    "cn-eep": ["C12345678", "CA1234567", "W12345678"],
    "mo-bir": ["1234567(8)", "5123456/7", "71234560"],
    "hk-brn": ["12345678", "12345678-000-06-24-A"],
}
WRONG = {
    "cn-resident-id": ["110105194912310021", "81000019900307123X", "110105194913310021", "", "1" * 5000],
    "hk-id": ["A123456(9)", "A12345(3)", "123456(3)", "A123456[3]"],
    "cn-uscc": ["91440300708461136X", "914403007084611360", "81440300708461136T", "91440300I08461136T"],
    "mrz": ["L898902C36UTO7408123F1204159ZE184226B<<<<<10", "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<"],
    "cn-home-return-permit": ["H1234567", "A12345678", "H123456789"],
    "cn-eep": ["CI1234567", "CO1234567"],
    "mo-bir": ["2234567(8)", "1234567(A)"],
}


@pytest.mark.parametrize(("kind", "number"), [(k, n) for k, all_ in PUBLISHED.items() for n in all_])
def test_published_numbers_are_well_formed(kind, number):
    assert check(kind, number, at=AT).verdict.passed


@pytest.mark.parametrize(("kind", "number"), [(k, n) for k, all_ in WRONG.items() for n in all_])
def test_others_are_not(kind, number):
    verdict = check(kind, number, at=AT).verdict
    assert verdict.outcome == "failed" and verdict.indication == "FORMAT_FAILURE"


@pytest.mark.parametrize("kind", list(kinds.kinds()))
def test_every_kind_has_a_sample_that_passes_and_words_for_everything(kind):
    random = Random(kind)
    for _ in range(20):
        number = samples.sample(kind, random)
        checked = check(kind, number, at=AT)
        assert checked.verdict.passed, number
        assert kinds.kind(kind).bare(checked.canonical) == checked.canonical
        shown = kinds.kind(kind).shown(checked.canonical)
        assert check(kind, shown, at=AT).canonical == checked.canonical
    for lang in LANGUAGES:
        for told in (check(kind, number, at=AT).to_dict(lang), check(kind, "?", at=AT).to_dict(lang)):
            assert "⟦" not in str(told), lang
            assert number not in str(told)


@pytest.mark.parametrize("kind", [kind.id for kind in kinds.kinds().values() if kind.checks])
def test_one_digit_changed_is_noticed(kind):
    """All these checks find every change of one digit, but those of the MRZ for characters ten apart in value."""
    random = Random(kind)
    bare = kinds.kind(kind).bare(samples.sample(kind, random))
    first = 44 if kind == "mrz" else 0
    for at in [i for i in range(first, len(bare)) if bare[i].isdigit()]:
        other = bare[:at] + str((int(bare[at]) + 1) % 10) + bare[at + 1 :]
        assert not check(kind, other, at=AT).verdict.passed, (bare, at)


def test_what_is_wrong_is_told_all_at_once_and_what_to_do():
    verdict = check("cn-resident-id", "990105194913310021", at=AT).verdict
    assert [step.code for step in verdict.steps] == ["", "no-area", "no-date", "checksum"]
    for lang in LANGUAGES:
        assert all("⟦" not in line for line in verdict.explain(lang))


def test_rules_of_the_data_exist_and_all_have_words():
    used = {rule for kind in kinds.kinds().values() for rule in kind.checks}
    assert used == set(checking.RULES)


def test_a_permit_is_no_resident_card_and_tells_where_its_holder_is_from():
    first = "82000019850715123"
    number = first + numbers.cn_check_digit(first)
    assert check("cn-residence-permit", number, at=AT).reads == {
        "birth": "1985-07-15",
        "sex": "M",
        "home": "mo",
    }
    assert check("cn-resident-id", number, at=AT).verdict.failure.code == "no-area"
    assert checking.guess(number) == ("cn-residence-permit",)


@pytest.mark.parametrize(("area", "home"), [("810000", "hk"), ("820000", "mo"), ("830000", "tw")])
def test_residence_permits_of_all_three_areas_are_well_formed(area, home):
    """A well-known library takes them for invalid components."""
    first = area + "19850715123"
    told = check("cn-residence-permit", first + numbers.cn_check_digit(first), at=AT)
    assert told.verdict.passed and told.reads["home"] == home


@pytest.mark.parametrize("kind", kinds.kinds())
def test_a_right_check_digit_is_never_said_to_be_somebody(kind):
    told = check(kind, samples.sample(kind, Random(kind)), at=AT)
    assert told.verdict.passed
    assert "nobody's identity" in told.to_dict("en")["caution"] and "confirmed" not in told.to_dict("en")


def test_where_no_check_digit_is_published_that_is_said():
    told = check("mo-bir", "1234567(8)", at=AT)
    assert [step.name for step in told.verdict.steps] == ["form", "no-checksum"]


def test_a_home_return_permit_is_matched_by_its_first_nine_characters():
    """A renewed card prints nine where the old one printed eleven: both are the same person's."""
    assert check("cn-home-return-permit", "H1234567802").lasting == "H12345678"
    assert check("cn-home-return-permit", "h12345678").lasting == "H12345678"
    assert check("hk-id", "A123456(3)").lasting == check("hk-id", "A1234563").lasting == "A1234563"


def test_a_zone_is_read():
    checked = check("mrz", PUBLISHED["mrz"][0], at=AT)
    assert checked.reads == {
        "birth": "1974-08-12", "sex": "F", "expiry": "2012-04-15", "issuer": "UTO", "nationality": "UTO",
    }  # fmt: skip
    long = "I<UTOD23145890<7349<<<<<<<<<<<\n3407127M9507122UTO<<<<<<<<<<<2\nSTEVENSON<<PETER<<<<<<<<<<<<<<"
    assert check("mrz", long, at=AT).verdict.passed, "part 5: a number of more than nine characters"
    assert mrz.read(numbers.tidy(long)).number == "D23145890734"


def test_a_zones_dates_may_be_unknown_in_part():
    zone = samples.mrz("K12345678", "CHN", date(1961, 1, 1)).replace("\n", "")
    birth = "61<<<<"
    line = zone[44:]
    line = line[:13] + birth + str(numbers.mrz_check_digit(birth)) + line[20:]
    line = line[:43] + str(numbers.mrz_check_digit(line[:10] + line[13:20] + line[21:43]))
    checked = check("mrz", line, at=AT, birth=PartialDate(1961, 3, 7))
    assert checked.verdict.passed and checked.reads["birth"] == "1961"


@pytest.mark.parametrize("line", [PUBLISHED["mrz"][1], "D231458907UTO7408122F1204159<<<<<<<6"])
def test_what_a_zone_takes_the_scanners_line_takes_too(line):
    """The scanner, which sees one line, is the laxer of the two: it leaves out the composite digit of a TD2."""
    damaged = [line[:at] + c + line[at + 1 :] for at in range(len(line)) for c in "0<A7"]
    whole = [
        one
        for one in damaged
        if one[10:13].isalpha() and one[20] in "MFX<" and check("mrz", one, at=AT).verdict.passed
    ]
    assert line in whole
    assert all(numbers.is_mrz_line(one) for one in whole)


def test_birth_dates_are_compared_as_far_as_both_are_known():
    for known, agrees in (
        ("1949", True),
        ("1949-12", True),
        ("1949-12-31", True),
        ("1950", False),
        ("1949-11", False),
    ):
        verdict = check("cn-resident-id", "11010519491231002X", at=AT, birth=PartialDate.parse(known)).verdict
        assert verdict.passed is agrees, known


@given(st.dates(), st.dates())
def test_partial_dates(a, b):
    whole_a, whole_b = PartialDate.of(a), PartialDate.of(b)
    assert whole_a.agrees(whole_b) == (a == b) == (PartialDate.parse(a.isoformat()) == whole_b)
    assert PartialDate(a.year).agrees(whole_b) == (a.year == b.year)


@pytest.mark.parametrize("text", ["", "61", "1961-13", "1961-02-30", "1961-1-1", "0000", "1961-00"])
def test_what_is_no_date(text):
    with pytest.raises(ValueError):
        PartialDate.parse(text)


def test_a_birth_date_ahead_is_refused():
    first = "44030120270101123"
    assert (
        check("cn-resident-id", first + numbers.cn_check_digit(first), at=AT).verdict.failure.code
        == "born-later"
    )


def test_an_authority_is_asked_only_where_one_is_connected():
    checked = check("hk-id", "A123456(3)", at=AT)
    assert checking.confirm(checked, {}).outcome == "indeterminate"

    class Register:
        """Knows one number."""

        def confirm(self, kind, canonical, claims):
            return (kind, canonical, claims["name"]) == ("hk-id", "A1234563", "CHAN TAI MAN")

    checking.connect("hk-immd", Register())
    try:
        assert checking.confirm(checked, {"name": "CHAN TAI MAN"}).passed
        assert checking.confirm(checked, {"name": "LEE"}).failure.code == "not-confirmed"
        assert checking.confirm(check("hk-id", "A123456(4)"), {}).failure.name == "hkid"
    finally:
        checking.connect("hk-immd", None)


@given(st.text(max_size=60), st.sampled_from(list(kinds.kinds())))
def test_no_text_raises(text, kind):
    check(kind, text, at=AT).to_dict("zh-hans")


def test_the_api_answers_everyone_and_says_what_is_wrong(client):
    told = client.post(
        "/api/documents/check",
        {"kind": "hk-id", "number": "A123456(4)", "lang": "zh-hant"},
        content_type="application/json",
    )
    assert told.status_code == 200
    assert told.json()["well_formed"] is False and told.json()["authority"]["name"] == "香港入境事務處"
    assert "A123456" not in told.content.decode()
    assert (
        client.post("/api/documents/check", {"kind": "x", "number": "1"}, content_type="application/json")
        .json()["type"]
        .endswith("documents-unknown-kind")
    )
    bad = {"kind": "hk-id", "number": "A123456(3)", "birth": "x"}
    assert client.post("/api/documents/check", bad, content_type="application/json").status_code == 422
    assert len(client.get("/api/documents/kinds?lang=pt").json()) == len(kinds.kinds())
