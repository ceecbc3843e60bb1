"""Nobody outside chooses whom we call inside: addresses in every spelling, names that change their mind, redirects."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wantong.ground.http.fetch import Fetcher, FetchFailed
from wantong.ground.http.reach import EVERYWHERE, NotPermitted, Reach, never, plain

INSIDE = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0", "169.254.169.254",
    "100.100.100.200", "224.0.0.1", "255.255.255.255", "192.0.0.192", "198.18.0.1", "::1", "::", "fe80::1",
    "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
    "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1", "2002:0a00:0001::1", "2002:7f00:1::", "2001:db8::1",
    "2001::1", "not an address", "",
]  # fmt: skip
OUTSIDE = ["1.1.1.1", "203.0.114.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]


@pytest.mark.parametrize("address", INSIDE)
def test_what_lies_inside_is_not_called(address):
    assert not Reach().permits(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_is_public_is_called(address):
    assert Reach().permits(address)


def test_an_operator_opens_networks_but_never_link_local_or_metadata():
    reach = Reach.of(["https://node.example"], ["10.8.0.0/16", "0.0.0.0/0", "::/0"])
    assert reach.permits("10.8.3.4") and reach.permits("::ffff:10.8.3.4")
    for network in never():
        assert not reach.permits(str(network[0])), network


def test_an_address_in_figures_is_what_the_operator_meant_and_its_neighbour_is_not():
    reach = Reach.of(["http://10.0.0.7:8000/x", "http://[fd12::5]/"])
    assert reach.permits("10.0.0.7") and reach.permits("fd12::5")
    assert not reach.permits("10.0.0.8") and not reach.permits("127.0.0.1")
    assert Reach.of(["http://localhost:1"]).permits("127.0.0.1")


@given(st.ip_addresses())
def test_every_spelling_of_an_address_is_judged_alike(address):
    spelt = str(address)
    if address.version == 4:
        assert (
            Reach().permits(f"::ffff:{spelt}")
            == Reach().permits(spelt)
            == Reach().permits(f"64:ff9b::{spelt}")
        )
    assert Reach().permits(spelt.upper()) == Reach().permits(spelt)


def test_one_address_inside_spoils_a_name():
    with pytest.raises(NotPermitted):
        Reach().addresses("mixed.example", 80, lambda *_: ["1.1.1.1", "10.0.0.1"])
    assert Reach().addresses("good.example", 80, lambda *_: OUTSIDE) == OUTSIDE
    with pytest.raises(NotPermitted):
        Reach().addresses("empty.example", 80, lambda *_: [])


@pytest.mark.parametrize(
    "url",
    ["http://a@b/", "http://a:b@c/", "ftp://a/", "http://", "//a/b", "http://a/ b", "http://a/\\b", "http://a/#x", "http://a:99999/",
     "http://a:x/", "http://ä.example/", "http://a/\nb", "", "javascript:1", "http://[::1"],
)  # fmt: skip
def test_an_address_that_may_be_read_in_two_ways_is_none(url):
    assert not plain(url)


def test_plain_addresses():
    assert all(
        map(
            plain,
            ("http://a.example", "https://a.example:8443/x/y?z=1", "http://[::1]:8/", "http://10.0.0.1/"),
        )
    )


# --- for real ---------------------------------------------------------------------------------------------------


class Inside:
    """A server on this machine's loopback that must not be called."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        called = self.called = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                called.append((self.path, self.headers["Host"]))
                if self.path == "/away":
                    self.send_response(302)
                    self.send_header("Location", "/secret")
                else:
                    self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer((host, 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def inside():
    server = Inside()
    yield server
    server.server.shutdown()
    server.server.server_close()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "localhost", "[::ffff:127.0.0.1]", "[::1]"],
)
def test_no_spelling_of_loopback_is_called(inside, host):
    with Fetcher(reach=Reach()) as http, pytest.raises(FetchFailed) as caught:
        http.get(f"http://{host}:{inside.port}/", limit=100, deadline=5)
    assert caught.value.reason in ("forbidden", "unreachable", "address")
    assert inside.called == []
    if host == "2130706433":
        with Fetcher(reach=EVERYWHERE) as http:
            assert http.get(f"http://{host}:{inside.port}/", limit=100, deadline=5).status == 200


def test_a_name_that_changes_its_mind_is_judged_and_called_at_one_address(inside):
    """DNS rebinding: permitted when it is judged, inside a moment later."""
    asked = []

    def rebinding(host, port):
        asked.append(host)
        return ["127.0.0.2"] if len(asked) % 2 else ["127.0.0.1"]

    # 127.0.0.2 stands for an address outside: nothing listens there
    reach = Reach.of([], ["127.0.0.2/32"])
    with Fetcher(reach=reach, resolver=rebinding) as http:
        for expected in ("unreachable", "forbidden", "unreachable", "forbidden"):
            with pytest.raises(FetchFailed) as caught:
                http.get(f"http://rebinding.example:{inside.port}/", limit=100, deadline=5)
            assert caught.value.reason == expected
    assert len(asked) == 4, "one look-up a connection, and none between judging and calling"
    assert inside.called == []


def test_a_name_within_an_allowed_network_is_called_by_its_name(inside):
    with Fetcher(reach=Reach.of([], ["127.0.0.0/8"]), resolver=lambda *_: ["127.0.0.1"]) as http:
        assert http.get(f"http://node.example:{inside.port}/x", limit=100, deadline=5).status == 200
    assert inside.called == [("/x", f"node.example:{inside.port}")]


def test_a_redirect_is_not_followed(inside):
    with Fetcher(reach=Reach.of([f"http://127.0.0.1:{inside.port}"])) as http:
        assert http.get(f"http://127.0.0.1:{inside.port}/away", limit=100, deadline=5).status == 302
    assert [path for path, _ in inside.called] == ["/away"]
