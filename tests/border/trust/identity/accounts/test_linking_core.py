"""The pure part of linking: no sequence of events makes a link without both sign-ins, and what may be one person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.border.trust.documents.dates import PartialDate
from wantong.border.trust.identity.accounts.linking import matching, names, sitting
from wantong.border.trust.identity.accounts.linking.matching import Evidence, Side
from wantong.border.trust.identity.accounts.linking.names import Name
from wantong.border.trust.identity.accounts.linking.sitting import Linked, Proof
from wantong.border.trust.identity.accounts.problems import LinkRefused
from wantong.ground.problems import Problem

AT = datetime(2026, 11, 21, 9, tzinfo=UTC)
RULES = matching.rules()
MINUTE = timedelta(minutes=1)


def evidence(
    document="cn-home-return-permit", number="h", name="陈紫荆", born="1991-07-16", **more
) -> Evidence:
    printed = (Name(name, "Hani", "zh"),) if isinstance(name, str) else name
    told = PartialDate.parse(born) if born else None
    return Evidence(document, number, printed, told, **{"verified_at": AT - timedelta(days=9), **more})


def side(*of: Evidence, issuer="gd", ial=2) -> Side:
    return Side(issuer, ial, of)


GD = side(evidence())
HK = side(evidence("hk-id", "z", "陳紫荊"), issuer="hk")
GOOD = matching.match(GD, HK, AT, RULES)


# --- one sitting ------------------------------------------------------------------------------------------------

proofs = st.builds(
    Proof,
    account=st.sampled_from("abc"),
    issuer=st.sampled_from(["gd", "hk", "mo"]),
    browser=st.sampled_from(["this", "other"]),
    at=st.integers(-20, 20).map(lambda minutes: AT + minutes * MINUTE),
)
events = st.one_of(
    st.tuples(st.just("sign-in"), proofs),
    st.tuples(
        st.just("consent"), st.tuples(st.sampled_from(["this", "other"]), st.booleans(), st.booleans())
    ),
    st.tuples(st.just("leave"), st.none()),
    st.tuples(st.just("expire"), st.none()),
    st.tuples(st.just("later"), st.integers(0, 9)),
)


@given(st.lists(events, max_size=12))
def test_no_sequence_of_events_makes_a_link_without_both_sign_ins(played):
    """Whatever comes: a link is of two fresh sign-ins in this browser, to two systems, with a match and a word."""
    now, stand, seen, made = AT, sitting.opened("this", AT), [], None
    for kind, what in played:
        try:
            if kind == "sign-in":
                stand = sitting.signed_in(stand, what, now)
                seen.append(what)
            elif kind == "consent":
                browser, matches, agrees = what
                match = GOOD if matches else matching.match(GD, GD, AT, RULES)
                stand, made = sitting.consented(stand, browser, match, agrees, now)
                assert matches and agrees and browser == "this"
                assert now - AT <= sitting.lasts()
            elif kind == "leave":
                stand = sitting.left(stand)
            elif kind == "expire":
                stand = sitting.expired(stand)
            else:
                now += what * MINUTE
        except Problem:
            continue
    if made is not None:
        assert len(seen) == 2 and {made.a, made.b} == set(seen)
        assert made.a.issuer != made.b.issuer
        for proof in seen:
            assert proof.browser == "this" and AT <= proof.at <= now
    assert (made is not None) == (stand.state == "linked")


@given(st.lists(events, max_size=12))
def test_what_has_ended_stays_ended(played):
    stand = sitting.left(sitting.opened("this", AT))
    for kind, what in played:
        with pytest.raises(Problem):
            if kind == "sign-in":
                sitting.signed_in(stand, what, AT)
            elif kind == "consent":
                sitting.consented(stand, what[0], GOOD, what[2], AT)
            else:
                sitting.left(stand)


def test_the_plain_way():
    first = Proof("a", "hk", "this", AT + MINUTE)
    second = Proof("b", "gd", "this", AT + 2 * MINUTE)
    stand = sitting.signed_in(sitting.opened("this", AT), first, first.at)
    stand = sitting.signed_in(stand, second, second.at)
    stand, made = sitting.consented(stand, "this", GOOD, True, AT + 3 * MINUTE)
    assert made == Linked(second, first, "cn-home-return-permit", "same-day", 2)


def test_who_was_signed_in_before_has_to_show_it_again():
    with pytest.raises(LinkRefused) as refused:
        sitting.signed_in(sitting.opened("this", AT), Proof("a", "hk", "this", AT - MINUTE), AT)
    assert refused.value.params["reason"] == "not-in-this-sitting"


# --- the same person? -------------------------------------------------------------------------------------------


def failed(a: Side, b: Side) -> str:
    found = matching.match(a, b, AT, RULES)
    assert not found.verdict.passed and found.level == 0 and not found.bridge
    return found.verdict.failure.code


def test_a_name_alone_links_nobody():
    a, b = side(evidence(born="")), side(evidence("hk-id", "z", "陳紫荊", ""), issuer="hk")
    assert failed(a, b) == "too-little"


def test_no_bridge_no_link():
    a = side(evidence("cn-resident-id", "x"))
    assert failed(a, HK) == "no-bridge"


def test_the_same_document_on_both_sides_needs_no_name_alike():
    b = side(evidence(name="CHAN, Tsz King"), issuer="hk")
    found = matching.match(GD, b, AT, RULES)
    assert (found.way, found.level) == ("same-document", 2)


def test_two_numbers_of_one_kind_of_document_contradict():
    assert failed(GD, side(evidence(number="other"), issuer="hk")) == "other-number"


def test_two_dates_of_birth_contradict():
    assert failed(GD, side(evidence("hk-id", "z", born="1991-07-17"), issuer="hk")) == "other-birth"
    # also within one of three documents
    three = side(evidence("hk-id", "z"), evidence("mo-bir", "m", born="1990"), issuer="hk")
    assert failed(GD, three) == "other-birth"


def test_a_card_with_the_year_only_makes_a_weaker_link():
    found = matching.match(GD, side(evidence("hk-id", "z", "陳紫荊", "1991"), issuer="hk"), AT, RULES)
    assert (found.way, found.level) == ("same-year", 1)


def test_a_pinyin_reading_makes_a_weaker_link_and_surnames_are_read_as_surnames():
    a = side(evidence(name="單小明"))
    found = matching.match(a, side(evidence("hk-id", "z", "SHAN, Xiaoming"), issuer="hk"), AT, RULES)
    assert (found.way, found.level) == ("same-reading", 1)
    assert failed(a, side(evidence("hk-id", "z", "DAN, Xiaoming"), issuer="hk")) == "names-differ"


def test_other_names_do_not_link():
    assert failed(GD, side(evidence("hk-id", "z", "周海燕"), issuer="hk")) == "names-differ"


def test_what_was_only_typed_does_not_link():
    assert failed(side(evidence(), ial=0), HK) == "unproven"
    assert failed(GD, side(*GD.evidence)) == "one-issuer"


def test_old_evidence_is_none():
    old = evidence(verified_at=AT - RULES.longest - timedelta(days=1))
    assert failed(side(old), HK) == "no-bridge"
    assert failed(side(evidence(verified_at=AT + MINUTE)), HK) == "no-bridge"


def test_a_link_is_no_surer_than_either_account():
    assert matching.match(side(evidence(), ial=1), HK, AT, RULES).level == 1


sides = st.builds(
    lambda issuer, ial, of: Side(issuer, ial, tuple(of)),
    st.sampled_from(["gd", "hk"]),
    st.integers(0, 3),
    st.lists(
        st.builds(
            evidence,
            document=st.sampled_from(["cn-home-return-permit", "cn-residence-permit", "hk-id", "mo-bir"]),
            number=st.sampled_from("xy"),
            name=st.sampled_from(["陳紫荊", "陈紫荆", "CHEN, Zijing", "周海燕"]),
            born=st.sampled_from(["", "1991", "1991-07", "1991-07-16", "1990-01-01"]),
        ),
        max_size=3,
    ),
)


@given(sides, sides)
def test_which_account_comes_first_does_not_matter_and_nothing_contradicts_in_a_link(a, b):
    found, turned = matching.match(a, b, AT, RULES), matching.match(b, a, AT, RULES)
    assert (found.verdict.passed, found.bridge, found.way, found.level) == (
        turned.verdict.passed, turned.bridge, turned.way, turned.level,
    )  # fmt: skip
    if found.verdict.passed:
        assert found.bridge in RULES.bridges
        assert found.level <= min(a.ial, b.ial)
        assert a.issuer != b.issuer
        ours, theirs = ({one.document: one.number for one in side.evidence} for side in (a, b))
        # an account has one evidence a kind; of two of one kind in this test the last counts
        assert all(ours[kind] == theirs[kind] for kind in ours.keys() & theirs.keys())
    else:
        assert (found.bridge, found.way, found.level) == ("", "", 0)


# --- names ------------------------------------------------------------------------------------------------------


def chinese(text: str) -> Name:
    return Name(text, "Hani", "zh")


def test_a_name_is_kept_to_the_code_point():
    rare = "\u9f8d\U000e0100\u7533"  # 龍 with an ideographic variation selector
    kept = Name(**chinese(rare).to_dict())
    assert kept.text == rare
    assert names.written_alike([kept], [chinese("龙申")])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("陳大文", "陈大文"), ("後裔", "后裔"), ("歐陽 修", "欧阳修"), ("司徒·文", "司徒文"), ("羅", "羅")],
)
def test_folding_makes_candidates(ours, theirs):
    assert names.written_alike([chinese(ours)], [chinese(theirs)])


def latin(text: str, family: str = "", order="unknown") -> Name:
    return Name(text, "Latn", "und", order, family)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (latin("CHAN, Tai Man", "CHAN"), latin("Tai Man Chan", "Chan")),
        (latin("Chan Tai-man", "Chan"), latin("CHAN TAI MAN")),
        (latin("José António da Conceição"), latin("DA CONCEICAO JOSE ANTONIO")),
        (latin("Müller Groß"), latin("GROSS MULLER")),
    ],
)
def test_latin_names_are_alike_in_any_order_without_accents(ours, theirs):
    assert names.written_alike([ours], [theirs])


def test_cantonese_is_never_computed():
    assert not names.read_alike([chinese("陳大文")], [latin("CHAN TAI MAN", "CHAN")])


@pytest.mark.parametrize(
    ("name", "read", "not_read"),
    [("单小明", "SHANXIAOMING", "DANXIAOMING"), ("曾志伟", "ZENGZHIWEI", "CENGZHIWEI"), ("仇英", "QIUYING", "CHOUYING"),
     ("尉遲恭", "YUCHIGONG", "WEICHIGONG"), ("呂布", "LYUBU", "LVBU"), ("區小紅", "OUXIAOHONG", "QUXIAOHONG")],
)  # fmt: skip
def test_surnames_are_read_as_surnames(name, read, not_read):
    assert read in names.pinyin(name) and not_read not in names.pinyin(name)


@given(st.text(max_size=60).filter(str.strip), st.sampled_from(["Hani", "Latn"]))
def test_no_name_breaks_the_keys(text, script):
    name = Name(text, script, "und")
    assert names.keys(name) | names.readings(name) is not None
    assert len(names.pinyin(text)) <= names.MOST_READINGS
    assert names.keys(name) == names.keys(Name(text + " ", script, "und"))


def test_a_name_is_not_empty_and_not_endless():
    for text in ("", "  ", "x" * 201):
        with pytest.raises(ValueError, match="characters"):
            latin(text)
