"""``python -m tests.border.trust.identity.accounts.serve DIR``: a node at localhost with simulators to sign in with.

Says where as one line of JSON. At ``localhost``, which is a name: browsers make passkeys for it.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.serving import serve

PASSWORD = "harbour lotus kapok nine"


def fill(folder: Path, stack: ExitStack) -> dict[str, str]:
    from tests.border.trust.identity.accounts.systems import OPERATOR, started

    from wantong.node.demo.identity.scene import TITLES
    from wantong.portal.services import make_operator

    for name in ("ho", "lei"):
        make_operator(name, ["operator"], PASSWORD)
    systems = stack.enter_context(started(folder.parent / "bay"))
    systems.register(OPERATOR, TITLES)
    return {}


if __name__ == "__main__":
    with ExitStack() as stack:
        folder = Path(sys.argv[1])
        serve(folder, partial(fill, folder, stack))
