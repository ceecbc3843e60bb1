"""Every page × language × role: it answers, is whole, says which language it speaks, and keeps the content policy."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from django.test import Client
from tests.portal.places import FORMS, PUBLIC, REFUSED, pages
from tests.portal.seeded import PASSWORD

from wantong.ground.i18n import LANG_ATTRIBUTE, LANGUAGES

pytestmark = pytest.mark.django_db
BROWSER = {"HTTP_ACCEPT": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module")
def readers(bay) -> dict[str, Client]:
    """A client a role; ``nobody`` is not signed in."""
    found = {"nobody": Client()}
    for name in ("chan", "lei", "wu"):
        found[name] = Client()
        assert found[name].login(username=name, password=PASSWORD)
    return found


def whole(body: str, lang: str) -> None:
    assert f'<html lang="{LANG_ATTRIBUTE[lang]}"' in body
    assert "⟦" not in body
    assert len(re.findall(r"<h1[ >]", body)) == 1
    assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=", body)
    twice = [i for i, n in Counter(re.findall(r'\sid="([^"]+)"', body)).items() if n > 1]
    assert not twice, twice
    fields = set(re.findall(r'\sfor="([^"]+)"', body))
    assert fields <= set(re.findall(r'\sid="([^"]+)"', body))


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("who", ["nobody", "chan", "lei", "wu"])
def test_every_page_for_everyone(bay, readers, lang, who):
    for name, (path, audience) in pages(bay.ids()).items():
        response = readers[who].get(f"/{lang}/{path}", **BROWSER)
        if who in REFUSED.get(audience, ()):
            assert response.status_code == 403, name
        elif who == "nobody" and audience != PUBLIC:
            assert response.status_code == 302, name
            assert response["Location"].startswith(f"/{lang}/sign-in?next=/{lang}/"), name
        elif name == "sign-in" and who != "nobody":
            assert response.status_code == 302
        else:
            assert response.status_code == 200, (name, response.content[-2000:])
            whole(response.content.decode(), lang)


def test_every_page_is_json_too(bay, readers):
    for name, (path, audience) in pages(bay.ids()).items():
        if name in FORMS:
            continue
        bare, _, query = path.partition("?")
        url = f"/en/{bare or 'index'}.json" + (f"?{query}" if query else "")
        response = readers["wu"].get(url)
        assert response.status_code == 200, name
        assert response["Content-Type"].startswith("application/json")
        assert isinstance(response.json(), dict)
        if audience == PUBLIC:
            assert readers["nobody"].get(url).status_code == 200, name
        else:
            refused = readers["nobody"].get(url)
            assert refused.status_code == 401, name
            assert refused["Content-Type"] == "application/problem+json"


def test_nobody_s_identity_number_is_shown_anywhere(bay, readers):
    from tests.border.gate import scene

    numbers = [scene.resident(n) for n in range(40)]
    for path, _ in pages(bay.ids()).values():
        for lang in LANGUAGES:
            body = readers["lei"].get(f"/{lang}/{path}", **BROWSER).content.decode()
            assert not any(number in body for number in numbers), path


def test_a_crossing_tells_its_whole_story(bay, readers):
    told = readers["wu"].get(f"/en/crossings/{bay.receipted.id}.json").json()
    assert [e["act"] for e in told["timeline"]][:3] == ["declare", "classify", "decide"]
    assert told["decision"]["route"] == "gba_standard_contract"
    assert told["decision"]["citations"]
    assert all(not wanted["open"] for wanted in told["decision"]["requirements"])
    paper = next(w for w in told["decision"]["requirements"] if w["id"] == "paper:file_gba_gd")
    assert paper["met_by"]["actor"] == "user:lei"
    assert paper["met_by"]["document"]["number"]
    assert told["deliverable"]["rows"] == 40
    page = readers["wu"].get(f"/en/crossings/{bay.receipted.id}", **BROWSER).content.decode()
    assert "The receipt is genuine" in page
    assert "wt-proof" in page
    assert "Hong Kong node" in page
    assert f"https://hk.test.example/en/transfers/{bay.receipted.transfer_id}" in page


def test_why_not_the_other_routes_is_answered(bay, readers):
    page = readers["wu"].get(f"/en/crossings/{bay.held.id}", **BROWSER).content.decode()
    assert "Why not the other routes" in page
    assert "Its conditions do not hold:" in page


def test_what_waits_is_shown_to_those_who_can_act(bay, readers):
    tasks = {
        who: readers[who].get("/en/index.json").json().get("tasks") for who in ("lei", "chan", "wu", "nobody")
    }
    assert {t["kind"] for t in tasks["lei"]} == {"crossing", "sharing", "whitelist"}
    assert f"/en/crossings/{bay.waiting.id}" in {t["url"] for t in tasks["lei"]}
    # who declared may answer questions of fact, but not confirm his own papers
    assert [t["url"] for t in tasks["chan"] if t["kind"] == "crossing"] == [f"/en/crossings/{bay.asked.id}"]
    # who endorsed one request may endorse another, and not approve his own
    mine = [t["url"] for t in tasks["chan"] if t["kind"] == "sharing"]
    assert mine == [f"/en/sharing/requests/{bay.requests['asked']}"]
    assert tasks["wu"] == []
    assert tasks["nobody"] is None


def test_acts_need_the_role(bay, readers):
    url = f"/en/crossings/{bay.waiting.id}/acts"
    given = {"act": "refuse", "note": "I say so"}
    assert readers["nobody"].post(url, given, **BROWSER).status_code == 302
    for who in ("chan", "wu"):
        response = readers[who].post(url, given, **BROWSER)
        assert response.status_code == 403
        assert "govuk-error-summary" in response.content.decode()
    bay.waiting.refresh_from_db()
    assert bay.waiting.state == "waiting"
    assert readers["wu"].get("/en/whitelist/propose", **BROWSER).status_code == 403
    assert readers["wu"].post(f"/en/whitelist/{bay.proposed.id}/acts", {"act": "approve"}).status_code == 403


def test_an_incomplete_act_says_what_is_missing_and_changes_nothing(bay, readers):
    before = bay.waiting.actions.count()
    response = readers["lei"].post(
        f"/en/crossings/{bay.waiting.id}/acts",
        {"act": "confirm", "requirement": "paper:file_gba_gd", "document_title": "Filing"},
        **BROWSER,
    )
    assert response.status_code == 422
    assert bay.waiting.actions.count() == before


def test_an_approver_confirms_papers_and_the_crossing_goes_on(bay, readers):
    from django.core.files.uploadedfile import SimpleUploadedFile
    from tests.border.gate import scene

    wanted = [r["id"] for r in bay.waiting.waiting_for if r["act"] == "confirm"]
    response = readers["lei"].post(
        f"/zh-hant/crossings/{bay.waiting.id}/acts",
        {
            "act": "confirm",
            "requirement": wanted,
            "document_title": "備案證明",
            "document_number": "粤网信备〔2026〕2号",
            "document_file": SimpleUploadedFile("filing.pdf", b"%PDF-1.7 filing"),
            "note": "正本已核對",
        },
        **BROWSER,
    )
    assert response.status_code == 302
    scene.run(bay.waiting)
    assert bay.waiting.state == "released"
    page = readers["wu"].get(f"/zh-hant/crossings/{bay.waiting.id}", **BROWSER).content.decode()
    assert "正本已核對" in page
    assert "粤网信备〔2026〕2号" in page


def test_questions_of_fact_are_answered_in_their_types(bay, readers):
    from tests.border.gate import scene

    response = readers["chan"].post(
        f"/pt/crossings/{bay.asked.id}/acts",
        {
            "act": "answer_facts",
            "fact.is_personal": "no",
            "fact.is_important_data": "no",
            "fact.sender_is_ciio": "no",
            "fact.scenario": "other",
            "note": "Perguntado ao serviço",
        },
        **BROWSER,
    )
    assert response.status_code == 302, response.content.decode()[:3000]
    scene.run(bay.asked)
    assert bay.asked.route != "needs_info"
    given = bay.asked.actions.get(act="answer_facts").data["facts"]
    assert given["is_personal"] is False


def test_the_whitelist_wants_two_people(bay, readers):
    url = f"/en/whitelist/{bay.proposed.id}/acts"
    response = readers["lei"].post(url, {"act": "approve", "note": "checked"}, **BROWSER)
    assert response.status_code == 302
    bay.proposed.refresh_from_db()
    assert bay.proposed.approved_by == "user:lei"
    assert readers["lei"].post(url, {"act": "revoke", "note": ""}, **BROWSER).status_code == 422
    assert (
        readers["lei"].post(url, {"act": "revoke", "note": "no longer needed"}, **BROWSER).status_code == 302
    )


def test_an_item_is_proposed_from_the_dataset(bay, readers):
    page = readers["chan"].get("/zh-hans/whitelist/propose?dataset=museum-visits", **BROWSER)
    whole(page.content.decode(), "zh-hans")
    given = {
        "dataset_id": "museum-visits",
        "mask.date": "keep",
        "mask.visitors": "keep",
        "mask.museum": "",
        "open": "on",
        "receiver": "",
        "purpose": "",
        "legal_basis": "open_data",
        "valid_from": "2026-12-01",
        "valid_until": "2027-11-30",
    }
    made = readers["chan"].post("/zh-hans/whitelist/propose?dataset=museum-visits", given, **BROWSER)
    assert made.status_code == 302
    item = readers["wu"].get(made["Location"] + ".json").json()
    assert item["fields"] == {"date": "keep", "visitors": "keep"}
    assert item["state"] == "proposed"
    wrong = readers["chan"].post(
        "/zh-hans/whitelist/propose?dataset=museum-visits", {**given, "valid_until": "2026-11-01"}, **BROWSER
    )
    assert wrong.status_code == 422


def test_the_catalogue_is_searched_in_every_language(bay, readers):
    for question in ("insurance", "社会保险", "社會保險", "SEGURANÇA", "ｉｎｓｕｒａｎｃｅ", "Months"):
        found = readers["nobody"].get("/en/catalogue.json", {"q": question}).json()["datasets"]
        assert [d["id"] for d in found] == ["social-insurance"], question
    assert readers["nobody"].get("/en/catalogue.json", {"q": "no such thing"}).json()["count"] == 0


def test_a_person_takes_a_consent_back_with_the_code_alone(bay, readers):
    from wantong.border.gate.consent.models import Consent

    reference = str(Consent.objects.filter(state="given").order_by("-id")[0].id)
    found = readers["nobody"].post("/zh-hant/consents", {"reference": reference}, **BROWSER)
    assert found["Location"] == f"/zh-hant/consents/{reference}"
    page = readers["nobody"].get(found["Location"], **BROWSER)
    assert "撤回授權" in page.content.decode()
    assert page["Cache-Control"] == "private, no-store"
    readers["nobody"].post(f"/zh-hant/consents/{reference}/withdraw", **BROWSER)
    row = Consent.objects.get(id=reference)
    assert row.state == "withdrawn"
    assert row.records.get(event="withdrawn").actor == f"holder:{reference}"


def test_a_wrong_code_tells_nothing(bay, readers):
    for wrong in ("nonsense", "00000000-0000-4000-8000-000000000000"):
        response = readers["nobody"].post("/en/consents", {"reference": wrong}, **BROWSER)
        assert response.status_code == 404
    assert (
        readers["nobody"].get("/en/consents/00000000-0000-4000-8000-000000000000", **BROWSER).status_code
        == 404
    )


def test_an_operator_finds_a_person_s_consents_without_the_number_in_the_address(bay, readers):
    from tests.border.gate import scene

    response = readers["chan"].post("/en/consents/person", {"identifier": scene.resident(3)}, **BROWSER)
    assert response.status_code == 200
    assert "Social insurance records" in response.content.decode()
    assert readers["wu"].post("/en/consents/person", {"identifier": "x"}, **BROWSER).status_code == 403
    assert readers["chan"].get("/en/consents/person", **BROWSER).status_code == 405


def test_a_receipt_is_checked_in_words(bay, readers):
    from django.core.files.uploadedfile import SimpleUploadedFile

    entry = bay.receipted.actions.get(act="deliver").log_entry
    receipt = readers["nobody"].get(f"/log/receipts/{entry}").content
    upload = lambda: SimpleUploadedFile("a.tlog-proof", receipt)  # noqa: E731
    good = readers["nobody"].post("/pt/verify", {"receipt": upload()}, **BROWSER)
    assert "O recibo é autêntico" in good.content.decode()
    whole(good.content.decode(), "pt")
    other = SimpleUploadedFile("other.csv", b"not the file")
    wrong = readers["nobody"].post("/zh-hans/verify", {"receipt": upload(), "file": other}, **BROWSER)
    assert "回执不能证明任何事项" in wrong.content.decode()
    assert "other.csv 不是登记的那个文件" in wrong.content.decode()
    broken = SimpleUploadedFile("a.tlog-proof", receipt.replace(b"index ", b"index 1"))
    verdict = readers["nobody"].post("/en/verify.json", {"receipt": broken}).json()
    assert verdict["proven"] is False
    assert readers["nobody"].post("/en/verify", {}, **BROWSER).status_code == 422
    junk = SimpleUploadedFile("a.tlog-proof", b"\x00" * 300_000)
    assert readers["nobody"].post("/en/verify", {"receipt": junk}, **BROWSER).status_code == 200


@pytest.mark.parametrize("state", ["waiting", "held"])
def test_that_a_crossing_was_made_to_wait_has_a_receipt_on_its_page(bay, readers, state):
    declaration = getattr(bay, state)
    entry = declaration.actions.get(act={"waiting": "wait", "held": "hold"}[state]).log_entry
    shown = readers["lei"].get(f"/en/crossings/{declaration.id}", **BROWSER).content.decode()
    assert f"/log/receipts/{entry}" in shown


def test_an_approver_ends_a_negotiation(bay, readers):
    from wantong.border.exchange.models import Negotiation
    from wantong.border.trust.models import Peer

    talk = Negotiation.objects.create(
        pid="urn:uuid:77777777-7777-4777-8777-777777777777",
        role="provider",
        peer=Peer.objects.get(jurisdiction="mo"),
        counterpart_pid="urn:uuid:1",
        address="https://mo.test.example/dsp",
        state="REQUESTED",
        waiting_for="agreement",
        begun_by="peer:mo.test.example",
        dataset_id="social-insurance",
        offer={"permission": [{"action": "use"}]},
    )
    url = f"/pt/negotiations/{talk.pid}"
    assert url in {t["url"] for t in readers["lei"].get("/pt/index.json").json()["tasks"]}
    for lang in LANGUAGES:
        page = readers["lei"].get(f"/{lang}/negotiations/{talk.pid}", **BROWSER).content.decode()
        whole(page, lang)
        assert 'value="agree"' in page
    assert 'value="agree"' not in readers["wu"].get(url, **BROWSER).content.decode()
    assert readers["wu"].post(url, {"act": "terminate"}, **BROWSER).status_code == 403
    assert readers["lei"].post(url, {"act": "terminate", "note": "no"}, **BROWSER).status_code == 302
    assert (
        readers["lei"].post("/pt/negotiations/urn:uuid:none", {"act": "agree"}, **BROWSER).status_code == 404
    )


def test_a_crossing_reads_in_the_reader_s_language(bay, readers):
    """Its title, its purpose and why the scanner says what it says: none of them is stored in one language only."""
    for lang, title, purpose, reason in (
        ("zh-hans", "送往澳门，无标准合同", "养老待遇跨境衔接", "通过校验码"),
        ("zh-hant", "送往澳門，無標準合同", "養老待遇跨境銜接", "通過校驗碼"),
        ("en", "to Macao, no contract", "Carrying pension rights over", "pass the check digit"),
        ("pt", "para Macau, sem contrato", "Portabilidade das pensões", "passam o dígito de controlo"),
    ):
        page = readers["wu"].get(f"/{lang}/crossings/{bay.held.id}", **BROWSER).content.decode()
        assert title in page and purpose in page and reason in page, lang
    stored = readers["wu"].get(f"/pt/crossings/{bay.held.id}.json").json()
    assert set(stored["title"]) == set(LANGUAGES)
    finding = stored["classification"]["findings"][0]
    assert "check digit" in finding["reason"]  # stable, whatever the reader's language
    assert finding["reasons"][0]["id"] == "scan.reason.check"


def test_a_request_is_decided_by_two_people_on_its_page(bay, readers):
    url = f"/en/sharing/requests/{bay.requests['endorsed']}"
    # who endorsed it may still refuse it, and not approve it
    mine = readers["chan"].get(f"{url}.json").json()["possible"]
    assert "approve" not in mine
    refused = readers["chan"].post(f"{url}/acts", {"act": "approve", "note": "mine"}, **BROWSER)
    assert refused.status_code == 403
    page = readers["lei"].post(
        f"{url}/acts", {"act": "approve", "note": "核对无误", "field": ["险种"]}, **BROWSER
    )
    assert page.status_code == 302, page.content
    told = readers["wu"].get(f"{url}.json").json()
    assert told["state"] == "in_force" and told["grant"]["fields"] == ["险种"]
    assert readers["wu"].post(f"{url}/acts", {"act": "revoke", "note": "x"}, **BROWSER).status_code == 403


def test_the_same_form_sent_twice_is_one_request(bay, readers):
    import uuid

    from django.test import Client

    ho = Client()
    assert ho.login(username="ho", password=PASSWORD)
    form = {
        "id": str(uuid.uuid4()), "body": "gd-hrss", "purpose": "museum_cards", "basis": "statutory_duty",
        "article": "公共文化服务保障法", "volume": "10", "until": "2027-06-30", "delivery": "file",
    }  # fmt: skip
    url = "/zh-hans/sharing/ask?dataset=museum-visits"
    first, second = (ho.post(url, form, **BROWSER) for _ in range(2))
    assert first.status_code == second.status_code == 302 and first["Location"] == second["Location"]
    for wrong in ({"until": "soon"}, {"volume": "many"}, {"article": ""}, {"body": "gd-culture"}):
        again = ho.post(url, {**form, "id": str(uuid.uuid4()), **wrong}, **BROWSER)
        assert again.status_code in (403, 422), wrong
        assert "govuk-error-summary" in again.content.decode()
    assert readers["lei"].get("/en/sharing/ask?dataset=nothing", **BROWSER).status_code == 404


def test_a_version_is_compared_and_then_published_on_its_page(bay, readers):
    from django.core.files.uploadedfile import SimpleUploadedFile

    from wantong.border.exchange.sharing.models import Version

    def send(who, act, rows, header="date,museum,visitors", lang="en"):
        lines = [header, *(",".join(map(str, row)) for row in rows)]
        file = SimpleUploadedFile("博物馆" * 80 + ".csv", "\n".join(lines).encode() + b"\n", "text/csv")
        url = f"/{lang}/sharing/versions/museum-visits"
        return readers[who].post(url, {"act": act, "file": file}, **BROWSER)

    days = [(f"2026-03-{d:02d}", "Guangdong Museum", 9000 + d) for d in range(1, 29)]
    newer = [*days[1:-1], ("2026-03-28", "Guangdong Museum", 1), ("2026-03-29", "Guangdong Museum", 2)]
    url = "/en/sharing/versions/museum-visits"
    told = readers["lei"].get(url, HTTP_ACCEPT="application/json").json()
    assert [(one["asker_body"]["code"], one["has"]) for one in told["subscribers"]] == [("gd-hrss", 1)]
    assert "Social security bureau" in readers["chan"].get(url, **BROWSER).content.decode()
    # compared: what would change is told, and nothing has
    page = send("lei", "compare", newer)
    assert page.status_code == 200
    whole(page.content.decode(), "en")
    counts = {"added": 1, "changed": 1, "removed": 1}
    compared = page.context["compared"]
    assert compared == {"number": 1, "rows_before": 28, "rows": 28, "changes": counts, "same": False}
    assert "Compared with version 1" in page.content.decode()
    assert Version.objects.filter(dataset="museum-visits").count() == 1
    # rows that the key does not tell apart, another table, no table, nothing
    assert send("lei", "compare", [*days, days[0]]).context["compared"]["changes"] is None
    for act in ("compare", "publish"):
        for refused in (
            send("lei", act, days, header="date,museum,people"),
            send("lei", act, [(*row, "more") for row in days]),
            readers["lei"].post(url, {"act": act}, **BROWSER),
            readers["lei"].post(url, {"act": act, "file": SimpleUploadedFile("v.csv", b"")}, **BROWSER),
        ):
            assert refused.status_code == 422, refused.content
            whole(refused.content.decode(), "en")
            assert "govuk-error-summary" in refused.content.decode()
        assert send("wu", act, newer).status_code == 403, "an auditor publishes nothing"
        assert send("nobody", act, newer).status_code == 302
    assert Version.objects.filter(dataset="museum-visits").count() == 1
    # published: once, however often it is sent
    for sentence in ("第 2 版已发布", "该文件即已发布的第 2 版"):
        page = send("lei", "publish", newer, lang="zh-hans")
        assert page.status_code == 302 and page["Location"] == "/zh-hans/sharing/versions/museum-visits"
        assert sentence in readers["lei"].get(page["Location"], **BROWSER).content.decode()
    (version,) = Version.objects.filter(dataset="museum-visits", number__gt=1)
    assert (version.number, version.changes, version.published_by) == (2, counts, "user:lei")
    page = send("lei", "compare", newer, lang="pt")
    assert page.context["compared"]["same"] and "Não há nada a publicar" in page.content.decode()
    # who publishes for the body finds the way there; who does not, does not
    entry = "/en/sharing/directory/museum-visits"
    assert url in readers["lei"].get(entry, **BROWSER).content.decode()
    ho = Client()
    assert ho.login(username="ho", password=PASSWORD)
    assert url not in ho.get(entry, **BROWSER).content.decode()
    assert ho.get(url, **BROWSER).status_code == 403, "another body's data"
    assert readers["lei"].get("/en/sharing/versions/nothing", **BROWSER).status_code == 404


def test_bodies_and_their_people_are_kept_on_their_pages(bay, readers):
    from django.contrib.auth.models import User

    from wantong.border.exchange.sharing.models import Body, Member
    from wantong.ground.log.models import LogEntry
    from wantong.portal.services import make_operator

    make_operator("mak", ("operator",), PASSWORD, name="Mak Wai")
    mak, url = Client(), "/en/sharing/bodies"
    assert mak.login(username="mak", password=PASSWORD)
    assert url in readers["wu"].get("/en/sharing", **BROWSER).content.decode()
    assert url not in readers["nobody"].get("/en/sharing", **BROWSER).content.decode()
    # a body is added, by whom the service lets, with a name in the languages there are
    new = {"code": "gd-port", "name-zh-hans": "示例市口岸办", "name-en": " Port office "}
    for who, client in (("lei", readers["lei"]), ("mak", mak)):
        added = client.post("/zh-hant/sharing/bodies", {**new, "code": f"{who}-port"}, **BROWSER)
        assert added.status_code == 302 and added["Location"] == f"/zh-hant/sharing/bodies/{who}-port"
        assert "示例市口岸办已登記" in client.get(added["Location"], **BROWSER).content.decode()
        assert Body.objects.get(code=f"{who}-port").name == {"zh-hans": "示例市口岸办", "en": "Port office"}
    # what cannot be is said beside its field, in the reader's language, and nothing is changed
    before = list(Body.objects.values())
    for lang, wrong, said in (
        ("zh-hans", {"code": "Gd Port"}, ("id_code", "请填写 2 至 80 个小写字母")),
        ("zh-hant", {"code": "gd-culture"}, ("id_code", "該代碼已登記")),
        ("en", {"code": "nul\x00"}, ("id_code", "Write 2 to 80 small letters")),
        (
            "pt",
            {"name-zh-hans": "", "name-en": "  "},
            ("id_name-pt", "Escreva o nome em pelo menos uma língua"),
        ),
        ("zh-hant", {"name-zh-hant": "口" * 2001}, ("id_name-zh-hant", "名稱不得超過 2000 個字元")),
        ("en", {"name-pt": "nul\x00"}, ("id_name-pt", "There is a character in it that is no text")),
    ):
        for place, field in (("bodies", ""), ("bodies/gd-culture", "name-")):
            if not said[0].startswith(f"id_{field}"):
                continue
            page = mak.post(f"/{lang}/sharing/{place}", {**new, **wrong}, **BROWSER)
            body = page.content.decode()
            assert page.status_code == 422, (place, wrong)
            whole(body, lang)
            assert f'href="#{said[0]}"' in body and body.count(said[1]) == 2, (place, wrong)
    assert mak.post("/en/sharing/bodies", {}, **BROWSER).status_code == 422
    assert list(Body.objects.values()) == before
    # renamed: the code stays, and what is left empty is no name
    culture = "/en/sharing/bodies/gd-culture"
    assert 'value="示例市文化广电旅游局"' in mak.get(culture, **BROWSER).content.decode()
    assert mak.post(culture, {"name-en": "Culture"}, **BROWSER)["Location"] == culture
    assert Body.objects.get(code="gd-culture").name == {"en": "Culture"}
    # somebody with an account here joins, once, and leaves; the log has it without names
    people = f"{culture}/members"

    def logged() -> list[str]:
        found = LogEntry.objects.filter(kind__in=("sharing.member", "sharing.dismiss")).order_by(
            "recorded_at"
        )
        assert not any("user:" in entry.body for entry in found)
        return [entry.kind for entry in found][3:]

    assert "Ho Sio Mei (ho)" in mak.get(culture, **BROWSER).content.decode()
    assert mak.post(people, {"act": "add", "who": "user:ho"}, **BROWSER)["Location"] == culture
    told = mak.get(culture, HTTP_ACCEPT="application/json").json()
    assert [(one["account"], one["roles"]) for one in told["members"]] == [
        ("chan", ["declarer"]), ("ho", ["declarer", "approver"]), ("lei", ["approver"]),
    ]  # fmt: skip
    User.objects.filter(username="ho").update(is_active=False)
    assert "cannot sign in at this node" in mak.get(culture, **BROWSER).content.decode()
    for who in ("user:ho", "user:chan", "user:stranger", "", "chan"):
        page = mak.post(people, {"act": "add", "who": who}, **BROWSER)
        assert page.status_code == 422 and page.content.decode().count("Choose somebody who has") == 2, who
        whole(page.content.decode(), "en")
    for who in ("user:ho", "user:ho", "user:stranger", "nul\x00", ""):
        assert mak.post(people, {"act": "remove", "who": who}, **BROWSER)["Location"] == culture
    assert logged() == ["sharing.member", "sharing.dismiss"]
    everybody = sorted(Member.objects.values_list("body", "actor"))
    assert everybody == [("gd-culture", "user:chan"), ("gd-culture", "user:lei"), ("gd-hrss", "user:ho")]
    # everybody who works here may look; who may not keep them sees no form and is refused, whatever he sends
    before = list(Body.objects.values())
    for who in ("chan", "wu"):
        for address in (url, culture):
            assert 'class="wt-form"' not in readers[who].get(address, **BROWSER).content.decode()
        for address, sent in (
            (url, new), (url, {}), (culture, {"name-en": "Mine"}), (people, {"act": "add", "who": "user:wu"}),
            (people, {"act": "remove", "who": "user:lei"}), ("/en/sharing/bodies/nothing", {}),
        ):  # fmt: skip
            assert readers[who].post(address, sent, **BROWSER).status_code == 403, (who, address)
            assert readers["nobody"].post(address, sent, **BROWSER).status_code == 302, address
    assert readers["nobody"].get(f"{url}.json").status_code == 401
    assert list(Body.objects.values()) == before
    assert sorted(Member.objects.values_list("body", "actor")) == everybody
    for address in ("/en/sharing/bodies/nothing", "/en/sharing/bodies/nothing.json"):
        assert mak.get(address, **BROWSER).status_code == 404
    assert mak.post("/en/sharing/bodies/nothing/members", {"act": "add"}, **BROWSER).status_code == 404
    assert mak.get(people, **BROWSER).status_code == 405


def test_the_figures_are_tables_too(bay, readers):
    for table, column in (
        ("months", "asked"),
        ("bodies", "grants"),
        ("datasets", "rating"),
        ("refusals", "code"),
    ):
        told = readers["nobody"].get(f"/pt/sharing/figures.csv?table={table}")
        assert (
            told["Content-Type"].startswith("text/csv")
            and column in told.content.decode("utf-8-sig").splitlines()[0]
        )
    assert readers["nobody"].get("/pt/sharing/figures.csv?table=users").status_code == 404
    told = readers["nobody"].get("/en/sharing/figures.json").json()
    assert (told["asked"], told["refused"], told["published"][0]["hours"]) == (4, 1, 10.3)
    assert readers["nobody"].get("/en/sharing/figures.json?since=2999-01-01").json()["asked"] == 0
