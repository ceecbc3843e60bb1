"""Who does something: every verb of a ``services`` module takes an :class:`Actor`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Actor:
    """A named human operator, a peer node, or the node's own machinery.

    ``id`` is stable and goes into the record of the act: ``user:<username>``, ``peer:<participant id>`` or
    ``system:<part>``. ``roles`` are ``declarer``, ``approver``, ``auditor``, ``operator``.
    """

    id: str
    name: str = ""
    roles: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_human(self) -> bool:
        return self.id.startswith("user:")


def system(part: str) -> Actor:
    """The node itself, acting in ``part`` (for example ``gate`` or ``worker``)."""
    return Actor(f"system:{part}", part)
