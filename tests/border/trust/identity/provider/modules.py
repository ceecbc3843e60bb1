"""Which module of the OpenID Foundation's conformance suite a test re-expresses: ``@covers("oidcc-server")``.

``docs/plan/openid-modules.yaml`` has the modules of its plans; ``test_modules.py`` holds that each is covered by a test,
or does not apply for a reason, and that the page made of it is up to date.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Test = TypeVar("Test", bound=Callable[..., None])
FAPI = "fapi2-security-profile-final-"


def covers(*modules: str) -> Callable[[Test], Test]:
    """Mark a test; read from its source by ``tools/openid_modules.py``."""
    assert modules
    return lambda test: test
