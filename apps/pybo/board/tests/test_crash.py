"""An error of ours: 500, our page, the traceback in the log."""

from __future__ import annotations

from django.test import SimpleTestCase, TestCase, override_settings
from django.urls import include, path

from board.views import crash
from config.urls import urlpatterns as configured

urlpatterns = [path("crash-for-test/", crash), path("", include(configured))]


class CrashTest(SimpleTestCase):
    @override_settings(ROOT_URLCONF=__name__)
    def test_it_is_a_500_with_our_page_and_a_traceback(self) -> None:
        self.client.raise_request_exception = False
        with self.assertLogs("django.request", "ERROR") as log:
            response = self.client.get("/crash-for-test/")
        self.assertContains(response, "Something broke", status_code=500)
        self.assertTemplateUsed(response, "500.html")
        self.assertIn("Traceback", log.output[0])
        self.assertIn("asked to crash by GET /crash-for-test/", log.output[0])


class HostTest(TestCase):
    def test_a_host_that_is_not_ours_is_a_400_with_our_page(self) -> None:
        with self.assertLogs("django.security.DisallowedHost", "ERROR"):
            response = self.client.get("/pybo/", headers={"host": "elsewhere.example"})
        self.assertContains(response, "Bad request", status_code=400)
