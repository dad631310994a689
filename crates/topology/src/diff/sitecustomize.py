"""Puts the witness before an application whose server finds it by itself: Django's and Flask's own.

Both are told by their settings what to serve, so the witness comes in where they make a server of it.
"""

import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _the_other():
    """The sitecustomize that this one hides."""
    path = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]
    found = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if found is not None and found.loader is not None:
        found.loader.exec_module(importlib.util.module_from_spec(found))


def _watch_django():
    import causeway_witness
    from django.core.servers import basehttp

    found = basehttp.get_internal_wsgi_application
    basehttp.get_internal_wsgi_application = lambda: causeway_witness.before(found())


def _watch_flask():
    import causeway_witness
    from werkzeug import serving

    make = serving.BaseWSGIServer.__init__

    def watched(self, host, port, app, *more, **named):
        make(self, host, port, causeway_witness.before(app), *more, **named)

    serving.BaseWSGIServer.__init__ = watched


_the_other()
for _watch in (_watch_django, _watch_flask):
    try:
        _watch()
    except ModuleNotFoundError as missing:
        if missing.name.partition(".")[0] not in ("django", "werkzeug"):
            raise
