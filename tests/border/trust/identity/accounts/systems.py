"""The simulators, running, and how a node is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.border.trust.people import agreed

from wantong.border.trust.identity.accounts.sources import services as sources
from wantong.ground.actors import Actor
from wantong.node.demo import identity as simulators
from wantong.node.demo.identity.guangdong import Guangdong
from wantong.node.demo.identity.iamsmart import IamSmart
from wantong.node.demo.identity.oneaccount import OneAccount

OPERATOR = Actor("user:ho", "Ho", frozenset({"operator"}))


@dataclass
class Systems:
    """The simulators that run, and their addresses."""

    guangdong: Guangdong
    iamsmart: IamSmart
    oneaccount: OneAccount
    urls: dict[str, str]
    kek: str

    def register(self, operator: Actor, titles: Mapping[str, Mapping[str, str]]) -> None:
        """Let people sign in through them."""
        for name, url in self.urls.items():
            secrets = {"client_secret": "shared", **({"kek": self.kek} if name == "iam-smart" else {})}
            agreed(sources.add(
                operator, name, adapter_name=name, issuer=url, title=titles.get(name, {"en": name}),
                settings={"base": url, "client_id": "wantong"}, secrets=secrets,
            ))  # fmt: skip


@contextmanager
def started(bay: Path) -> Iterator[Systems]:
    """All three, beside a demonstration's bay that is made up for them."""
    (bay / simulators.MARK).parent.mkdir(parents=True)
    (bay / simulators.MARK).write_text("{}")
    key = rsa.generate_private_key(65537, 2048)
    systems = Systems(
        Guangdong("wantong", "shared"),
        IamSmart("wantong", "shared", key.public_key()),
        OneAccount("wantong", "shared"),
        {},
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    )
    apps = {"guangdong": systems.guangdong, "iam-smart": systems.iamsmart, "one-account": systems.oneaccount}
    with ExitStack() as stack:
        for name, app in apps.items():
            systems.urls[name] = stack.enter_context(simulators.start(bay, app))
        systems.oneaccount.issuer = systems.urls["one-account"]
        yield systems
