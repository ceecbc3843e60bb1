"""Keys with which a node seals and digests what it keeps change too: nothing becomes unreadable, whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wantong.ground import keyring
from wantong.node import config

pytestmark = pytest.mark.processes

BEGIN = """
import datetime, json, os, signal, sys
from datetime import timedelta
from pathlib import Path
from django.db.models import QuerySet
from django.utils import timezone
from wantong.node import setup
setup.enter(Path(sys.argv[1]))
from wantong.border.exchange import renewing
from wantong.border.trust.identity.accounts.linking import keyed, services as linking
from wantong.border.trust.identity.accounts.linking.names import Name
from wantong.border.trust.identity.accounts.models import Account, Evidence, NameKey
from wantong.border.trust.wallet import resealing, services
from wantong.border.trust.wallet.content import File
from wantong.border.trust.wallet.models import Space
from wantong.border.trust.documents.dates import PartialDate
from wantong.ground import keyring
from wantong.ground.outbox import services as outbox
from wantong.ground.outbox.models import Event, State
resealing.AT_ONCE = 2
from wantong.border.trust.identity.accounts import handlers
handlers.AT_ONCE = 2
NUMBER = "H12345678"
"""

FILL = """
for n in range(6):
    account = Account.objects.create(issuer=f"system-{n % 2}", subject=str(n), scheme="local", native_level="self")
    space = services.open_own(account.pk)
    services.store(services.enter(account.pk, space.pk, "receive"), "a.txt", "text/plain", b"kept %d" % n)
    linking.record_evidence(
        account, document="cn-home-return-permit", number=NUMBER, names=[Name("陳大文", "Hant", "zh-Hant")],
        birth=PartialDate.parse("1990-01-02"), method="counter", verified_at=timezone.now(), verified_by="test",
    )
"""

KILLED = """
count, stored = 0, QuerySet.bulk_update
def bulk_update(self, rows, fields, **more):
    global count
    done = stored(self, rows, fields, **more)
    count += bool(rows)
    if count == {at}:
        os.kill(os.getpid(), signal.SIGKILL)  # written, and not committed
    return done
QuerySet.bulk_update = bulk_update
renewing.begin(timedelta(0)); outbox.drain()
raise AssertionError("was to be killed")
"""

GO_ON = """
Event.objects.filter(state=State.DUE, leased_until__isnull=False).update(leased_until=None)
outbox.drain()
"""

READ = """
from wantong.border.trust.wallet import vault
newest = services.masters()[:1]
print(json.dumps({
    "read": [
        services.fetch(entered, row.pk)[1].decode()
        for account in Account.objects.order_by("created_at")
        for entered in [services.enter(account.pk, space.pk) for space in services.spaces(account.pk)]
        for row in entered.space.items.filter(kind="file")
    ],
    "newest": sum(vault.rewrapped(bytes(s.key), services.masters(), str(s.pk)) is None for s in Space.objects.all()),
    "numbers": sorted({keyed.lifted(row.number, row.layers) for row in Evidence.objects.all()}),
    "again": keyed.digest("number", "cn-home-return-permit", "H12345678"),
    "layers": sorted({*Evidence.objects.values_list("layers", flat=True), *NameKey.objects.values_list("layers", flat=True)}),
    "alike": len(linking.candidates(Account.objects.order_by("created_at").first())),
}))
"""

FORGET = """
for event in Event.objects.filter(topic=resealing.TOPIC):
    event.payload["since"] = (timezone.now() - resealing.KEPT).isoformat()
    event.save()
with keyring.kept(services.config.current().keys):
    renewing.forget_now()
    outbox.drain()
    print(json.dumps(len(services.masters())))
Event.objects.filter(topic=resealing.TOPIC, state=State.DUE).update(available_at=timezone.now())
outbox.drain()
print(json.dumps(len(services.masters())))
"""


def run(node: Path, *parts: str, killed: bool = False) -> list[Any]:
    """What a process of the node prints, line by line."""
    done = subprocess.run(
        [sys.executable, "-u", "-c", BEGIN + "".join(parts), str(node)],
        env={**os.environ, "PYTHONPATH": "src"}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == (-signal.SIGKILL if killed else 0), done.stderr[-3000:]
    return [
        json.loads(line) for line in done.stdout.splitlines() if line.startswith(("{", "[")) or line.isdigit()
    ]


def test_killed_while_sealing_anew_a_node_goes_on_and_everything_opens_with_the_new_keys_alone(folder):
    keys = config.load(folder).node.keys
    # written and not committed: the second batch of spaces, then the second of digests
    [first] = run(folder, FILL, READ, KILLED.format(at=2), killed=True)
    old = keyring.texts(keys, "space.key")
    half, second = run(folder, READ, GO_ON, READ, KILLED.format(at=5), killed=True)
    other, third, waiting, over, last = run(folder, READ, GO_ON, READ, FORGET, READ)
    for seen in (first, half, second, other, third, last):
        assert seen["read"] == [f"kept {n}" for n in range(6)]
        assert seen["numbers"] == [seen["again"]] and seen["alike"] == 3
    assert first["again"] != second["again"] != third["again"]
    assert [len(seen["layers"]) for seen in (first, second, third)] == [1, 1, 1] and third["layers"] == [3]
    assert half["newest"] < 6 and second["newest"] == third["newest"] == 6
    assert (waiting, over) == (3, 1), "no key goes while a backup is made"
    assert not set(old) & set(keyring.texts(keys, "space.key"))
    assert len(keyring.line(keys, "accounts.key")) == 3, "every one of these is needed for ever"
