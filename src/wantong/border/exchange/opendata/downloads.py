"""Published files on the data plane: by ranges, with ETag, packed where it helps; for everyone, without a database.

``GET /open/<dataset>/<version>/<file>``. What is there never changes, so caches may keep it for ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from wantong.border.exchange.opendata.files import MANIFEST, SAFE
from wantong.ground.config import NodeConfig
from wantong.ground.problems import TYPE_BASE

PIECE = 1 << 20


class _File(FileResponse):
    chunk_size = PIECE


def routes(config: NodeConfig) -> list[Route]:
    """What the data plane serves of a node's open data."""
    downloads = _Downloads(config.open)
    methods = ["GET", "HEAD", "OPTIONS"]
    return [Route("/open/{dataset:str}/{version:int}/{file:str}", downloads.file, methods=methods)]


class _Downloads:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._manifest = lru_cache(maxsize=1024)(_read)

    async def file(self, request: Request) -> Response:
        """A file of a version, whole or the ranges asked for (RFC 9110)."""
        headers = {
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Headers": "Range, If-None-Match, If-Range",
            "Access-Control-Expose-Headers": "Content-Length, Content-Range, ETag, Accept-Ranges",
            "X-Content-Type-Options": "nosniff",
        }
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
        dataset, name = request.path_params["dataset"], request.path_params["file"]
        folder = self._root / dataset / str(request.path_params["version"])
        told = self._told(folder, dataset, name)
        if told is None or not (folder / name).is_file():
            problem = {"type": TYPE_BASE + "open-data-unknown", "status": 404}
            return JSONResponse(problem, 404, headers, media_type="application/problem+json")
        path, etag = folder / name, told["sha256"]
        if told["gzip"] and told["gzip"] < told["size"]:
            headers["Vary"] = "Accept-Encoding"
            # a range is one of the file as it is: who wants parts gets it unpacked
            if "range" not in request.headers and _takes_gzip(request.headers.get("accept-encoding", "")):
                path, etag = folder / f"{name}.gz", f"{etag}-gzip"
                headers["Content-Encoding"] = "gzip"
        media_type = told["media_type"]
        headers |= {
            "ETag": f'"{etag}"',
            "Cache-Control": "public, max-age=31536000, immutable",
            "Content-Type": f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type,
            "Content-Disposition": f'attachment; filename="{name}"',
        }
        if _known(request.headers.get("if-none-match", ""), etag):
            kept = {
                k: v
                for k, v in headers.items()
                if k not in ("Content-Type", "Content-Encoding", "Content-Disposition")
            }
            return Response(status_code=304, headers=kept)
        return _File(path, headers=headers)

    def _told(self, folder: Path, dataset: str, name: str) -> Mapping[str, Any] | None:
        if not SAFE.fullmatch(dataset) or not SAFE.fullmatch(name):
            return None
        try:
            return self._manifest(folder / MANIFEST).get(name)
        except FileNotFoundError:
            return None


def _read(path: Path) -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = json.loads(path.read_bytes())
    return found


def _takes_gzip(header: str) -> bool:
    for part in header.lower().split(","):
        coding, _, weight = part.strip().partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _known(header: str, etag: str) -> bool:
    return header.strip() == "*" or any(
        part.strip().removeprefix("W/") == f'"{etag}"' for part in header.split(",")
    )
