"""What the environment may say, turned into what ``settings.py`` needs.

Kept apart from the settings so that it can be tested: settings are read once per process, these
functions take their input as arguments. A variable that makes no sense is refused by its name;
its value is quoted only where it can hold no password.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

SWITCH_ON = {"1", "true", "yes", "on"}
SWITCH_OFF = {"", "0", "false", "no", "off"}


def switch(environ: Mapping[str, str], name: str) -> bool:
    """Whether the variable ``name`` is on; unset is off."""
    value = environ.get(name, "").strip().lower()
    if value in SWITCH_ON:
        return True
    if value in SWITCH_OFF:
        return False
    raise ImproperlyConfigured(f'{name} is "{value}": say 1 or 0')


def words(environ: Mapping[str, str], name: str, default: list[str]) -> list[str]:
    """The comma-separated values of the variable ``name``."""
    value = environ.get(name)
    if value is None:
        return default
    return [word.strip() for word in value.split(",") if word.strip()]


def secret_key(environ: Mapping[str, str], file: Path) -> str:
    """The key of ``PYBO_SECRET_KEY``, or that of ``file``, which is made when it is missing.

    Several workers may start at once and all must end up with the same key, or a session made by
    one is void to the next. So the key is written elsewhere first and then *linked* into place:
    that is atomic and fails when another worker was faster, whose complete key is then read.
    """
    given = environ.get("PYBO_SECRET_KEY", "")
    if given:
        return given
    if not file.exists():
        # mkstemp makes its file readable by its owner only, and a link keeps that.
        handle, draft = tempfile.mkstemp(dir=file.parent, prefix=".secret-")
        try:
            with os.fdopen(handle, "w", encoding="ascii") as stream:
                stream.write(get_random_secret_key() + "\n")
            os.link(draft, file)
        except FileExistsError:
            pass
        finally:
            os.unlink(draft)
    key = file.read_text(encoding="ascii").strip()
    if not key:
        raise ImproperlyConfigured(f'no key in "{file}": remove the file and a new one is made')
    return key


def database(environ: Mapping[str, str], sqlite_file: Path) -> dict[str, object]:
    """Django's ``DATABASES["default"]``: PostgreSQL when ``DATABASE_URL`` says so, else SQLite."""
    url = environ.get("DATABASE_URL", "")
    return postgresql(url) if url else sqlite(sqlite_file)


def sqlite(file: Path) -> dict[str, object]:
    """One file, ready for several processes at once.

    WAL lets readers go on while one writes. A transaction takes the write lock at its start
    (IMMEDIATE), because one that begins by reading and writes later can not wait for the lock: it
    fails at once with "database is locked", whatever the timeout says.
    """
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": file,
        "CONN_MAX_AGE": 60,
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }


def postgresql(url: str) -> dict[str, object]:
    """``postgres://user:password@host:port/name?option=value``, each part percent-decoded.

    Without a host libpq's own default is used; a folder as host (``?host=/run/postgresql``) is a
    unix socket. Every other option of the query goes to libpq as it is, for example ``sslmode``.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(
            f'DATABASE_URL has the scheme "{parts.scheme}": only postgres:// is known here'
        )
    try:
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured("DATABASE_URL has a port that is not a number") from None
    name = unquote(parts.path.removeprefix("/"))
    if not name:
        raise ImproperlyConfigured("DATABASE_URL names no database after the host")
    options = dict(parse_qsl(parts.query))
    host = options.pop("host", None) or unquote(parts.hostname or "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(port or options.pop("port", "")),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }
