"""How is Django set up for the collector? Everything comes from the environment; nothing here is to be edited.

Importable without any environment (mypy's plugin does it) and without touching the disk but to read secrets:
``start.prepare`` makes the directory, the key and the tables.
"""

from __future__ import annotations

import os
from typing import Any

import dj_database_url
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from fabgate.collector.base import environ

ENVIRONMENT = environ.read(os.environ, need_site=False)

SECRET_KEY = ENVIRONMENT.secret_key_file.read_text().strip() if ENVIRONMENT.secret_key_file.is_file() else ""
DEBUG = False
ALLOWED_HOSTS = list(ENVIRONMENT.allowed_hosts)
ROOT_URLCONF = "fabgate.collector.urls"
ASGI_APPLICATION = "fabgate.collector.processes.asgi.application"
INSTALLED_APPS = [
    "fabgate.collector",
    # Only what sign-in needs; there is no admin: every page here is one of ours.
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
]
# CommonMiddleware, which checks the Host header, is missing on purpose: a gate may use whatever name it knows. The
# door checks it for every route that a person opens. Sessions and accounts are lazy: a gate's roster asks for neither.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "fabgate.collector.pages.language.LanguageMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "fabgate.collector.pages.access_control.AccessControlMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["django.templatetags.i18n", "fabgate.collector.templatetags.fabgate"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "fabgate.collector.pages.layout.context",
            ],
        },
    }
]

DATABASES: dict[str, Any] = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        # Never made by opening it: one that was deleted is missed, and no empty one takes its place.
        "NAME": f"{ENVIRONMENT.database.as_uri()}?mode=rw",
        "OPTIONS": {
            # IMMEDIATE, because a transaction that reads first and then wants to write is refused at once, without the
            # timeout, when somebody else wrote in between. FULL, because what is acknowledged must survive a power
            # cut: WAL with NORMAL lost acknowledged rows in 12 of 12. 16 MiB of pages, where SQLite keeps 2 by itself.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16384",
        },
    }
}
if ENVIRONMENT.database_url:
    DATABASES["default"] = {"OPTIONS": {}} | dj_database_url.parse(ENVIRONMENT.database_url, conn_health_checks=True)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "collector.Account"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "fabgate.collector.accounts.passwords.SimilarityValidator",
        "OPTIONS": {"user_attributes": ("name", "display_name", "email")},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "fabgate.collector.accounts.passwords.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "sign-in"

# By the port, because a browser gives its cookies to every port of a host: two demos would sign each other out.
SESSION_COOKIE_NAME = f"fabgate_session_{ENVIRONMENT.web_port}"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_NAME = f"fabgate_csrf_{ENVIRONMENT.web_port}"
CSRF_COOKIE_HTTPONLY = True  # our script sends forms as they stand in the page
CSRF_FAILURE_VIEW = "fabgate.collector.pages.errors.csrf_failure"
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
# With FABGATE_HTTPS a proxy speaks TLS and hands on plain HTTP; uvicorn takes the scheme from the proxies it knows.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = ENVIRONMENT.https
CSRF_TRUSTED_ORIGINS = (
    [f"https://*{host}" if host.startswith(".") else f"https://{host}" for host in ENVIRONMENT.allowed_hosts]
    if ENVIRONMENT.https
    else []
)
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if ENVIRONMENT.https else 0
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],  # the style sheet draws its arrows and ticks so
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
STATIC_URL = "/static/"
# Of each process: cards of machines as they were shown last (templates/floor/station.html).
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 3_000}},
}

USE_TZ = True
TIME_ZONE = ENVIRONMENT.tz
USE_I18N = True
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["fabgate.collector.formats"]
LANGUAGES = [("en", _("English")), ("fr", _("French"))]
LANGUAGE_COOKIE_NAME = "fabgate_language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SAMESITE = "Lax"

# Uploads are lists of people; nothing bigger is taken into memory.
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# Our processes set up logging themselves (processes/start.py): one line per decision, on stderr, for journald.
LOGGING_CONFIG = None
