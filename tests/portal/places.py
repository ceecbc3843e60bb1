"""Every page of the portal, with who may see it."""

from __future__ import annotations

from collections.abc import Mapping

PUBLIC, OPERATORS, REGISTRARS, DECIDERS = "public", "operators", "registrars", "deciders"
REFUSED = {REGISTRARS: {"wu"}, DECIDERS: {"chan", "wu"}}
"""Who has a password and none of the roles that such a page is for."""


def pages(ids: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Name → (path below the language, who). ``ids`` are those of :meth:`tests.portal.seeded.Seeded.ids`."""
    return {
        "home": ("", PUBLIC),
        "crossings": ("crossings", OPERATORS),
        "crossings-held": ("crossings?state=held&direction=export", OPERATORS),
        "crossing-done": (f"crossings/{ids['receipted']}", OPERATORS),
        "crossing-waiting": (f"crossings/{ids['waiting']}", OPERATORS),
        "crossing-held": (f"crossings/{ids['held']}", OPERATORS),
        "crossing-asked": (f"crossings/{ids['asked']}", OPERATORS),
        "crossing-refused": (f"crossings/{ids['refused']}", OPERATORS),
        "crossing-received": (f"crossings/{ids['received']}", OPERATORS),
        "transfer": (f"transfers/{ids['transfer']}", PUBLIC),
        "catalogue": ("catalogue", PUBLIC),
        "catalogue-found": ("catalogue?q=社会", PUBLIC),
        "dataset": ("catalogue/social-insurance", PUBLIC),
        "dataset-open": ("catalogue/museum-visits", PUBLIC),
        "open-data": ("open-data", PUBLIC),
        "open-data-found": ("open-data?q=旅客&groups=transport", PUBLIC),
        "open-data-set": ("open-data/macao-visitor-arrivals", PUBLIC),
        "open-data-sources": ("open-data/sources", PUBLIC),
        "open-data-submissions": ("open-data/submissions", OPERATORS),
        "received": ("received", OPERATORS),
        "whitelist": ("whitelist", OPERATORS),
        "whitelist-approved": (f"whitelist/{ids['approved']}", OPERATORS),
        "whitelist-proposed": (f"whitelist/{ids['proposed']}", OPERATORS),
        "consents": ("consents", PUBLIC),
        "consent": (f"consents/{ids['consent']}", PUBLIC),
        "sharing": ("sharing", PUBLIC),
        "sharing-found": ("sharing?q=博物馆&sharing=unconditional", PUBLIC),
        "sharing-entry": ("sharing/directory/museum-visits", PUBLIC),
        "sharing-conditional": ("sharing/directory/social-insurance", PUBLIC),
        "sharing-requests": ("sharing/requests", OPERATORS),
        "sharing-asked": (f"sharing/requests/{ids['request-asked']}", OPERATORS),
        "sharing-endorsed": (f"sharing/requests/{ids['request-endorsed']}", OPERATORS),
        "sharing-refused": (f"sharing/requests/{ids['request-refused']}", OPERATORS),
        "sharing-done": (f"sharing/requests/{ids['request-done']}", OPERATORS),
        "sharing-figures": ("sharing/figures", PUBLIC),
        "sharing-ask": ("sharing/ask?dataset=social-insurance", REGISTRARS),
        "sharing-bodies": ("sharing/bodies", OPERATORS),
        "sharing-body": ("sharing/bodies/gd-culture", OPERATORS),
        "sharing-version": ("sharing/versions/museum-visits", REGISTRARS),
        "carried": ("carried", OPERATORS),
        "carried-register": ("carried/register", REGISTRARS),
        "registration": (f"carried/{ids['registration']}", OPERATORS),
        "registration-bundle": (f"carried/{ids['registration']}/bundle", REGISTRARS),
        "offshore": ("offshore", OPERATORS),
        "offshore-space": (f"offshore/{ids['offshore']}", OPERATORS),
        "research": ("research", OPERATORS),
        "research-project": (f"research/{ids['research']}?dataset=social-insurance", OPERATORS),
        "acts-of-trust": ("acts-of-trust/", DECIDERS),
        "log": ("log", PUBLIC),
        "log-entry": (f"log/entries/{ids['entry']}", PUBLIC),
        "verify": ("verify", PUBLIC),
        "scan": ("scan", PUBLIC),
        "assess": ("assess", PUBLIC),
        "sign-in": ("sign-in", PUBLIC),
        "password": ("password", OPERATORS),
    }


# these have no JSON: they are nothing but forms
FORMS = {
    "open-data-submissions",
    "sign-in",
    "password",
    "scan",
    "assess",
    "carried-register",
    "registration-bundle",
    "sharing-ask",
    "sharing-version",
    "acts-of-trust",
}
