"""``python -m tests.border.trust.wallet.dying DIR STAGE``: a node that issues to its own wallet and is killed at a moment.

``take``: between the issuer's answer and the end of the wallet's transaction; ``show``: between the entry in the history and
the sending; ``look``: not at all. Says as one line of JSON what lies in the space, before it goes on.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from wsgiref.simple_server import make_server

from tests.serving import _Quiet, _Server

from wantong.node import logging, setup


def die(*told: Any, **more: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def begin(folder: Path) -> str:
    """The node of the folder, served from here; its address is always the same."""
    note = folder.with_suffix(".url")
    if not note.exists():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            note.write_text(f"http://localhost:{probe.getsockname()[1]}")
        setup.create(folder, jurisdiction="gd", url=note.read_text(), participant_id="gd.test.example")
    setup.prepare(folder)
    logging.configure("error", "web")
    from django.core.wsgi import get_wsgi_application

    port = int(note.read_text().rpartition(":")[2])
    server = make_server(
        "127.0.0.1", port, get_wsgi_application(), server_class=_Server, handler_class=_Quiet
    )
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return note.read_text()


def main(folder: Path, stage: str) -> None:
    begin(folder)
    from django.conf import settings
    from tests.border.trust.credentials.conftest import CLERK, DEGREE, OPERATOR
    from tests.border.trust.lists import publishing
    from tests.border.trust.people import agreed
    from tests.border.trust.wallet.test_services import account

    from wantong.border.trust.credentials import offers, opening, register
    from wantong.border.trust.credentials.models import Issued
    from wantong.border.trust.verifier import services as verifier
    from wantong.border.trust.verifier.models import Inquiry
    from wantong.border.trust.wallet import handlers, services, showing, taking
    from wantong.border.trust.wallet.content import Credential, Key, Showing, Waiting
    from wantong.border.trust.wallet.models import Space
    from wantong.ground.log.models import LogEntry
    from wantong.ground.outbox.models import Event

    settings.ALLOWED_HOSTS = ["*"]
    if stage == "take":
        holder = account()
        entered = services.enter(holder.pk, services.open_own(holder.pk).pk)
        agreed(opening.open_type(OPERATOR, "degree"))
        publishing.listed("issuer", "verifier")
        offer = offers.offer(CLERK, register.entitle(CLERK, "degree", DEGREE, reference="1").pk)
        taking.log = SimpleNamespace(record=die)  # type: ignore[assignment]  # the wallet's, not the issuer's
        taking.take(entered, taking.look(entered, offer.link), offer.tx_code)
        return
    space = Space.objects.get()
    entered = services.enter(space.owner_id, space.pk)
    kinds = (Credential, Key, Waiting, Showing)
    told: dict[str, Any] = {kind.kind: len(services.contents(entered, kind)) for kind in kinds}
    told["issued"], told["received"] = (
        Issued.objects.count(),
        LogEntry.objects.filter(kind="wallet.received").count(),
    )
    told["presented"] = LogEntry.objects.filter(kind="wallet.presented").count()
    told["answered"] = Inquiry.objects.exclude(state=Inquiry.State.ASKED).count()
    if stage == "show":
        handlers.collect(Event.objects.get(topic="wallet.collect"))
        told["collected"] = len(services.contents(entered, Credential))
        told["same"] = sorted(services.contents(entered, Credential)[0][1].keys) == sorted(
            Issued.objects.values_list("holder", flat=True)
        )
    print(json.dumps(told), flush=True)
    if stage == "show":
        asked = verifier.ask(CLERK, question="degree")
        seen = showing.ask(entered, asked.link)
        showing.answering.encrypt = die  # type: ignore[assignment]
        showing.present(entered, seen, {"degree": uuid.UUID(next(iter(seen.choices[0].able)))})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
