"""Signing up, logging in and out."""

from __future__ import annotations

import re

from django.contrib.auth import get_user_model
from django.http import HttpResponse
from django.test import Client

from board.tests.sample import BoardTestCase

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


class LoginTest(BoardTestCase):
    def log_in(self, **fields: str) -> HttpResponse:
        given = {"username": "alice", "password": "alice-password", **fields}
        return self.client.post("/common/login/", given)

    def test_with_the_password(self) -> None:
        self.assertRedirects(self.log_in(), "/pybo/")
        self.assertContains(self.client.get("/pybo/"), "Logged in as <strong>alice</strong>")

    def test_back_to_where_one_came_from(self) -> None:
        page = self.client.get("/common/login/?next=/pybo/question/create/")
        self.assertContains(
            page, '<input type="hidden" name="next" value="/pybo/question/create/">'
        )
        self.assertRedirects(self.log_in(next="/pybo/question/create/"), "/pybo/question/create/")

    def test_never_to_another_site(self) -> None:
        for elsewhere in ("https://elsewhere.example/", "//elsewhere.example/", "javascript:x"):
            with self.subTest(next=elsewhere):
                self.assertRedirects(self.log_in(next=elsewhere), "/pybo/")
                self.client.logout()

    def test_with_a_wrong_password(self) -> None:
        response = self.log_in(password="wrong")
        self.assertContains(response, "Please enter a correct username and password")
        self.assertNotIn("sessionid", self.client.cookies)

    def test_logging_out_is_a_post(self) -> None:
        self.client.force_login(self.alice)
        with self.assertLogs("django.request", "WARNING"):
            self.assertEqual(self.client.get("/common/logout/").status_code, 405)
        self.assertRedirects(self.client.post("/common/logout/"), "/pybo/")
        self.assertContains(self.client.get("/pybo/"), "Sign up")

    def test_with_csrf_as_a_browser_sends_it(self) -> None:
        client = Client(enforce_csrf_checks=True)
        page = client.get("/common/login/", headers={"host": "127.0.0.1:8080"})
        token = TOKEN.search(page.content.decode()).group(1)
        fields = {"username": "alice", "password": "alice-password", "csrfmiddlewaretoken": token}

        def post_from(origin: str) -> int:
            headers = {"host": "127.0.0.1:8080", "origin": origin}
            return client.post("/common/login/", fields, headers=headers).status_code

        # What a proxy does to every form when it loses the port of the Host.
        with self.assertLogs("django.security.csrf", "WARNING"):
            self.assertEqual(post_from("http://127.0.0.1"), 403)
        self.assertEqual(post_from("http://127.0.0.1:8080"), 302)


class SignupTest(BoardTestCase):
    def sign_up(self, **fields: str) -> HttpResponse:
        given = {"username": "carol", "password1": "much-to-guess", "password2": "much-to-guess"}
        return self.client.post("/common/signup/", {**given, **fields}, follow=True)

    def test_a_new_account_is_logged_in_at_once(self) -> None:
        self.assertContains(self.client.get("/common/signup/"), "Password confirmation")
        response = self.sign_up()
        self.assertRedirects(response, "/pybo/")
        self.assertContains(response, "Welcome, carol.")
        self.assertContains(response, "Logged in as <strong>carol</strong>")

    def test_what_is_refused_is_explained(self) -> None:
        for fields, why in (
            ({"username": "alice"}, "already exists"),
            ({"password2": "different"}, "password fields didn"),
            ({"password1": "password", "password2": "password"}, "too common"),
            ({"username": "<b>"}, "Enter a valid username"),
        ):
            with self.subTest(fields=fields):
                self.assertContains(self.sign_up(**fields), why)
        self.assertEqual(get_user_model().objects.count(), 2)

    def test_those_who_are_logged_in_need_no_account(self) -> None:
        self.client.force_login(self.alice)
        self.assertRedirects(self.client.get("/common/signup/"), "/pybo/")
