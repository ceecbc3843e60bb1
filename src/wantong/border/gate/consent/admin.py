from django.contrib import admin

from wantong.border.gate.consent.models import Consent, ConsentRecord, ConsentUse
from wantong.border.gate.readonly import ReadOnly


class RecordInline(ReadOnly, admin.TabularInline):
    model = ConsentRecord
    extra = 0


class UseInline(ReadOnly, admin.TabularInline):
    model = ConsentUse
    extra = 0


@admin.register(Consent)
class ConsentAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("dataset_id", "receiver", "purpose", "state", "valid_until")
    list_filter = ("state",)
    search_fields = ("dataset_id", "receiver", "commitment")
    inlines = (RecordInline, UseInline)
