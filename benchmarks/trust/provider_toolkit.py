"""``python provider_toolkit.py FOLDER LOGINS``: django-oauth-toolkit's plain logins a CPU second; see provider.py.

Run with the Python of a venv that has it; nothing of Wantong is there. Its defaults, with OpenID Connect switched on, a public
client that skips the page of consent, and SQLite.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import django
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings

folder, logins = Path(sys.argv[1]), int(sys.argv[2])
pem = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
settings.configure(
    SECRET_KEY=secrets.token_hex(32),
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}},
    INSTALLED_APPS=[
        "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "oauth2_provider",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware", "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    OAUTH2_PROVIDER={
        "OIDC_ENABLED": True, "OIDC_RSA_PRIVATE_KEY": pem.decode(), "SCOPES": {"openid": "openid", "profile": "profile"},
    },
)  # fmt: skip
django.setup()

from django.core.management import call_command  # noqa: E402
from django.urls import include, path  # noqa: E402

urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]


def main() -> float:
    from django.contrib.auth.models import User
    from django.test import Client
    from oauth2_provider.models import Application

    call_command("migrate", verbosity=0)
    back = "https://shop.example/back"
    user = User.objects.create_user("ana")
    app = Application.objects.create(
        name="shop", client_type="public", authorization_grant_type="authorization-code", redirect_uris=back,
        skip_authorization=True, algorithm="RS256", user=user,
    )  # fmt: skip
    browser, service = Client(), Client()
    browser.force_login(user)
    spent = 0.0
    for number in range(logins + 3):
        verifier = secrets.token_urlsafe(32)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "client_id": app.client_id, "response_type": "code", "redirect_uri": back, "scope": "openid profile",
            "code_challenge": challenge, "code_challenge_method": "S256", "nonce": "n", "state": "s",
        }  # fmt: skip
        start = time.process_time()
        came = browser.get("/o/authorize/?" + urlencode(asked))
        code = parse_qs(urlsplit(came["Location"]).query)["code"][0]
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": back, "client_id": app.client_id,
            "code_verifier": verifier,
        }  # fmt: skip
        told = service.post("/o/token/", form).json()
        info = service.get("/o/userinfo/", headers={"Authorization": f"Bearer {told['access_token']}"})
        assert info.status_code == 200 and told["id_token"]
        if number >= 3:
            spent += time.process_time() - start
    return logins / spent


if __name__ == "__main__":
    print(main())
