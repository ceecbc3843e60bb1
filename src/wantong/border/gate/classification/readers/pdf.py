"""PDF text, page by page, with form fields and notes (pypdf). Only ever run in the worker: see :mod:`.worker`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, BinaryIO

import pypdf
from pypdf.errors import PyPdfError

from ..chunks import CellsChunk, Chunk, TextChunk
from .limits import Budget
from .problems import Damaged, Encrypted, LimitReached, PicturesNotRead, ReadProblem


def read(file: BinaryIO, place: str, budget: Budget) -> Iterator[Chunk | ReadProblem]:
    """A :class:`TextChunk` a page. A page without text that has pictures is a scan: it is counted and told."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = pypdf.PdfReader(file, strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            yield Encrypted(place)
            return
        count = len(reader.pages)
    except PyPdfError as error:
        raise Damaged(place, reason="reader", told=error) from None
    scanned = 0
    for number in range(min(count, budget.limits.pages)):
        budget.check_time(place)
        path = f"{place}#page {number + 1}"
        try:
            page = reader.pages[number]
            text = page.extract_text()
            notes = _notes(page)
            if not text.strip() and _has_pictures(page):
                scanned += 1
        except MemoryError:
            raise
        except Exception as error:
            yield Damaged(path, reason="reader", told=f"{type(error).__name__}: {error}")
            continue
        if text.strip():
            yield TextChunk(path, text.encode("utf-8", "replace"), 1)
        if notes:
            yield TextChunk(path, "\n".join(notes).encode("utf-8", "replace"), 1)
    if count > budget.limits.pages:
        yield LimitReached(place, "pages", budget.limits.pages)
    yield from _fields(reader, place)
    if scanned:
        yield PicturesNotRead(place, scanned)


def _notes(page: Any) -> list[str]:
    return [
        str(contents)
        for annotation in page.get("/Annots") or ()
        if (contents := annotation.get_object().get("/Contents"))
    ]


def _has_pictures(page: Any) -> bool:
    resources = page.get("/Resources")
    objects = resources.get_object().get("/XObject") if resources else None
    return objects is not None and any(
        item.get_object().get("/Subtype") in ("/Image", "/Form") for item in objects.get_object().values()
    )


def _fields(reader: pypdf.PdfReader, place: str) -> Iterator[Chunk | ReadProblem]:
    try:
        fields = reader.get_form_text_fields() or {}
    except MemoryError:
        raise
    except Exception as error:
        yield Damaged(f"{place}#form", reason="reader", told=f"{type(error).__name__}: {error}")
        return
    for name, value in fields.items():
        if value:
            cell = " ".join(str(value).splitlines())
            yield CellsChunk(f"{place}#form", str(name), cell.encode("utf-8", "replace"), 1)
