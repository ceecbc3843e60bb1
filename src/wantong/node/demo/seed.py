"""Prepares one node of the demonstration bay: keys, database, trust in the other two, two operators."""

from __future__ import annotations

import json
import secrets
import sys
import time
from pathlib import Path

from wantong.node import setup

# the one who declares and proposes, and the one who approves: never the same person
OPERATORS = {"clerk": ("declarer",), "officer": ("approver", "auditor")}
PATIENCE = 60.0


def main(place: str, bay: Path) -> None:
    """Idempotent: what is there already is kept."""
    directory = bay / place
    setup.prepare(directory)
    for other in ("gd", "hk", "mo"):
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


def _wait_for(path: Path) -> bytes:
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        if time.monotonic() > deadline:
            raise SystemExit(f"{path} did not appear")
        time.sleep(0.05)
    return path.read_bytes()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
