"""``check(kind, number)``: is this number one of that kind, what does it say, and who could confirm it.

Every rule is a function of the canonical number that returns, or raises :class:`~wantong.border.trust.verdict.Refused`
with a code whose words stand in ``data/messages/documents.yaml``. Which rules a kind has is data (``kinds.yaml``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from wantong.border.trust.documents import kinds, mrz, numbers
from wantong.border.trust.documents.dates import PartialDate
from wantong.border.trust.verdict import Refused, Steps, Unsure, Verdict
from wantong.ground.i18n import pick, t

LONGEST = 200
"""Characters of a number that are looked at: a whole machine readable zone has 90, its line ends and blanks aside."""

Rule = Callable[[str, datetime], None]


def _need(holds: bool, code: str) -> None:
    if not holds:
        raise Refused(code, indication="FORMAT_FAILURE")


def _birth_date(number: str, at: datetime) -> None:
    born = numbers.birth_date(number)
    _need(born is not None, "no-date")
    _need(born is None or born <= at.date(), "born-later")


def _mrz_dates(number: str, at: datetime) -> None:
    zone = mrz.read(number)
    _need(
        zone is not None and zone.born(at.year) is not None and zone.expires(at.year) is not None, "no-date"
    )


def _mrz_digits(number: str, at: datetime) -> None:
    zone = mrz.read(number)
    if zone is not None and zone.wrong:
        raise Refused("mrz-digits", indication="FORMAT_FAILURE", wrong=zone.wrong, of=len(zone.checks))


def _hkid(number: str, at: datetime) -> None:
    _need(numbers.is_hkid(number), "checksum")


RULES: Mapping[str, Rule] = {
    "province": lambda n, _: _need(int(n[:2]) in numbers.PROVINCES, "no-area"),
    "permit-area": lambda n, _: _need(n[:6] in numbers.PERMIT_AREAS, "no-permit-area"),
    "birth-date": _birth_date,
    "mod-11-2": lambda n, _: _need(numbers.cn_check_digit(n[:17]) == n[17], "checksum"),
    "hkid": _hkid,
    "mrz-dates": _mrz_dates,
    "mrz-digits": _mrz_digits,
    "uscc-registry": lambda n, _: _need(n[1] in numbers.USCC_REGISTRIES.get(n[0], ""), "no-registry"),
    "uscc-area": lambda n, _: _need(int(n[2:4]) in numbers.PROVINCES | {10}, "no-area"),
    "org-code": lambda n, _: _need(numbers.org_check_digit(n[8:16]) == n[16], "checksum"),
    "mod-31-3": lambda n, _: _need(numbers.uscc_check_digit(n[:17]) == n[17], "checksum"),
}
"""The rules that ``kinds.yaml`` may name. Each takes the canonical number, of the right form, and the moment (UTC)."""


@dataclass(frozen=True)
class Checked:
    """What came of it. ``canonical`` is blank if the number has no form of the kind.

    ``reads`` is what the number itself says: ``birth`` (a partial date), ``sex`` (M or F), ``area`` (six digits of
    GB/T 2260), ``home`` (hk, mo, tw), ``expiry``, ``issuer``, ``nationality``; only what is asked of the kind.
    """

    kind: kinds.Kind
    verdict: Verdict
    canonical: str = ""
    reads: Mapping[str, str] = field(default_factory=dict)

    @property
    def lasting(self) -> str:
        """By what two readings of the same person's document are matched; blank without a canonical form."""
        return self.kind.lasting(self.canonical)

    def to_dict(self, lang: str) -> dict[str, Any]:
        """The answer in words. It holds no number: whoever asks has it."""
        return {
            "kind": self.kind.id,
            "name": pick(self.kind.names, lang).text,
            "well_formed": self.verdict.passed,
            "verdict": self.verdict.to_dict(lang),
            "reads": dict(self.reads),
            "proves": [{"id": id, "text": t(f"documents.proves.{id}", lang)} for id in self.kind.proves],
            "caution": t("documents.caution", lang),
            "authority": {
                "id": self.kind.authority,
                "name": pick(self.kind.authority_names, lang).text,
                "connected": connected(self.kind.authority),
            },
            "source": self.kind.source,
            "checked": self.kind.checked.isoformat(),
            "confidence": self.kind.confidence,
        }


def check(
    kind_id: str, number: str, *, at: datetime | None = None, birth: PartialDate | None = None
) -> Checked:
    """Put ``number`` to the kind, and ``birth``, if given, to the date that the number tells.

    ``at`` is the moment by which dates are judged (default: now). All rules are tried, so that a person learns
    everything that is wrong at once. Raises :class:`~.kinds.UnknownKind`.
    """
    at = at or datetime.now(UTC)
    kind = kinds.kind(kind_id)
    steps = Steps("documents")
    canonical = kind.bare(number) if len(number) <= LONGEST else None
    with steps.take("form", go_on=True):
        _need(canonical is not None, "form")
    if canonical is None:
        return Checked(kind, steps.verdict(at))
    for name in kind.checks:
        with steps.take(name, go_on=True):
            RULES[name](canonical, at)
    if not kind.checks:
        with steps.take("no-checksum"):
            pass
    said = read(kind, canonical, at) if steps.verdict(at).passed else {}
    if birth is not None and "birth" in said:
        with steps.take("birth", go_on=True):
            _need(PartialDate.parse(said["birth"]).agrees(birth), "other-birth")
    return Checked(kind, steps.verdict(at), canonical, said)


_HOMES = {"810000": "hk", "820000": "mo", "830000": "tw", "H": "hk", "M": "mo"}


def read(kind: kinds.Kind, canonical: str, at: datetime) -> dict[str, str]:
    """What a well-formed canonical number itself tells, of what the kind ``reads``."""
    said: dict[str, object] = {}
    if "birth" in kind.reads and len(canonical) == 18:
        born = numbers.birth_date(canonical)
        said["birth"] = born
        said["sex"] = "M" if int(canonical[16]) % 2 else "F"
    if "area" in kind.reads:
        said["area"] = canonical[2:8] if kind.holder == "organisation" else canonical[:6]
    if "home" in kind.reads:
        said["home"] = _HOMES.get(canonical[:6]) or _HOMES.get(canonical[:1])
    if "issuer" in kind.reads and (zone := mrz.read(canonical)):
        born_on, expires = zone.born(at.year), zone.expires(at.year)
        said |= {
            "birth": born_on,
            "sex": zone.sex if zone.sex in "MF" else "",
            "expiry": expires,
            "issuer": zone.issuer,
            "nationality": zone.nationality,
        }
    return {name: str(value) for name, value in said.items() if value}


def guess(number: str) -> tuple[str, ...]:
    """The kinds of which ``number`` is well formed, those with a check first."""
    found = [id for id in kinds.kinds() if check(id, number).verdict.passed]
    return tuple(sorted(found, key=lambda id: not kinds.kind(id).checks))


class Authority(Protocol):
    """What an adapter to an authority does. An implementation asks over the authority's own line, by its contract."""

    def confirm(self, kind: str, canonical: str, claims: Mapping[str, str]) -> bool:
        """Whether the document exists, is valid, and ``claims`` (name, birth …) are those of its holder.

        Raises :class:`~wantong.border.trust.verdict.Unsure` if the authority gave no answer.
        """


_adapters: dict[str, Authority] = {}


def connect(authority: str, adapter: Authority | None) -> None:
    """From now on ``adapter`` asks this authority; None: nobody does. Called at start, by who has the contract."""
    if adapter is None:
        _adapters.pop(authority, None)
    else:
        _adapters[authority] = adapter


def connected(authority: str) -> bool:
    """Whether somebody here can ask this authority."""
    return authority in _adapters


def confirm(checked: Checked, claims: Mapping[str, str], *, at: datetime | None = None) -> Verdict:
    """The verdict of ``checked`` and, behind it, the authority's word; indeterminate if nobody can ask for it."""
    steps = Steps("documents", checked.verdict.steps)
    if checked.verdict.passed:
        with steps.take("authority", about=checked.kind.authority, go_on=True):
            adapter = _adapters.get(checked.kind.authority)
            if adapter is None:
                raise Unsure("not-connected", indication="TRY_LATER")
            if not adapter.confirm(checked.kind.id, checked.canonical, claims):
                raise Refused("not-confirmed")
    return steps.verdict(at or datetime.now(UTC))
