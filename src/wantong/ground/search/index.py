"""An index in memory: sorted arrays, a large segment that seldom changes and a small one for what is new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wantong.ground.search.terms import TERM, Document, Need

Mask = NDArray[np.bool_]
# the small segment is joined to the large one when it has more documents than this and than an eighth of the large one
SMALL = 256


class Segment:
    """Documents and their terms, never changed once made."""

    def __init__(self, documents: Collection[Document]) -> None:
        self.documents = tuple(documents)
        self.keys = [document.key for document in self.documents]
        packed = [np.frombuffer(document.terms, dtype=TERM) for document in self.documents]
        every = np.concatenate(packed) if packed else np.empty(0, dtype=TERM)
        owners = np.repeat(np.arange(len(packed), dtype=np.int32), [len(terms) for terms in packed])
        by_term = np.argsort(every["term"], kind="stable")
        self._terms = np.ascontiguousarray(every["term"][by_term])
        self._weights = np.ascontiguousarray(every["weight"][by_term])
        self._owners = owners[by_term]
        self._facets: dict[str, tuple[NDArray[np.int32], NDArray[np.int32], list[str]]] = {}
        self._order: dict[str, NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self.documents)

    def postings(self, term: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Who has the term, and how much."""
        key = np.uint64(term)
        first = np.searchsorted(self._terms, key, side="left")
        last = np.searchsorted(self._terms, key, side="right")
        return self._owners[first:last], self._weights[first:last]

    def facet(self, name: str) -> tuple[NDArray[np.int32], NDArray[np.int32], list[str]]:
        """Pairs of document and value (by its place in the list of values)."""
        if name not in self._facets:
            codes: dict[str, int] = {}
            pairs = [
                (at, codes.setdefault(value, len(codes)))
                for at, document in enumerate(self.documents)
                for value in document.facets.get(name, ())
            ]
            both = np.array(pairs, dtype=np.int32).reshape(-1, 2)
            self._facets[name] = (both[:, 0], both[:, 1], list(codes))
        return self._facets[name]

    def having(self, name: str, values: Collection[str]) -> Mask:
        """Documents with any of the values."""
        found = np.zeros(len(self), dtype=bool)
        owners, codes, names = self.facet(name)
        wanted = [code for code, value in enumerate(names) if value in values]
        if wanted:
            found[owners[np.isin(codes, wanted)]] = True
        return found

    def order(self, name: str) -> NDArray[Any]:
        """The values of an order, a document each."""
        if name not in self._order:
            self._order[name] = np.array([document.order[name] for document in self.documents])
        return self._order[name]

    def score(self, needs: Sequence[Need], rarity: Mapping[int, float]) -> tuple[Mask, NDArray[np.float64]]:
        """Who meets every need, and how well everybody does."""
        fits = np.ones(len(self), dtype=bool)
        total = np.zeros(len(self))
        for need in needs:
            met = np.zeros(len(self), dtype=np.int32)
            for group in need.groups:
                best = np.zeros(len(self))
                for term in group:
                    owners, weights = self.postings(term)
                    # a weight counts less the more there is of it
                    gained = rarity[term] * weights / (weights + 3.0)
                    best[owners] = np.maximum(best[owners], gained)
                met += best > 0
                total += best
            fits &= met >= need.at_least
        return fits, total


@dataclass(frozen=True)
class Hits:
    """The answer: the keys of one page in order, how many there are in all, and counts by facet and value."""

    keys: tuple[str, ...]
    total: int
    facets: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Choice:
    """Hits must have (``wanted``) or lack one of ``values`` of a facet; the value ``*`` is any."""

    facet: str
    values: frozenset[str]
    wanted: bool = True


@dataclass(frozen=True)
class Span:
    """Hits must lie between two bounds of an order, both included; None is open."""

    order: str
    low: float | str | None
    high: float | str | None
    wanted: bool = True


class Index:
    """Two segments and what is no longer true of the large one. Immutable: :meth:`with_changes` makes another."""

    def __init__(self, large: Segment, small: Segment, alive: Mask) -> None:
        self._segments = ((large, alive), (small, np.ones(len(small), dtype=bool)))
        self._where = {key: at for at, key in enumerate(large.keys)}
        self._places: dict[str, NDArray[Any]] = {}

    @classmethod
    def of(cls, documents: Iterable[Document]) -> Index:
        large = Segment(tuple(documents))
        return cls(large, Segment(()), np.ones(len(large), dtype=bool))

    def __len__(self) -> int:
        return sum(int(alive.sum()) for _, alive in self._segments)

    def with_changes(self, changed: Iterable[Document], gone: Collection[str] = ()) -> Index:
        """The index after ``changed`` documents have come or been replaced, and those named by ``gone`` have gone."""
        (large, alive), (small, _) = self._segments
        fresh = {document.key: document for document in small.documents}
        alive = alive.copy()
        for document in changed:
            fresh[document.key] = document
        for key in (*fresh, *gone):
            if key in self._where:
                alive[self._where[key]] = False
        for key in gone:
            fresh.pop(key, None)
        if len(fresh) <= max(SMALL, len(large) // 8):
            return Index(large, Segment(tuple(fresh.values())), alive)
        kept = [document for document, lives in zip(large.documents, alive, strict=True) if lives]
        return Index.of((*kept, *fresh.values()))

    def search(
        self,
        needs: Sequence[Need] = (),
        *,
        choices: Sequence[Choice] = (),
        spans: Sequence[Span] = (),
        sort: Sequence[tuple[str, bool]] = (("score", True),),
        start: int = 0,
        rows: int = 10,
        facets: Sequence[str] = (),
    ) -> Hits:
        """One page of what meets all ``needs``, ``choices`` and ``spans``.

        ``sort``: names of orders (``score`` is how well the needs are met), each with whether it runs downwards; ties go by
        key, so that pages neither repeat nor lose anything. ``facets`` are counted over all hits.
        """
        rarity = self._rarity(needs)
        hits: list[NDArray[np.intp]] = []
        scores: list[NDArray[np.float64]] = []
        counts = {name: Counter[str]() for name in facets}
        before = 0
        for segment, alive in self._segments:
            fits, score = segment.score(needs, rarity) if needs else (alive, np.zeros(len(segment)))
            found = np.flatnonzero(fits & alive & _chosen(segment, choices, spans))
            hits.append(found + before)
            scores.append(score[found])
            for name in facets:
                counts[name] += _counted(segment, name, found)
            before += len(segment)
        found = np.concatenate(hits)
        keys: tuple[str, ...] = ()
        if start < len(found) and rows > 0:
            # a score to six digits: what differs by less is the same
            score = np.round(np.concatenate(scores), 6).astype(np.float64)
            columns = [self._place("key")[found]]
            for name, down in reversed(sort):
                column = score if name == "score" else self._place(name)[found]
                columns.append(-column if down else column)
            large = self._segments[0][0]
            small = self._segments[1][0]
            page = found[np.lexsort(columns)[start : start + rows]]
            keys = tuple(large.keys[at] if at < len(large) else small.keys[at - len(large)] for at in page)
        return Hits(keys, len(found), {name: dict(count) for name, count in counts.items()})

    def _place(self, name: str) -> NDArray[Any]:
        """Where each document stands in an order (or by its key), as a number; those that are equal stand together."""
        if name not in self._places:
            large, small = self._segments[0][0], self._segments[1][0]
            if name == "key":
                values = np.array([*large.keys, *small.keys])
            else:
                values = np.array([d.order[name] for d in (*large.documents, *small.documents)])
            self._places[name] = np.unique(values, return_inverse=True)[1].reshape(-1)
        return self._places[name]

    def _rarity(self, needs: Sequence[Need]) -> dict[int, float]:
        """How telling a term is: the fewer documents have it, the more."""
        terms = {term for need in needs for group in need.groups for term in group}
        size = sum(len(segment) for segment, _ in self._segments)
        return {
            term: float(
                np.log1p(size / (1 + sum(len(segment.postings(term)[0]) for segment, _ in self._segments)))
            )
            for term in terms
        }


def _chosen(segment: Segment, choices: Sequence[Choice], spans: Sequence[Span]) -> Mask:
    mask = np.ones(len(segment), dtype=bool)
    for choice in choices:
        values = frozenset(segment.facet(choice.facet)[2]) if "*" in choice.values else choice.values
        mask &= segment.having(choice.facet, values) == choice.wanted
    for span in spans:
        values_of = segment.order(span.order)
        inside = np.ones(len(segment), dtype=bool)
        if span.low is not None:
            inside &= values_of >= span.low
        if span.high is not None:
            inside &= values_of <= span.high
        mask &= inside == span.wanted
    return mask


def _counted(segment: Segment, name: str, found: NDArray[np.intp]) -> Counter[str]:
    owners, codes, names = segment.facet(name)
    hit = np.zeros(len(segment), dtype=bool)
    hit[found] = True
    counts = np.bincount(codes[hit[owners]], minlength=len(names))
    return Counter({names[code]: int(count) for code, count in enumerate(counts) if count})
