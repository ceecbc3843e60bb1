"""Certificate policies along a path: the valid policy graph of RFC 9618, which replaces the tree of RFC 5280 6.1.

The tree grows with the product of mappings at each certificate, which a hostile chain uses; the graph has one node a
policy and level, so its size is that of the certificates.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from wantong.border.trust.certificates.certificate import ANY_POLICY, Certificate

ANY = frozenset((ANY_POLICY,))


@dataclass(slots=True)
class _Node:
    """``expected`` are the policies that stand for this one at the next level; ``parents`` those it stands for above."""

    parents: frozenset[str]
    expected: Set[str]


@dataclass(frozen=True, slots=True)
class Ruled:
    """What the policies of a path come to. ``valid`` are those under which the path is good, in the issuer's own words
    and within what was asked; ``{anyPolicy}`` for any. ``explicit`` says that there had to be one."""

    good: bool
    valid: frozenset[str]
    explicit: bool


@dataclass(slots=True)
class _State:
    explicit: int
    mapping: int
    inhibit: int
    levels: list[dict[str, _Node]] | None = field(
        default_factory=lambda: [{ANY_POLICY: _Node(frozenset(), ANY)}]
    )


def rule(
    path: tuple[Certificate, ...],
    initial: Set[str] = ANY,
    *,
    require_explicit: bool = False,
    inhibit_mapping: bool = False,
    inhibit_any: bool = False,
) -> Ruled:
    """The outcome for ``path`` (below the anchor, leaf last) and the inputs of RFC 5280 6.1.1 (c), (e), (f), (g)."""
    depth = len(path)
    explicit, mapping, inhibit = (
        0 if now else depth + 1 for now in (require_explicit, inhibit_mapping, inhibit_any)
    )
    state = _State(explicit, mapping, inhibit)
    for index, certificate in enumerate(path, 1):
        last = index == depth
        _enter(state, certificate, any_counts=state.inhibit > 0 or (not last and certificate.self_issued))
        if not state.explicit and state.levels is None:
            return Ruled(False, frozenset(), True)
        if not last:
            _leave(state, certificate)
    state.explicit = max(0, state.explicit - 1)
    if path and path[-1].policy_constraints.require_explicit == 0:
        state.explicit = 0
    valid = _within(state.levels, initial)
    return Ruled(state.explicit > 0 or bool(valid), valid, state.explicit == 0)


def _enter(state: _State, certificate: Certificate, any_counts: bool) -> None:
    """RFC 9618 5.2, replacing RFC 5280 6.1.3 (d) and (e): the level of this certificate's policies."""
    if state.levels is None:
        return
    if certificate.policies is None:
        state.levels = None
        return
    above = state.levels[-1]
    expecting: dict[str, set[str]] = {}
    for policy, node in above.items():
        for expected in node.expected:
            expecting.setdefault(expected, set()).add(policy)
    level: dict[str, _Node] = {}
    for policy in certificate.policies:
        if policy == ANY_POLICY:
            continue
        if policy in expecting:
            level[policy] = _Node(frozenset(expecting[policy]), {policy})
        elif ANY_POLICY in above:
            level[policy] = _Node(ANY, {policy})
    if ANY_POLICY in certificate.policies and any_counts:
        for policy, parents in expecting.items():
            if policy not in level:
                level[policy] = _Node(frozenset(parents), {policy})
    if level:
        state.levels.append(level)
    else:
        state.levels = None


def _leave(state: _State, certificate: Certificate) -> None:
    """RFC 9618 5.3 and RFC 5280 6.1.4 (b), (h), (i), (j): mappings and counters for the next certificate."""
    if certificate.mappings and state.levels is not None:
        mapped: dict[str, set[str]] = {}
        for issuer, subject in certificate.mappings:
            mapped.setdefault(issuer, set()).add(subject)
        level = state.levels[-1]
        for policy, subjects in mapped.items():
            if state.mapping > 0:
                if policy in level:
                    level[policy].expected = subjects
                elif ANY_POLICY in level:
                    level[policy] = _Node(ANY, subjects)
            else:
                level.pop(policy, None)
        if not level:
            state.levels = None
    if not certificate.self_issued:
        state.explicit, state.mapping, state.inhibit = (
            max(0, count - 1) for count in (state.explicit, state.mapping, state.inhibit)
        )
    limits = certificate.policy_constraints
    if limits.require_explicit is not None:
        state.explicit = min(state.explicit, limits.require_explicit)
    if limits.inhibit_mapping is not None:
        state.mapping = min(state.mapping, limits.inhibit_mapping)
    if certificate.inhibit_any is not None:
        state.inhibit = min(state.inhibit, certificate.inhibit_any)


def _within(levels: list[dict[str, _Node]] | None, initial: Set[str]) -> frozenset[str]:
    """RFC 9618 5.4: the policies, as the anchor's domain calls them, that lead to the last level, within ``initial``."""
    if levels is None:
        return frozenset()
    roots: set[str] = set()
    reached: Mapping[str, _Node] = levels[-1]
    for depth in range(len(levels) - 1, 0, -1):
        above: dict[str, _Node] = {}
        for policy, node in reached.items():
            if policy != ANY_POLICY and ANY_POLICY in node.parents:
                roots.add(policy)
            for parent in node.parents:
                if parent in levels[depth - 1]:
                    above[parent] = levels[depth - 1][parent]
        reached = above
    if ANY_POLICY in levels[-1]:
        return ANY if ANY_POLICY in initial else frozenset(initial)
    return frozenset(roots) if ANY_POLICY in initial else frozenset(roots & initial)
