"""The portal's addresses, mounted under the language prefix."""

from django.urls import include, path

from wantong.portal.respond import both
from wantong.portal.views import (
    carried,
    catalogue,
    consents,
    crossings,
    home,
    logbook,
    negotiations,
    offshore,
    peers,
    session,
    sharing,
    whitelist,
)

app_name = "portal"
_pages = [
    *both("", home.home, "home"),
    path("now", home.now, name="now"),
    *both("crossings", crossings.crossings, "crossings"),
    *both("crossings/<uuid:declaration_id>", crossings.crossing, "crossing"),
    path("crossings/<uuid:declaration_id>/acts", crossings.act, name="crossing-act"),
    *both("transfers/<str:transfer_id>", crossings.transfer, "transfer"),
    *both("negotiations/<str:pid>", negotiations.negotiation, "negotiation"),
    *both("peers/<str:participant_id>/catalogue", peers.catalogue, "peer-catalogue"),
    *both("peers/<str:participant_id>/catalogue/<path:dataset_id>", peers.dataset, "peer-dataset"),
    *both("catalogue", catalogue.catalogue, "catalogue"),
    *both("catalogue/<path:dataset_id>", catalogue.dataset, "dataset"),
    *both("received", catalogue.received, "received"),
    *both("whitelist", whitelist.whitelist, "whitelist"),
    path("whitelist/propose", whitelist.propose, name="propose"),
    *both("whitelist/<uuid:item_id>", whitelist.item, "whitelist-item"),
    path("whitelist/<uuid:item_id>/acts", whitelist.act, name="whitelist-act"),
    *both("consents", consents.consents, "consents"),
    path("consents/person", consents.of_person, name="consents-of-person"),
    *both("consents/<uuid:consent_id>", consents.consent, "consent"),
    path("consents/<uuid:consent_id>/withdraw", consents.withdraw, name="consent-withdraw"),
    *both("sharing", sharing.listed, "sharing"),
    *both("sharing/requests", sharing.requests, "sharing-requests"),
    *both("sharing/requests/<uuid:request_id>", sharing.thread, "sharing-request"),
    path("sharing/requests/<uuid:request_id>/acts", sharing.act, name="sharing-act"),
    path("sharing/ask", sharing.ask, name="sharing-ask"),
    path("sharing/figures.csv", sharing.figures_csv, name="sharing-figures-csv"),
    *both("sharing/figures", sharing.figures, "sharing-figures"),
    *both("sharing/peers/<str:participant_id>", sharing.of_peer, "sharing-peer"),
    path("sharing/confirm/<path:dataset_id>", sharing.confirm, name="sharing-confirm"),
    *both("sharing/directory/<path:dataset_id>", sharing.entry, "sharing-entry"),
    *both("carried", carried.carried, "carried"),
    path("carried/register", carried.register, name="carried-register"),
    path("carried/check", carried.check, name="carried-check"),
    *both("carried/<uuid:registration_id>", carried.registration, "registration"),
    path("carried/<uuid:registration_id>/bundle", carried.bundle, name="registration-bundle"),
    path("carried/<uuid:registration_id>/revoke", carried.revoke, name="registration-revoke"),
    *both("offshore", offshore.spaces, "offshore"),
    *both("offshore/<uuid:space_id>", offshore.space, "offshore-space"),
    path("offshore/<uuid:space_id>/acts", offshore.act, name="offshore-act"),
    *both("log", logbook.log, "log"),
    *both("log/entries/<uuid:entry_id>", logbook.entry, "log-entry"),
    *both("verify", logbook.verify, "verify"),
    path("sign-in", session.SignIn.as_view(), name="sign-in"),
    path("sign-out", session.SignOut.as_view(), name="sign-out"),
    path("password", session.ChangePassword.as_view(), name="password"),
]
pages = [path("", include((_pages, app_name)))]
# what stands on consent records, without a language
root = [path("consents/<uuid:consent_id>", consents.lead)]
