"""Operators read the log here; nobody edits it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from wantong.ground.log.models import LogEntry


@admin.register(LogEntry)
class LogEntryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("recorded_at", "kind", "index", "id")
    list_filter = ("kind",)
    search_fields = ("id", "leaf_hash")
    date_hierarchy = "recorded_at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
