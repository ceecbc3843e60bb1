from django.contrib import admin

from wantong.border.gate.declarations.models import Action, Declaration, Holding, Obligation, SenderYear
from wantong.border.gate.readonly import ReadOnly


class ActionInline(ReadOnly, admin.TabularInline):
    model = Action
    fields = ("number", "act", "actor", "at", "note")
    extra = 0


class ObligationInline(ReadOnly, admin.TabularInline):
    model = Obligation
    extra = 0


@admin.register(Declaration)
class DeclarationAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("title", "direction", "state", "route", "sender", "receiver", "created_at")
    list_filter = ("state", "direction", "route")
    search_fields = ("transfer_id", "dataset_id", "title")
    exclude = ("path",)
    inlines = (ActionInline, ObligationInline)


@admin.register(Holding)
class HoldingAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("declaration", "sha256", "size", "accepted_at", "deleted_at")
    exclude = ("path",)


@admin.register(SenderYear)
class SenderYearAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("sender", "year", "sensitive", "nonsensitive")
