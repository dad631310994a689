"""``manage.py runserver``, with static files even though DEBUG is off.

Django's own serves them only with DEBUG on, or with ``--insecure``. Here the settings are those of
production, so that what one sees is what one will deploy, and a board without its style sheet
teaches nothing. Still the built-in server: web server and WSGI server in one, for one developer.
"""

from argparse import ArgumentParser

from django.contrib.staticfiles.management.commands import runserver


class Command(runserver.Command):
    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(insecure_serving=True)
