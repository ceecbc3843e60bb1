"""Whoever publishes an event finds a handler for it in the process that delivers: in a worker, which loads no page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import wantong
from wantong.node.handlers import TASKS

PUBLISHED = re.compile(r"\bpublish\(\s*\"([a-z]+\.[a-z.-]+)\"")
LOADED = """
import json, django
django.setup()
from wantong.ground.outbox import services
print(json.dumps(sorted(services.HANDLERS)))
"""


def test_every_topic_has_a_handler_in_a_worker() -> None:
    sources = Path(wantong.__file__).parent.rglob("*.py")
    published = {topic for source in sources for topic in PUBLISHED.findall(source.read_text("utf-8"))}
    assert "trustlist.round" in published and "dsp.send" in published
    told = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert not ({*published, *TASKS} - set(json.loads(told.stdout)))
