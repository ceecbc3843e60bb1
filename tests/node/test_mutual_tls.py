"""Two real nodes that know each other's certificates: what comes without one, or with another's, is not listened to."""

from __future__ import annotations

import contextlib
import json
import ssl
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from tests.ground.http.certificates import Issuer
from tests.node.test_processes import wait_for, wantong

from wantong.border.trust import keys, tokens
from wantong.node import config, setup
from wantong.node.bay import free_ports

pytestmark = pytest.mark.processes
ASKED = {"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "CatalogRequestMessage"}


class Two:
    """Guangdong and Macao with certificates of one issuer; a third that is nobody's peer has one too."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.issuer = Issuer.make("The bay's issuer")
        self.other = Issuer.make("Somebody else")
        (root / "ca.pem").write_bytes(self.issuer.pem())
        self.folders, self.urls, taken = {}, {}, set[int]()
        for place in ("gd", "mo"):
            folder = self.folders[place] = root / place
            web, data = free_ports(0, taken)
            self.urls[place] = f"https://127.0.0.1:{web}"
            setup.create(
                folder, jurisdiction=place, participant_id=f"{place}.test.example", url=self.urls[place],
                data_url=f"https://127.0.0.1:{data}", listen=(f"127.0.0.1:{web}", f"127.0.0.1:{data}"), threads=2,
            )  # fmt: skip
            self.issuer.issue(folder / "tls", f"{place}.test.example")
            (folder / "tls" / "ca.pem").write_bytes(self.issuer.pem())
            with (folder / "node.toml").open("a") as file:
                file.write('\n[tls]\ncertificate = "tls/node.pem"\nkey = "tls/node.key"\nca = "tls/ca.pem"\n')
        self.issuer.issue(root / "hk", "hk.test.example")
        self.other.issue(root / "forged", "gd.test.example")

    def context(self, shown: Path | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.root / "ca.pem"))
        if shown is not None:
            context.load_cert_chain(shown / "node.pem", shown / "node.key")
        return context

    def ask(self, shown: Path | None) -> httpx.Response:
        """A request that Guangdong has signed for Macao, over a connection with this certificate."""
        body = json.dumps(ASKED).encode()
        url = f"{self.urls['mo']}/dsp/2025-1/catalog/request"
        token = tokens.sign(
            keys.load(self.folders["gd"] / "keys", keys.PROTOCOL), issuer="gd.test.example",
            audience="mo.test.example", request=tokens.Request("POST", url, body), now=datetime.now(UTC),
        )  # fmt: skip
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        with httpx.Client(verify=self.context(shown), trust_env=False, timeout=20) as client:
            return client.post(url, content=body, headers=headers)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory):
    two = Two(tmp_path_factory.mktemp("tls"))
    with contextlib.ExitStack() as stack:
        for folder in two.folders.values():
            made = wantong("node", "run", folder, log=stack.enter_context((folder / "node.log").open("w")))
            stack.callback(made.wait, 30)
            stack.callback(made.terminate)
        people = two.context(None)
        for url in two.urls.values():
            wait_for(lambda url=url: httpx.get(f"{url}/readyz", verify=people).status_code == 200, 90)
        for place, other in (("gd", "mo"), ("mo", "gd")):
            told = wantong("node", "trust", two.folders[place], two.folders[other] / "card.json")
            assert told.wait(60) == 0, told.stderr.read()
        yield two


def test_a_request_over_the_peers_own_certificate_is_answered(two: Two):
    assert two.ask(two.folders["gd"] / "tls").status_code == 200


def test_without_a_certificate_a_node_is_not_listened_to(two: Two):
    refused = two.ask(None)
    assert refused.status_code == 401
    assert refused.json()["type"].endswith("/certificate-missing")


def test_another_nodes_certificate_does_not_do(two: Two):
    assert two.ask(two.root / "hk").status_code == 401


def test_a_certificate_of_another_issuer_makes_no_connection(two: Two):
    with pytest.raises(httpx.TransportError):
        two.ask(two.root / "forged")


def test_people_need_none(two: Two):
    with httpx.Client(verify=two.context(None), trust_env=False) as client:
        assert client.get(f"{two.urls['mo']}/en/").status_code in (200, 302)
        assert client.get(f"{two.urls['mo']}/log/checkpoint").status_code == 200
        assert client.get(f"{two.urls['mo']}/wantong/card").status_code == 200
        plane = config.load(two.folders["mo"]).node.data_url
        assert client.get(f"{plane}/healthz").status_code == 200
        assert client.get(f"{plane}/data/x/manifest").status_code == 401


def test_the_nodes_themselves_talk_and_witness_over_it(two: Two):
    made = wantong(
        "node", "operator", two.folders["gd"], "lin", "--role", "declarer", "--role", "auditor", "--token"
    )
    token = "wt_" + made.communicate(timeout=60)[0].split("wt_")[1].split()[0]
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(
        base_url=two.urls["gd"], verify=two.context(None), headers=headers, trust_env=False, timeout=30
    ) as client:
        assert client.get("/api/catalogue/mo.test.example").json() == []
        # what is logged in Guangdong has a receipt as soon as Macao, asked over such a connection, has cosigned it
        registered = client.post(
            "/api/verification/registrations", data={"kind": "report"}, files={"document": ("a.txt", b"a")}
        )
        assert registered.status_code == 201, registered.text
        receipt = f"/api/verification/registrations/{registered.json()['registration_id']}/receipt"
        wait_for(lambda: client.get(receipt).status_code == 200, 60)
        assert "mo.test.example/witness" in client.get(receipt).text


def test_settings_that_name_no_certificate_are_refused(tmp_path: Path):
    folder = tmp_path / "n"
    setup.create(folder, jurisdiction="hk", url="https://127.0.0.1:1")
    text = (folder / "node.toml").read_text()
    for wrong in ('certificate = "none.pem"\nkey = "none.key"', 'certificate = "x"', "ca = 3"):
        (folder / "node.toml").write_text(f"{text}\n[tls]\n{wrong}\n")
        with pytest.raises(config.BadSettings, match="tls"):
            config.load(folder)
