"""What the environment may say, and how nonsense is refused."""

from __future__ import annotations

import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase

from config import environment


class VariableTest(SimpleTestCase):
    def test_a_switch_is_on_off_or_refused(self) -> None:
        for value, expected in {
            "1": True,
            "True": True,
            "0": False,
            "": False,
            "no": False,
        }.items():
            self.assertIs(environment.switch({"X": value}, "X"), expected)
        self.assertIs(environment.switch({}, "X"), False)
        with self.assertRaisesMessage(ImproperlyConfigured, 'X is "maybe"'):
            environment.switch({"X": "maybe"}, "X")

    def test_words_are_separated_by_commas(self) -> None:
        self.assertEqual(environment.words({"X": "a, b,,"}, "X", ["d"]), ["a", "b"])
        self.assertEqual(environment.words({"X": ""}, "X", ["d"]), [])
        self.assertEqual(environment.words({}, "X", ["d"]), ["d"])


class SecretKeyTest(SimpleTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / ".secret"

    def test_the_variable_comes_first_and_writes_nothing(self) -> None:
        self.assertEqual(environment.secret_key({"PYBO_SECRET_KEY": "k"}, self.file), "k")
        self.assertFalse(self.file.exists())

    def test_a_key_is_made_once_and_for_its_owner_only(self) -> None:
        key = environment.secret_key({}, self.file)
        self.assertGreaterEqual(len(key), 50)
        self.assertEqual(environment.secret_key({}, self.file), key)
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        self.assertEqual(list(self.file.parent.iterdir()), [self.file])

    def test_all_who_start_together_get_the_same(self) -> None:
        with ThreadPoolExecutor(16) as pool:
            keys = set(pool.map(lambda _: environment.secret_key({}, self.file), range(64)))
        self.assertEqual(len(keys), 1)

    def test_an_empty_file_is_refused(self) -> None:
        self.file.touch()
        with self.assertRaisesMessage(ImproperlyConfigured, "no key in"):
            environment.secret_key({}, self.file)


class DatabaseTest(SimpleTestCase):
    def database(self, url: str) -> dict[str, object]:
        return environment.database({"DATABASE_URL": url}, Path("x.sqlite3"))

    def test_sqlite_without_a_url(self) -> None:
        for environ in ({}, {"DATABASE_URL": ""}):
            database = environment.database(environ, Path("x.sqlite3"))
            self.assertEqual(database["ENGINE"], "django.db.backends.sqlite3")
            self.assertEqual(database["NAME"], Path("x.sqlite3"))

    def test_every_part_of_a_url(self) -> None:
        database = self.database("postgres://us%40er:p%2Fw@db.example:5433/na%20me?sslmode=require")
        self.assertEqual(database["ENGINE"], "django.db.backends.postgresql")
        parts = [database[key] for key in ("USER", "PASSWORD", "HOST", "PORT", "NAME", "OPTIONS")]
        self.assertEqual(
            parts, ["us@er", "p/w", "db.example", "5433", "na me", {"sslmode": "require"}]
        )

    def test_a_unix_socket(self) -> None:
        for url in (
            "postgresql:///pybo?host=/run/postgresql&port=5433",
            "postgresql://%2Frun%2Fpostgresql:5433/pybo",
        ):
            database = self.database(url)
            self.assertEqual(
                [database[key] for key in ("HOST", "PORT", "NAME", "OPTIONS")],
                ["/run/postgresql", "5433", "pybo", {}],
            )

    def test_nonsense_is_refused_and_no_password_told(self) -> None:
        for url, why in {
            "mysql://u:secret@h/d": '"mysql"',
            "postgres://u:secret@h": "no database",
            "postgres://u:secret@h:port/d": "not a number",
        }.items():
            with self.subTest(url=url), self.assertRaisesMessage(ImproperlyConfigured, why) as seen:
                self.database(url)
            self.assertNotIn("secret", str(seen.exception))
