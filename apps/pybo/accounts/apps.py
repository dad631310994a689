"""Signing up, logging in and out: Django's own users, our pages."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
