"""A node's service keys, made once."""

from tests.border.trust.credentials.conftest import _keys

__all__ = ["_keys"]
