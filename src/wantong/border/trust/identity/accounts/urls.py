"""Addresses of the pages about one's own accounts."""

from django.urls import include, path

from wantong.border.trust.identity.accounts import pages as people
from wantong.border.trust.identity.accounts.linking import pages as linking
from wantong.border.trust.identity.accounts.models import Challenge
from wantong.border.trust.identity.accounts.recovery import pages as recovery
from wantong.border.trust.identity.accounts.sources import pages as sources

app_name = "accounts"

_pages = [
    path("identity", people.home, name="home"),
    path("identity/sign-in", people.sign_in, name="sign-in"),
    path("identity/sign-out", people.sign_out, name="sign-out"),
    path("identity/register", people.register, name="register"),
    path("identity/recover", people.recover, name="recover"),
    path("identity/passkeys", people.own_passkeys, name="passkeys"),
    path("identity/sessions", people.own_sessions, name="sessions"),
    path("identity/codes", people.own_codes, name="codes"),
    path("identity/links", linking.links, name="links"),
    path("identity/links/new", linking.new, name="link-new"),
    path("identity/sources/<slug:name>", sources.begin, name="source"),
    path("identity/staff/passkeys", people.staff_passkeys, name="staff-passkeys"),
    path("identity/staff/sessions", people.staff_sessions, name="staff-sessions"),
    path("identity/staff/codes", people.staff_codes, name="staff-codes"),
    path("identity/recoveries", recovery.recoveries, name="recoveries"),
    *(
        path(
            f"identity/challenge/{purpose}",
            people.challenge,
            {"purpose": purpose},
            name=f"challenge-{purpose}",
        )
        for purpose in Challenge.Purpose.values
    ),
]
pages = [path("", include((_pages, app_name)))]
# where other systems send people back to: one address, without a language
root = [path("identity/return/<slug:name>", sources.back, name="source-back")]
