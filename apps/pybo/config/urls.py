"""The board lives under ``/pybo/``, everything about accounts under ``/common/``."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="board:index"), name="home"),
    path("pybo/", include("board.urls")),
    path("common/", include("accounts.urls")),
    path("admin/", admin.site.urls),
]
