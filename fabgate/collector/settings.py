"""Django's settings. Everything comes from the environment; there is nothing to edit here.

Can be imported without any environment (mypy's plugin does so), and only reads secrets from disk: ``start.prepare``
makes the directory, the key and the tables.
"""

from __future__ import annotations

import os
from typing import Any

import dj_database_url
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from fabgate.collector.ground.base import environ

ENVIRONMENT = environ.read(os.environ, need_site=False)

SECRET_KEY = ENVIRONMENT.secret_key_file.read_text().strip() if ENVIRONMENT.secret_key_file.is_file() else ""
DEBUG = False
ALLOWED_HOSTS = list(ENVIRONMENT.allowed_hosts)
ROOT_URLCONF = "fabgate.collector.faces.urls"
INSTALLED_APPS = [
    "fabgate.collector",
    # only what sign-in needs; there is no admin, all pages are our own
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
]
# CommonMiddleware, which checks the Host header, is missing on purpose: gates may use any name of the collector.
# faces/pages/access_control.py checks it on every route for people. Sessions and accounts are lazy: a gate's roster
# request needs neither.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "fabgate.collector.faces.pages.language.LanguageMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "fabgate.collector.faces.pages.access_control.AccessControlMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["django.templatetags.i18n", "fabgate.collector.faces.template_tags"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "fabgate.collector.faces.pages.layout.context",
            ],
        },
    }
]

DATABASES: dict[str, Any] = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        # Opening the database does not create it: a deleted file is noticed, not replaced by an empty one.
        "NAME": f"{ENVIRONMENT.database.as_uri()}?mode=rw",
        "OPTIONS": {
            # IMMEDIATE: a transaction that reads first and then writes would be refused at once, without the timeout,
            # if another one wrote in between. FULL: acknowledged rows must survive a power cut; WAL with NORMAL lost
            # some in 12 of 12 cuts. A page cache of 16 MiB; SQLite's default is 2.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16384",
        },
    }
}
if ENVIRONMENT.database_url:
    DATABASES["default"] = {"OPTIONS": {}} | dj_database_url.parse(ENVIRONMENT.database_url, conn_health_checks=True)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MIGRATION_MODULES = {"collector": "fabgate.collector.ground.migrations"}

AUTH_USER_MODEL = "collector.Account"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "fabgate.collector.members.accounts.passwords.SimilarityValidator",
        "OPTIONS": {"user_attributes": ("name", "display_name", "email")},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "fabgate.collector.members.accounts.passwords.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "sign-in"

# With the port, because a browser sends its cookies to every port of a host: two demos would sign each other out.
SESSION_COOKIE_NAME = f"fabgate_session_{ENVIRONMENT.web_port}"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_NAME = f"fabgate_csrf_{ENVIRONMENT.web_port}"
CSRF_COOKIE_HTTPONLY = True  # our script sends forms with the token that the page contains
CSRF_FAILURE_VIEW = "fabgate.collector.faces.pages.password.kept_form.csrf_failure"
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
# With FABGATE_WEB_CERT the web process handles TLS. With FABGATE_HTTPS alone a proxy does, and forwards plain HTTP; uvicorn
# takes the scheme from trusted proxies.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = ENVIRONMENT.https
CSRF_TRUSTED_ORIGINS = (
    [f"https://*{host}" if host.startswith(".") else f"https://{host}" for host in ENVIRONMENT.allowed_hosts]
    if ENVIRONMENT.https
    else []
)
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if ENVIRONMENT.hsts else 0
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],  # the style sheet contains its arrows and ticks as data
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
STATIC_URL = "/static/"
# One cache for each process: the cards of machines as they were last rendered (templates/floor/station.html).
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 3_000}},
}

USE_TZ = True
TIME_ZONE = ENVIRONMENT.tz
USE_I18N = True
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["fabgate.collector.ground.formats"]
LANGUAGES = [("en", _("English")), ("fr", _("French"))]
LANGUAGE_COOKIE_NAME = "fabgate_language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SAMESITE = "Lax"

# Uploads are lists of people; nothing larger is read into memory.
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# Our processes set up logging (processes/start.py): one line for each decision, on stderr, for journald.
LOGGING_CONFIG = None
