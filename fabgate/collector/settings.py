"""How is Django set up for the collector? Everything comes from the environment; nothing here is to be edited.

Importable without any environment (mypy's plugin does it) and without touching the disk but to read the secret key:
``start.prepare`` makes the directory, the key and the tables.
"""

from __future__ import annotations

import os

from fabgate.collector import environ

ENVIRONMENT = environ.read(os.environ, need_site=False)

SECRET_KEY = ENVIRONMENT.secret_key_file.read_text().strip() if ENVIRONMENT.secret_key_file.is_file() else ""
DEBUG = False
ALLOWED_HOSTS = list(ENVIRONMENT.allowed_hosts)
ROOT_URLCONF = "fabgate.collector.urls"
INSTALLED_APPS = ["fabgate.collector"]
# CommonMiddleware, which checks the Host header, is for pages with links; a gate may use whatever name it knows.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(ENVIRONMENT.database),
        "OPTIONS": {
            # IMMEDIATE, because a transaction that reads first and then wants to write is refused at once, without the
            # timeout, when somebody else wrote in between. FULL, because what is acknowledged must survive a power
            # cut: WAL with NORMAL lost acknowledged rows in 12 of 12.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

USE_TZ = True
TIME_ZONE = ENVIRONMENT.tz
USE_I18N = True
LANGUAGE_CODE = "en"

# Our processes set up logging themselves (start.py): one line per decision, on stderr, for journald.
LOGGING_CONFIG = None
