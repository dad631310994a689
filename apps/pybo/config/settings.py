"""Django settings of Pybo, for production.

Nothing has to be set to start: what must differ from one machine to the next comes from the
environment (the table in ``apps/README.md``), and everything generated lies in one folder,
``PYBO_DATA``. See https://docs.djangoproject.com/en/5.2/ref/settings/ for what each name means.
"""

import os
from pathlib import Path

from config import environment

BASE_DIR = Path(__file__).resolve().parent.parent

# Readable by others, since the web server that serves `static/` may run as another user; what is
# secret in here (the key) is protected by its own mode.
DATA_DIR = Path(os.environ.get("PYBO_DATA") or BASE_DIR / "data").resolve()
DATA_DIR.mkdir(parents=True, exist_ok=True)

DEBUG = environment.switch(os.environ, "PYBO_DEBUG")
SECRET_KEY = environment.secret_key(os.environ, DATA_DIR / ".secret")
ALLOWED_HOSTS = environment.words(
    os.environ, "PYBO_ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]", "testserver"]
)

INSTALLED_APPS = [
    "board",  # before staticfiles: its `runserver` stands in for theirs
    "accounts",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": environment.database(os.environ, DATA_DIR / "pybo.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "board:index"
LOGOUT_REDIRECT_URL = "board:index"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# `collectstatic` gathers ours and the admin's files in STATIC_ROOT, which the web server serves.
STATIC_URL = "/static/"
STATIC_ROOT = Path(os.environ.get("PYBO_STATIC_ROOT") or DATA_DIR / "static").resolve()
STATICFILES_DIRS = [BASE_DIR / "static"]

# Behind a web server that speaks HTTPS, PYBO_HTTPS=1 believes its X-Forwarded-Proto and keeps
# cookies off plain HTTP. Off by default: on loopback it would lock everybody out.
HTTPS = environment.switch(os.environ, "PYBO_HTTPS")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
CSRF_TRUSTED_ORIGINS = environment.words(os.environ, "PYBO_TRUSTED_ORIGINS", [])
X_FRAME_OPTIONS = "DENY"

# Everything to stderr, where the process that started this one collects it. Django's own default
# would mail errors to the administrators and print nothing at all with DEBUG off.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "format": "[%(asctime)s] [%(process)d] [%(levelname)s] %(name)s: %(message)s",
            "datefmt": "%Y-%m-%d %H:%M:%S %z",
        },
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("PYBO_LOG_LEVEL", "INFO").upper()},
    # Named so that Django's default handlers (console when DEBUG, mail otherwise) are taken off.
    "loggers": {"django": {"handlers": [], "propagate": True}},
}
