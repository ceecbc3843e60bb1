"""``python -m tests.portal.serve DIR``: makes a seeded node in DIR, serves its pages, says where as one line of JSON."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from tests.serving import serve


def fill(folder: Path) -> dict[str, Any]:
    from tests.portal import counterparty, seeded

    from wantong.border.trust.models import Peer

    made = seeded.seed(folder / "payloads")
    theirs = counterparty.serve()
    Peer.objects.filter(participant_id="mo.test.example").update(url=theirs)
    # nobody listens there
    Peer.objects.filter(participant_id="hk.test.example").update(url="http://127.0.0.1:9")
    return {"ids": made.ids(), "password": seeded.PASSWORD}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    serve(folder, partial(fill, folder), host="127.0.0.1")
