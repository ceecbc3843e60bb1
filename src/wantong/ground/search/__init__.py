"""Search in Chinese (both scripts), English and Portuguese, without a search server.

:func:`~.terms.document` turns texts into weighted terms (words and stems; pairs of characters), to be stored with what
they describe; an :class:`~.index.Index` in memory answers questions over them. Pure: it knows no database, so that
SQLite and PostgreSQL give one answer in one order. Plan tasks 6 and 42.
"""

from wantong.ground.search.index import Hits, Index, Segment
from wantong.ground.search.terms import Document, Field, Need, document, question

__all__ = ["Document", "Field", "Hits", "Index", "Need", "Segment", "document", "question"]
