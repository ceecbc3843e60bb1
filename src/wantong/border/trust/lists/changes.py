"""How one version of a list becomes the next, and what is different between two.

A change is the wish for a new state of a service (a new one, or one that is there): nothing can be taken out and no old
state altered, so that every version continues the one before. :func:`compare` says of any two lists whether that is so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from wantong.border.trust.lists.problems import BadList
from wantong.border.trust.lists.trustlist import (
    Provider,
    Service,
    ServiceType,
    State,
    TrustList,
    moment,
)


@dataclass(frozen=True)
class Wish:
    """That the service ``service_id`` of a provider shall stand as ``state`` says (its ``since`` is set when it takes effect)."""

    provider_id: str
    provider_name: Mapping[str, str]
    provider_uri: str
    service_id: str
    type: ServiceType
    state: State

    def to_dict(self) -> dict[str, Any]:
        state = self.state.to_dict()
        del state["since"]
        return {
            "provider": {"id": self.provider_id, "name": dict(self.provider_name), "uri": self.provider_uri},
            "service": {"id": self.service_id, "type": self.type.value},
            "state": state,
        }

    @classmethod
    def of(cls, told: Mapping[str, Any], since: datetime) -> Wish:
        """What :meth:`to_dict` wrote, to be in force from ``since``. Raises :class:`BadList`."""
        try:
            provider, service, state = (dict(told[name]) for name in ("provider", "service", "state"))
        except (KeyError, TypeError, ValueError):
            raise BadList(field="change", reason="members", members="provider, service, state") from None
        made = Provider.of(
            {**provider, "services": [{**service, "history": [{**state, "since": moment(since)}]}]}
        )
        only = made.services[0]
        return cls(made.id, made.name, made.uri, only.id, only.type, only.now)


def apply(old: TrustList, wishes: Iterable[Wish], issued: datetime, next_update: datetime) -> TrustList:
    """The next version: ``wishes`` take effect at ``issued``. Raises :class:`BadList`."""
    providers = list(old.providers)
    for wish in wishes:
        state = replace(wish.state, since=issued)
        place = next((n for n, one in enumerate(providers) if one.id == wish.provider_id), None)
        if place is None:
            providers.append(Provider(wish.provider_id, wish.provider_name, wish.provider_uri, ()))
            place = len(providers) - 1
        provider = replace(providers[place], name=wish.provider_name, uri=wish.provider_uri)
        found = old.service(wish.service_id)
        if found is not None and found[0].id != provider.id:
            raise BadList(field="service", reason="another-provider", service=wish.service_id)
        if found is not None and found[1].type != wish.type:
            raise BadList(field="service", reason="another-type", service=wish.service_id)
        services = {service.id: service for service in provider.services}
        before = services.get(wish.service_id)
        if before is not None and before.now.since >= issued:
            raise BadList(field="service", reason="at-once", service=wish.service_id)
        history = (state, *(before.history if before else ()))
        services[wish.service_id] = Service(wish.service_id, wish.type, history)
        providers[place] = replace(provider, services=tuple(services.values()))
    made = replace(
        old,
        providers=tuple(providers),
        sequence=old.sequence + 1,
        issued=issued,
        next_update=next_update,
    )
    return TrustList.of(made.to_dict())


Kind = Literal["added", "changed", "rewritten", "removed", "operator"]


@dataclass(frozen=True)
class Change:
    """One difference. ``fields`` are those of the state that differ.

    ``added`` a new service; ``changed`` it has a new state; ``rewritten`` its past is not what it was; ``removed`` it is
    not in the list any more; ``operator`` the operator calls itself otherwise. The third and the fourth never come from an
    honest operator.
    """

    kind: Kind
    service_id: str = ""
    provider: str = ""
    before: State | None = None
    after: State | None = None
    fields: tuple[str, ...] = ()

    @property
    def alarming(self) -> bool:
        return self.kind in ("rewritten", "removed")

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "service": self.service_id,
            "provider": self.provider,
            "fields": list(self.fields),
            "before": self.before and self.before.to_dict(),
            "after": self.after and self.after.to_dict(),
        }


def compare(old: TrustList | None, new: TrustList) -> tuple[Change, ...]:
    """What ``new`` says that ``old`` does not, or no more; against None, everything."""
    return tuple(_changes(old, new))


def _changes(old: TrustList | None, new: TrustList) -> Iterator[Change]:
    if old is not None and (old.operator_id, old.territory) != (new.operator_id, new.territory):
        yield Change("operator", provider=new.operator_id)
    earlier = {service.id: service for _, service in old.services()} if old else {}
    for provider, service in new.services():
        before = earlier.pop(service.id, None)
        if before is None:
            yield Change("added", service.id, provider.id, None, service.now)
            continue
        kept = service.history[len(service.history) - len(before.history) :]
        if before.type != service.type or kept != before.history:
            past = next(
                (pair for pair in zip(reversed(before.history), reversed(service.history), strict=False)
                 if pair[0] != pair[1]),
                (before.now, service.now),
            )  # fmt: skip
            yield Change("rewritten", service.id, provider.id, *past, _different(*past))
        elif service.now != before.now:
            yield Change(
                "changed",
                service.id,
                provider.id,
                before.now,
                service.now,
                _different(before.now, service.now),
            )
    for service in earlier.values():
        yield Change("removed", service.id, "", service.now, None)


def _different(before: State, after: State) -> tuple[str, ...]:
    return tuple(
        name
        for name in State.__dataclass_fields__
        if name != "since" and getattr(before, name) != getattr(after, name)
    )
