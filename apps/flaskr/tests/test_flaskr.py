"""Each route, through Flask's test client: no server, no waiting."""

from __future__ import annotations

import hashlib
import io
import re
import unittest
from typing import Any
from wsgiref.validate import validator

from werkzeug.test import TestResponse

from flaskr import create_app

BODY = bytes(range(256)) * 1024


class FlaskrTest(unittest.TestCase):
    def setUp(self) -> None:
        app = create_app()
        # PEP 3333, watched from both sides.
        app.wsgi_app = validator(app.wsgi_app)
        self.client = app.test_client()

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.send("GET", path, **options)

    def send(self, method: str, path: str, **options: Any) -> TestResponse:
        """A response that is closed in the end, as a server would: the validator insists."""
        response = self.client.open(path, method=method, **options)
        self.addCleanup(response.close)
        return response


class PagesTest(FlaskrTest):
    def test_every_link_of_the_first_page_leads_somewhere(self) -> None:
        page = self.get("/").text
        links = {path.split("?")[0] for path in re.findall(r'href="(/[^"]*)"', page)}
        quick = links - {"/error", "/slow", "/stream"}
        self.assertIn("/static/flaskr.css", quick)
        for path in quick:
            with self.subTest(path=path):
                self.assertEqual(self.get(path, query_string={"bytes": 1}).status_code, 200)

    def test_an_error_is_a_500_with_its_traceback_in_the_log(self) -> None:
        with self.assertLogs("flaskr", "ERROR") as log:
            self.assertEqual(self.get("/error").status_code, 500)
        self.assertIn("asked to fail by /error", log.output[0])


class UploadTest(FlaskrTest):
    def test_a_raw_body_whatever_it_says_it_is(self) -> None:
        for content_type in ("application/octet-stream", "application/x-www-form-urlencoded", None):
            with self.subTest(content_type=content_type):
                response = self.send("POST", "/upload", data=BODY, content_type=content_type)
                self.assertEqual(
                    response.json,
                    {
                        "kind": "raw",
                        "bytes": len(BODY),
                        "sha256": hashlib.sha256(BODY).hexdigest(),
                    },
                )

    def test_an_empty_body(self) -> None:
        response = self.send("POST", "/upload")
        self.assertEqual(response.json["bytes"], 0)
        self.assertEqual(response.json["sha256"], hashlib.sha256().hexdigest())

    def test_several_files(self) -> None:
        files = {"file": [(io.BytesIO(BODY), "a.bin"), (io.BytesIO(b"other"), "나.txt")]}
        answer = self.send("POST", "/upload", data=files).json
        self.assertEqual(answer["bytes"], len(BODY) + 5)
        self.assertEqual(answer["sha256"], hashlib.sha256(BODY + b"other").hexdigest())
        self.assertEqual([file["name"] for file in answer["files"]], ["a.bin", "나.txt"])
        self.assertEqual(answer["files"][1]["sha256"], hashlib.sha256(b"other").hexdigest())


class DownloadTest(FlaskrTest):
    def test_every_byte_is_where_it_should_be(self) -> None:
        for size in (0, 1, 251, 64 * 1024, 1_000_003):
            with self.subTest(size=size):
                response = self.get(f"/download?bytes={size}")
                self.assertEqual(response.headers["Content-Length"], str(size))
                self.assertEqual(response.data, bytes(n % 251 for n in range(size)))

    def test_only_the_head(self) -> None:
        response = self.send("HEAD", "/download?bytes=77")
        self.assertEqual((response.data, response.headers["Content-Length"]), (b"", "77"))

    def test_a_size_that_makes_no_sense_is_a_400(self) -> None:
        for size in ("-1", "many", "1e3", str(1 << 40)):
            with self.subTest(size=size):
                self.assertEqual(self.get(f"/download?bytes={size}").status_code, 400)


class SlownessTest(FlaskrTest):
    def test_a_stream_comes_in_pieces(self) -> None:
        response = self.get("/stream?n=3&delay=0", buffered=False)
        self.assertNotIn("Content-Length", response.headers)
        self.assertEqual(response.headers["X-Accel-Buffering"], "no")
        self.assertEqual(
            list(response.iter_encoded()), [b"line 1 of 3\n", b"line 2 of 3\n", b"line 3 of 3\n"]
        )

    def test_the_proxy_may_buffer_when_told(self) -> None:
        response = self.get("/stream?n=1&delay=0&buffering=yes")
        self.assertNotIn("X-Accel-Buffering", response.headers)

    def test_a_stream_that_fails_half_way(self) -> None:
        response = self.get("/stream?n=3&delay=0&fail=2", buffered=False)
        self.assertEqual(response.status_code, 200)
        lines = response.iter_encoded()
        self.assertEqual(next(lines), b"line 1 of 3\n")
        with self.assertRaisesRegex(RuntimeError, "at line 2"):
            next(lines)

    def test_slow(self) -> None:
        self.assertEqual(self.get("/slow?seconds=0").text, "answered after 0 s\n")
        for seconds in ("nan", "inf", "61", "x"):
            with self.subTest(seconds=seconds):
                self.assertEqual(self.get(f"/slow?seconds={seconds}").status_code, 400)


class EnvironTest(FlaskrTest):
    def test_it_shows_what_arrived(self) -> None:
        answer = self.get("/environ?one=1", headers={"X-Custom": "yes"}).json
        self.assertEqual(answer["environ"]["QUERY_STRING"], "one=1")
        self.assertEqual(answer["environ"]["HTTP_X_CUSTOM"], "yes")
        self.assertEqual(answer["environ"]["wsgi.url_scheme"], "http")
        self.assertEqual(answer["types"]["wsgi.multithread"], "bool")
        self.assertIn("wsgi.input", answer["types"])
        self.assertEqual(answer["values"]["wsgi.version"], [1, 0])
        self.assertFalse([name for name in answer["types"] if name.startswith("werkzeug.")])
