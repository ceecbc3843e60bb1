from __future__ import annotations

from tests.border.gate.conftest import told

__all__ = ["told"]
