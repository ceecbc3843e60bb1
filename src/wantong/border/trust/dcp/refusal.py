"""Why a proof is not enough: one stable code, with what a person needs to mend it.

Every check of this package either passes or raises :class:`Refused`. The codes have words in four languages
(``dcp.why.<code>``); what is in ``params`` fills them and is never a token, a key or a person's data.
"""

from __future__ import annotations

LONGEST_PARAM = 200


class Refused(Exception):
    """A check that did not pass. ``code`` is one of the ``dcp.why`` messages, ``params`` fill its words."""

    def __init__(self, code: str, **params: object) -> None:
        self.code = code
        self.params = {name: printable(value) for name, value in params.items()}
        super().__init__(f"{code} {self.params}" if params else code)


def printable(value: object) -> str:
    """``value`` as a short line of printable characters: it comes from strangers and goes to logs and pages."""
    return "".join(c if c.isprintable() else "�" for c in str(value)[:LONGEST_PARAM])
