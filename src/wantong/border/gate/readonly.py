"""The admin of the gate shows and never changes: what happens goes through the services, where it is recorded."""

from __future__ import annotations

from typing import Any


class ReadOnly:
    """A mixin for ModelAdmin and inlines."""

    def has_add_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return False
