"""Django's settings, made from the node folder that ``WANTONG_NODE`` names.

Without it (tests, tools, documentation) a throw-away node in a temporary folder is described; the database is then
``WANTONG_TEST_DATABASE`` or SQLite.
"""

import atexit
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from wantong.ground import clock
from wantong.ground.config import NodeConfig
from wantong.ground.http import tls, webkey
from wantong.ground.i18n import ENDONYMS
from wantong.node import config

if folder := os.environ.get("WANTONG_NODE"):
    _settings = config.load(Path(folder))
    WANTONG = _settings.node
    DATABASES = {"default": config.database(_settings.database, WANTONG.directory)}
    SECRET_KEY, SECRET_KEY_FALLBACKS = webkey.read(WANTONG.keys)
    LOG_LEVEL = _settings.log_level
    WANTONG_LIMITS = _settings.limits
    tls.use(_settings.tls)
    WANTONG_CLAIMS = _settings.claims
    WANTONG_IDENTITY = _settings.identity
    WANTONG_AUTHORITIES = _settings.authorities
else:
    _scratch = Path(tempfile.mkdtemp(prefix="wantong-"))
    atexit.register(shutil.rmtree, _scratch, ignore_errors=True)
    WANTONG = NodeConfig(
        participant_id="gd.test.example",
        jurisdiction="gd",
        name={"en": "Test node", "zh-hans": "测试节点", "zh-hant": "測試節點", "pt": "Nó de teste"},
        url="http://127.0.0.1:1",
        data_url="http://127.0.0.1:1",
        directory=_scratch,
    )
    DATABASES = {
        "default": config.database(os.environ.get("WANTONG_TEST_DATABASE", "sqlite:db.sqlite3"), _scratch)
    }
    if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        # a file, not memory: tests with threads and processes need several connections
        DATABASES["default"]["TEST"] = {"NAME": str(_scratch / "test.sqlite3")}
    elif suffix := os.environ.get("WANTONG_TEST_DATABASE_SUFFIX"):
        DATABASES["default"]["TEST"] = {"NAME": f"test_wantong_{suffix}"}
    SECRET_KEY = secrets.token_urlsafe(50)
    LOG_LEVEL = "warning"

DEBUG = False
ALLOWED_HOSTS = [
    "*"
]  # the node answers under the address its operator's proxy gives it; links use WANTONG.url
ROOT_URLCONF = "wantong.node.urls"
WSGI_APPLICATION = "wantong.node.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = clock.ZONE

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "wantong.ground.http",
    "wantong.ground.outbox",
    "wantong.ground.log",
    "wantong.border.trust",
    "wantong.border.trust.dcp",
    "wantong.border.trust.proposals",
    "wantong.border.trust.certificates",
    "wantong.border.trust.lists",
    "wantong.border.trust.signatures",
    "wantong.border.trust.signatures.timestamps",
    "wantong.border.trust.documents",
    "wantong.border.trust.passes",
    "wantong.border.trust.identity.accounts",
    "wantong.border.trust.identity.provider",
    "wantong.border.trust.credentials",
    "wantong.border.trust.verifier",
    "wantong.border.trust.wallet",
    "wantong.border.gate.classification",
    "wantong.border.gate.rules",
    "wantong.border.gate.whitelist",
    "wantong.border.gate.consent",
    "wantong.border.gate.declarations",
    "wantong.border.gate.verification",
    "wantong.border.exchange",
    "wantong.border.exchange.offshore",
    "wantong.border.exchange.opendata",
    "wantong.border.exchange.query",
    "wantong.border.exchange.research",
    "wantong.border.exchange.sharing",
    "wantong.portal",
    "wantong.node",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "wantong.node.middleware.RequestLog",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "wantong.node.middleware.WebKey",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "wantong.node.middleware.Problems",
    "wantong.ground.http.idempotency.Idempotency",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

LANGUAGE_CODE = "en"
LANGUAGES = list(ENDONYMS.items())
USE_I18N = True

# WhiteNoise serves the files of the package itself: nothing is collected, built or copied at the operator's
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 600

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = int(webkey.SESSION.total_seconds())
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = WANTONG.url.startswith("https:")
# several nodes may share a host (the bay on one machine does), and cookies do not know ports
SESSION_COOKIE_NAME = f"session_{WANTONG.jurisdiction}"
CSRF_COOKIE_NAME = f"csrf_{WANTONG.jurisdiction}"
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 2**20
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {}),
        ("MinimumLengthValidator", {"min_length": 12}),
        ("CommonPasswordValidator", {}),
        ("NumericPasswordValidator", {}),
    )
]
# memory-hard, and ten times quicker to check than PBKDF2 at Django's iteration count
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]
LOGIN_URL = "portal:sign-in"
LOGIN_REDIRECT_URL = "portal:home"
LOGGING_CONFIG = None
