"""Bodies that several operations of the API take. A name stands for one form in the whole API's description."""

from __future__ import annotations

from ninja import Schema


class Note(Schema):
    """Why, if there is anything to say."""

    note: str = ""


class Reason(Schema):
    """Why."""

    reason: str


class PersonNumber(Schema):
    """The number of a person's document."""

    identifier: str
