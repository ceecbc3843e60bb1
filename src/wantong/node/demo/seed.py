"""Prepares one node of the demonstration bay: keys, database, trust in the other two, its operators."""

from __future__ import annotations

import json
import secrets
import sys
import time
from pathlib import Path

from wantong.node import setup

# the one who declares and proposes, the one who approves (never the same person), and the one who keeps the trust list
OPERATORS = {"clerk": ("declarer",), "officer": ("approver", "auditor"), "registrar": ("operator",)}
PATIENCE = 60.0
PLACES = ("gd", "hk", "mo")


def main(place: str, bay: Path) -> None:
    """Idempotent: what is there already is kept."""
    directory = bay / place
    setup.prepare(directory)
    for other in PLACES:
        if other != place:
            setup.recognise(_wait_for(bay / other / "card.json"))
    secrets_file = directory / "run" / "demo-operators.json"
    if not secrets_file.exists():
        from django.contrib.auth import get_user_model

        from wantong.ground.http.auth import make_token
        from wantong.portal.services import make_operator

        get_user_model().objects.filter(username__in=OPERATORS).delete()
        operators = {}
        for name, roles in OPERATORS.items():
            password = secrets.token_urlsafe(9)
            user = make_operator(name, roles, password)
            operators[name] = {"password": password, "token": make_token(user, "demonstration")}
        draft = secrets_file.with_suffix(".tmp")
        setup.write_secret(draft, json.dumps(operators))
        draft.replace(secrets_file)
    from wantong.border.trust.credentials import opening
    from wantong.ground import config
    from wantong.node.demo import trust
    from wantong.node.demo.identity import scene

    if place == "gd":
        trust.agreed(opening.open_type(trust.REGISTRAR, "degree"))
    if place == "hk":
        scene.prepare(bay, place, ("iam-smart", "guangdong"))
    trust.publish(config.current())
    trust.countersign(bay, PLACES, _wait_for)


def _wait_for(path: Path) -> bytes:
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        if time.monotonic() > deadline:
            raise SystemExit(f"{path} did not appear")
        time.sleep(0.05)
    return path.read_bytes()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
