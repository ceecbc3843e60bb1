"""What a check found, as a person reads it: who, when, what, by whose word; the same on the page and in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from wantong.border.trust.signatures.front import Checked
from wantong.border.trust.signatures.process import Judged
from wantong.ground import clock
from wantong.ground.i18n import t


class Line(NamedTuple):
    """A label and what it says, ``name`` being its stable key."""

    name: str
    label: str
    text: str


def lines(judged: Judged, lang: str) -> Iterator[Line]:
    """The statement on one signature, in the order in which one asks."""
    found, signer = judged.found, judged.signer

    def line(kind: str, key: str, **params: object) -> Line:
        return Line(kind, t(f"signatures.told.{kind}", lang), t(f"signatures.told.{key}", lang, **params))

    if judged.verdict.outcome == "failed" and signer.name:
        # what a signature says that does not hold is nobody's word
        yield line("who", "who-unproven", name=signer.name, issuer=signer.issuer)
        return
    if not signer.name:
        yield line("who", "who-nobody")
    elif signer.organisation and signer.organisation != signer.name:
        yield line("who", "who-of", name=signer.name, organisation=signer.organisation, issuer=signer.issuer)
    else:
        yield line("who", "who-is", name=signer.name, issuer=signer.issuer)
    if found.claimed is not None:
        yield line("claimed", "claimed-at", at=moment(found.claimed))
    if judged.proven is None:
        yield line("proven", "proven-not")
    else:
        by = next(t.by for t in judged.timestamps if t.time == judged.proven and t.verdict.passed)
        yield line("proven", "proven-by", at=moment(judged.proven), by=by)
    covered = found.covered
    if found.countersigns:
        yield line("covered", "covered-signature", name=found.countersigns)
    elif covered.whole:
        yield line(
            "covered", "covered-parts" if covered.parts else "covered-all", parts=", ".join(covered.parts)
        )
    else:
        later = t("signatures.told.and", lang).join(
            t(f"signatures.later.{word}", lang) for word in covered.later
        )
        key = "covered-revision" if later else "covered-part"
        yield line("covered", key, parts=", ".join(covered.parts), later=later)
    under = judged.under
    if "list" in under:
        yield line("under", "under-list", **under)
    elif "anchor" in under:
        yield line("under", "under-anchor", **under)
    else:
        yield line("under", "under-nobody")
    for name in ("place", "role", "reason"):
        if name in found.said:
            yield Line(name, t(f"signatures.told.{name}", lang), found.said[name])
    algorithms = ", ".join(f"{used.name} {used.bits}" if used.bits else used.name for used in found.used)
    yield Line(
        "how", t("signatures.told.how", lang), f"{found.form.value} {found.level.value} · {algorithms}"
    )


def headline(checked: Checked, lang: str) -> str:
    """The answer in one sentence."""
    outcome = checked.verdict.outcome
    if checked.form is None or not checked.signatures:
        return t(f"signatures.headline.{'unreadable' if checked.form is None else 'none'}", lang)
    return t(f"signatures.headline.{outcome}", lang, count=len(checked.signatures))


def moment(at: datetime) -> str:
    """A moment by the bay's clock."""
    return f"{at.astimezone(ZoneInfo(clock.ZONE)):%Y-%m-%d %H:%M:%S} (UTC+8)"
