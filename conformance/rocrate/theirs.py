"""``theirs.py write|judge FOLDER``, run with ro-crate-py and rocrate-validator: write a crate, judge ours."""

from __future__ import annotations

import email
import io
import sys
import urllib.request
import urllib.response
from pathlib import Path
from typing import Any

import requests
from rocrate.rocrate import ROCrate
from rocrate_validator import models, services

CONTEXT = (Path(__file__).parent / "context.jsonld").read_bytes()
WHERE = "https://w3id.org/ro/crate/1.1/context"


class Local(urllib.request.HTTPSHandler):
    """The context from the copy beside this file; nothing else is fetched."""

    def https_open(self, request: urllib.request.Request) -> Any:
        if request.full_url != WHERE:
            raise OSError("not fetched")
        head = email.message_from_string("Content-Type: application/ld+json")
        answer = urllib.response.addinfourl(io.BytesIO(CONTEXT), head, WHERE, 200)
        answer.msg = "OK"
        return answer


def send(self: Any, request: Any, **_: Any) -> requests.Response:
    if request.url != WHERE:
        raise requests.ConnectionError("not fetched")
    answer = requests.Response()
    answer.status_code, answer.url, answer.request = 200, WHERE, request
    answer.raw = io.BytesIO(CONTEXT)
    answer._content = CONTEXT
    answer.headers["Content-Type"] = "application/ld+json"
    return answer


def write(folder: Path) -> None:
    table = folder / "theirs.csv"
    table.write_bytes(b"a,b\n1,2\n")
    crate = ROCrate()
    crate.name, crate.description = "Theirs", "Written by ro-crate-py"
    crate.license = crate.add_jsonld(
        {"@id": "https://creativecommons.org/licenses/by/4.0/", "@type": "CreativeWork", "name": "CC BY 4.0"}
    )
    crate.add_file(
        table, dest_path="data/theirs.csv", properties={"name": "Theirs", "encodingFormat": "text/csv"}
    )
    crate.write_zip(folder / "theirs.zip")


def judge(folder: Path) -> None:
    urllib.request.install_opener(urllib.request.build_opener(Local))
    requests.adapters.HTTPAdapter.send = send
    passed, names = 0, ("whole", "one-file", "empty")
    for name in names:
        told = services.validate(
            services.ValidationSettings(
                rocrate_uri=str(folder / f"{name}.zip"),
                profile_identifier="ro-crate-1.1",
                requirement_severity=models.Severity.RECOMMENDED,
                no_cache=True,
            )
        )
        issues = told.get_issues()
        passed += not issues
        for issue in issues:
            print(f"   {name}: {issue.severity.name} {issue.check.identifier} {issue.message}")
    read = ROCrate(folder / "whole.zip")
    parts = {entity.id for entity in read.root_dataset["hasPart"]}
    assert "data/队列.csv" in parts or "data/%E9%98%9F%E5%88%97.csv" in parts, parts
    print(
        f"   rocrate-validator, ro-crate-1.1, RECOMMENDED: {passed} of {len(names)} crates without an issue"
    )
    sys.exit(passed != len(names))


{"write": write, "judge": judge}[sys.argv[1]](Path(sys.argv[2]))
