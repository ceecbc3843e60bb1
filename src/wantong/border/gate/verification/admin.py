from django.contrib import admin

from wantong.border.gate.verification.models import Registration


@admin.register(Registration)
class RegistrationAdmin(admin.ModelAdmin):
    list_display = ("kind", "id", "registered_at", "expires", "revoked_at")
    search_fields = ("id", "digest")

    def has_add_permission(self, request, obj=None):
        return False

    has_change_permission = has_delete_permission = has_add_permission
