from django.contrib import admin

from wantong.border.gate.readonly import ReadOnly
from wantong.border.gate.verification.models import Registration


@admin.register(Registration)
class RegistrationAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("kind", "id", "registered_at", "expires", "revoked_at")
    search_fields = ("id", "digest")
