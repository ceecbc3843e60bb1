from django.contrib import admin

from wantong.border.trust.identity.provider.models import (
    Attester,
    ClientAction,
    Consent,
    Grant,
    RegisteredClient,
)


class ReadOnly:
    """Shown, never changed: what is done is done by the verbs, with their rules and their record."""

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


class ActionInline(ReadOnly, admin.TabularInline):
    model = ClientAction
    extra = 0


@admin.register(RegisteredClient)
class RegisteredClientAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("client_id", "state", "personal", "proposed_by", "approved_by", "created_at")
    list_filter = ("state", "personal")
    search_fields = ("client_id",)
    inlines = (ActionInline,)


@admin.register(Attester)
class AttesterAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("name", "entered_by", "entered_at", "withdrawn_at")


@admin.register(Grant)
class GrantAdmin(ReadOnly, admin.ModelAdmin):
    """How many there are, since when, why they ended; not whose they are."""

    list_display = ("client", "created_at", "expires_at", "ended_at", "ended_why")
    list_filter = ("ended_why",)
    fields = ("client", "created_at", "expires_at", "ended_at", "ended_why")


@admin.register(Consent)
class ConsentAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("client", "scope", "given_at", "withdrawn_at")
    fields = ("client", "scope", "claims", "given_at", "withdrawn_at")
