"""Making a node: its folder, its settings file, its keys, its database."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import wantong
from wantong.ground.config import NodeConfig
from wantong.ground.http import webkey
from wantong.ground.i18n import LANGUAGES
from wantong.ground.problems import Problem
from wantong.node import garbage

PLACES: Mapping[str, Mapping[str, str]] = {
    "gd": {"zh-hans": "广东节点", "zh-hant": "廣東節點", "en": "Guangdong node", "pt": "Nó de Guangdong"},
    "hk": {"zh-hans": "香港节点", "zh-hant": "香港節點", "en": "Hong Kong node", "pt": "Nó de Hong Kong"},
    "mo": {"zh-hans": "澳门节点", "zh-hant": "澳門節點", "en": "Macao node", "pt": "Nó de Macau"},
}


class FolderTaken(Problem):
    """The folder for a new node holds something already."""

    slug = "folder-taken"
    status = 409


def create(
    directory: Path,
    *,
    jurisdiction: str,
    url: str,
    data_url: str | None = None,
    participant_id: str | None = None,
    listen: tuple[str, str] | None = None,
    database: str = "sqlite:db.sqlite3",
    threads: int = 4,
) -> None:
    """Write the folder and ``node.toml`` of a new node. Raises :class:`FolderTaken` if there is one already.

    Without ``listen`` the node listens on loopback at the port of ``url`` (data plane: the next one), which suits a
    reverse proxy on the same host. Without ``data_url`` the data plane is taken to be reachable there.
    """
    if directory.exists() and any(directory.iterdir()):
        raise FolderTaken(directory=str(directory))
    parts = urlsplit(url)
    port = parts.port or 8000
    web, data = listen or (f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}")
    host = parts.hostname or "localhost"
    data_url = data_url or f"{parts.scheme}://{host}:{data.rpartition(':')[2]}"
    for folder in (directory, *(directory / name for name in ("keys", "log", "blobs", "outgoing", "run"))):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    name = "\n".join(f"{lang} = {_toml(PLACES[jurisdiction][lang])}" for lang in LANGUAGES)
    (directory / "node.toml").write_text(
        f"""# A Wantong node. After a change: restart `wantong node run`.

# how other nodes and the log know this node; never change it once the log has entries
participant_id = {_toml(participant_id or f"{jurisdiction}.{host}")}
# gd (Guangdong), hk (Hong Kong) or mo (Macao): whose law binds what leaves here
jurisdiction = {_toml(jurisdiction)}
# public addresses of the control plane (pages, API, protocol) and of the data plane
url = {_toml(url.rstrip("/"))}
data_url = {_toml(data_url.rstrip("/"))}
# sqlite:<file in this folder> or postgresql://user:password@host/name
database = {_toml(database)}
# threads that answer pages and API calls
threads = {threads}
log_level = "info"

[listen]
web = {_toml(web)}
data = {_toml(data)}

[name]
{name}
""",
        "utf-8",
    )
    webkey.make(directory / "keys")


def write_secret(path: Path, text: str) -> None:
    """Store a secret that only this user can read; an existing one is kept (FileExistsError)."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def prepare(directory: Path) -> None:
    """Bring keys and database of a node up to this version: done before anything else of it starts."""
    enter(directory)
    from django.core.management import call_command

    from wantong.ground import config

    generate_keys(config.current())
    call_command("migrate", verbosity=0, interactive=False)
    _replace(directory / PREPARED, _edition(directory).encode())


def prepare_if_needed(directory: Path) -> None:
    """:func:`prepare` in a process of its own, unless this version has done it already.

    The supervisor stays small that way, and a restart is quick. Raises subprocess.CalledProcessError.
    """
    marker = directory / PREPARED
    if not marker.exists() or marker.read_text() != _edition(directory):
        code = "import sys, pathlib; from wantong.node import setup; setup.prepare(pathlib.Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", code, str(directory)], check=True)  # noqa: S603 - our own code


PREPARED = "run/prepared"


def _edition(directory: Path) -> str:
    """What a database and keys must fit: this version, its migrations, the settings file."""
    settings = (directory / "node.toml").read_text("utf-8")
    return hashlib.sha256("\n".join((schema(), settings)).encode()).hexdigest()


def schema() -> str:
    """Names the structure of the tables: a digest over this version and its migrations."""
    package = Path(wantong.__file__).parent
    migrations = sorted(str(path.relative_to(package)) for path in package.glob("**/migrations/0*.py"))
    return hashlib.sha256("\n".join((wantong.__version__, *migrations)).encode()).hexdigest()


def change_database(directory: Path, url: str) -> None:
    """Name another database in ``node.toml``; everything else there stays as it was written."""
    file = directory / "node.toml"
    line = re.compile(r"^database\s*=.*$", re.MULTILINE)
    text = line.sub(lambda _: f"database = {_toml(url)}", file.read_text("utf-8"), count=1)
    _replace(file, text.encode())


def generate_keys(node: NodeConfig) -> None:
    """Make every key of the node that is not there yet, and the card that shows the public ones to others."""
    from django.utils import timezone

    from wantong.border.trust import keys, services
    from wantong.border.trust.certificates import holdings
    from wantong.border.trust.dcp import keys as dcp_keys
    from wantong.ground import log

    log.generate_keys(node.keys, node.participant_id)
    keys.generate(node.keys)
    dcp_keys.generate(node.keys)
    holdings.generate(node, timezone.now())
    _replace(node.directory / "card.json", services.make_card(node))


def write_card() -> None:
    """Bring ``card.json`` in line with the keys that sign now."""
    from wantong.border.trust import services
    from wantong.ground import config

    _replace(config.current().directory / "card.json", services.make_card(config.current()))


def recognise(card: bytes, networks: Sequence[str] | None = None) -> str:
    """Pin the node of ``card`` and have its log witnessed and its cosignatures counted; returns its participant id.

    Raises what :func:`wantong.border.trust.services.pin` raises.
    """
    from wantong.border.trust import services

    peer = services.pin(card, networks=networks)
    write_trust_file()
    return peer.participant_id


def write_trust_file() -> None:
    """Bring ``trust.toml`` (whose logs and witnesses count) in line with the pinned peers."""
    from wantong.border.trust import services
    from wantong.ground import config
    from wantong.ground.log import Keys, Party, Trust, VerifierKey
    from wantong.ground.log.services import TRUST_FILE, identity

    # a connector of another make has no log that could be counted on
    peers = [peer for peer in services.peers() if not peer.foreign]
    parties = [identity()]
    parties += (
        Party(
            p.participant_id,
            p.name,
            p.jurisdiction,
            p.url,
            VerifierKey.parse(p.log_vkey),
            VerifierKey.parse(p.witness_vkey),
            tuple(p.networks),
            tuple(
                Keys(
                    VerifierKey.parse(old["log_vkey"]),
                    VerifierKey.parse(old["witness_vkey"]),
                    datetime.fromisoformat(old["until"]) if old["until"] else None,
                )
                for old in p.earlier
            ),
        )
        for p in peers
    )
    # both other places must have seen what crosses between two of them
    trust = Trust(tuple(parties), quorum=min(2, len(peers)))
    _replace(config.current().directory / TRUST_FILE, trust.dumps().encode())


def _replace(path: Path, content: bytes) -> None:
    # the worker and a command may do it at the same time
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)


def settings_module() -> str:
    """The node's settings: our own, or a module of the operator's that builds on them (Django's usual variable)."""
    return os.environ.get("DJANGO_SETTINGS_MODULE") or "wantong.node.settings"


def enter(directory: Path) -> None:
    """Make this process one of the node's: Django is set up with the node's settings."""
    import django

    os.environ["WANTONG_NODE"] = str(directory)
    os.environ["DJANGO_SETTINGS_MODULE"] = settings_module()
    with garbage.off():
        django.setup()


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
