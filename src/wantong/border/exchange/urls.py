"""Addresses: what the Dataspace Protocol prescribes, and Wantong's own extension beside it."""

from django.urls import include, path

from wantong.border.exchange import dsp, extension, renewing

_dsp = [
    path("catalog/request", dsp.catalog_request),
    path("catalog/datasets/<path:dataset_id>", dsp.dataset),
    path("negotiations/request", dsp.begin("negotiations", "request")),
    path("negotiations/offers", dsp.begin("negotiations", "offer")),
    path("negotiations/<str:pid>", dsp.state("negotiations")),
    path("negotiations/<str:pid>/request", dsp.proceed("negotiations", "request")),
    path("negotiations/<str:pid>/offers", dsp.proceed("negotiations", "offer")),
    path("negotiations/<str:pid>/agreement", dsp.proceed("negotiations", "agreement")),
    path("negotiations/<str:pid>/agreement/verification", dsp.proceed("negotiations", "verification")),
    path("negotiations/<str:pid>/events", dsp.proceed("negotiations", "accepted", "finalized")),
    path("negotiations/<str:pid>/termination", dsp.proceed("negotiations", "termination")),
    path("transfers/request", dsp.begin("transfers", "request")),
    path("transfers/<str:pid>", dsp.state("transfers")),
    path("transfers/<str:pid>/start", dsp.proceed("transfers", "start")),
    path("transfers/<str:pid>/completion", dsp.proceed("transfers", "completion")),
    path("transfers/<str:pid>/suspension", dsp.proceed("transfers", "suspension")),
    path("transfers/<str:pid>/termination", dsp.proceed("transfers", "termination")),
]

root = [
    path(".well-known/dspace-version", dsp.version),
    path("dsp/2025-1/", include(_dsp)),
    path("wantong/card", extension.card),
    path("wantong/keys", renewing.heard),
    path("wantong/obligations", extension.obligations),
    path("wantong/processes", extension.shared),
    path("wantong/negotiations/<str:pid>/void", extension.void),
    path("wantong/transfers/<str:pid>/access", extension.fresh_access),
    path("wantong/transfers/<str:pid>/receipts", extension.receipts),
]
