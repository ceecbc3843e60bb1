"""What can be wrong with a file, by name. Readers yield these beside the chunks; nothing stops the other files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from wantong.ground.problems import Problem


class ReadProblem(Problem):
    """Something in a file that could not be read, or that its reader must tell. ``path`` is the place, as shown.

    ``complete`` is true for mere remarks: all of the content was read all the same.
    """

    slug: ClassVar[str] = "file-damaged"
    status: ClassVar[int] = 422
    complete: ClassVar[bool] = False

    def __init__(self, path: str, **params: Any) -> None:
        self.path = path
        super().__init__(path=path, **params)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.params == getattr(other, "params", None)

    def __hash__(self) -> int:
        return hash((self.slug, self.path))


class Missing(ReadProblem):
    """There is no such file."""

    slug = "file-missing"
    status = 404


class Unreadable(ReadProblem):
    """The system refuses to open or read the file; ``reason`` is its word for it."""

    slug = "file-unreadable"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason=reason)


class NotAFile(ReadProblem):
    """A pipe, device or socket: reading it could block for ever or never end."""

    slug = "file-not-regular"


class LinkSkipped(ReadProblem):
    """A symbolic link inside a folder or archive, which may point anywhere, is not followed."""

    slug = "file-link-skipped"


class Unsupported(ReadProblem):
    """A format without a reader, ``format`` being its name or extension; its content is unknown, not clean."""

    slug = "file-format-unsupported"
    status = 415

    def __init__(self, path: str, format: str) -> None:
        super().__init__(path, format=format)


class Encrypted(ReadProblem):
    """The content is encrypted."""

    slug = "file-encrypted"


class Damaged(ReadProblem):
    """Truncated or malformed; what was read before the damage has been given.

    ``told``, where there is one, is what the library that reads the format said: technical English, from its exception.
    """

    slug = "file-damaged"
    CODES: ClassVar[Mapping[str, str]] = {"reason": "file-damaged"}

    def __init__(self, path: str, *, reason: str, **params: Any) -> None:
        if "told" in params:
            told = str(params["told"]) or type(params["told"]).__name__
            params["told"] = "".join(c if c.isprintable() else " " for c in told)[:200]
        super().__init__(path, reason=reason, **params)


class HostileArchive(ReadProblem):
    """Entries share bytes of the archive, as only bombs do: refused as a whole."""

    slug = "file-archive-overlap"


class ReaderStopped(ReadProblem):
    """The parser's process died on this file."""

    slug = "file-reader-stopped"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason=reason)


class LimitReached(ReadProblem):
    """A bound of :class:`~.limits.Limits`, named by ``limit``, was reached; what lies beyond it was not read."""

    slug = "file-limit"
    status = 413
    CODES: ClassVar[Mapping[str, str]] = {"limit": "file-limit"}

    def __init__(self, path: str, limit: str, allowed: float) -> None:
        super().__init__(path, limit=limit, allowed=allowed)


class Remark(ReadProblem):
    """Everything was read, and there is something to know about it."""

    status = 200
    complete = True


class UnsafeName(Remark):
    """An archived file whose name would leave the folder it is unpacked to. (Nothing is ever unpacked to it.)"""

    slug = "file-unsafe-name"


class WrongExtension(Remark):
    """The content is of another format than the name says."""

    slug = "file-wrong-extension"

    def __init__(self, path: str, format: str) -> None:
        super().__init__(path, format=format)


class MixedEncoding(Remark):
    """Some bytes are not text in the file's encoding; ``count`` of them (or lines) were read as well as possible."""

    slug = "file-mixed-encoding"

    def __init__(self, path: str, encoding: str, count: int) -> None:
        super().__init__(path, encoding=encoding, count=count)


class HiddenContent(Remark):
    """A sheet, row or column that the usual programme does not show was read too."""

    slug = "file-hidden-content"


class DigitsLost(Remark):
    """Numbers of more than 15 digits were stored as floating point: their last digits are gone."""

    slug = "file-digits-lost"

    def __init__(self, path: str, column: str, count: int) -> None:
        super().__init__(path, column=column, count=count)


class PicturesNotRead(Remark):
    """Pictures (or pages that are only pictures) hold what no text reader sees: a human must look."""

    slug = "file-pictures"
    complete = False

    def __init__(self, path: str, count: int) -> None:
        super().__init__(path, count=count)


class CellsCut(Remark):
    """Cells longer than the bound were cut."""

    slug = "file-cells-cut"
    complete = False

    def __init__(self, path: str, count: int, allowed: int) -> None:
        super().__init__(path, count=count, allowed=allowed)


BY_SLUG: dict[str, type[ReadProblem]] = {
    kind.slug: kind
    for kind in (
        Missing,
        Unreadable,
        NotAFile,
        LinkSkipped,
        Unsupported,
        Encrypted,
        Damaged,
        HostileArchive,
        ReaderStopped,
        LimitReached,
        UnsafeName,
        WrongExtension,
        MixedEncoding,
        HiddenContent,
        DigitsLost,
        PicturesNotRead,
        CellsCut,
    )
}
