from django.contrib import admin

from wantong.border.gate.readonly import ReadOnly
from wantong.border.gate.whitelist.models import WhitelistAction, WhitelistItem


class ActionInline(ReadOnly, admin.TabularInline):
    model = WhitelistAction
    extra = 0


@admin.register(WhitelistItem)
class WhitelistItemAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("dataset_id", "receiver", "purpose", "state", "valid_from", "valid_until")
    list_filter = ("state", "open")
    search_fields = ("dataset_id", "receiver", "purpose")
    inlines = (ActionInline,)
