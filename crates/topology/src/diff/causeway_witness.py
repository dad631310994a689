"""Stands before an application and writes down what it was asked, one line of JSON for each fact.

It changes neither what the application sees nor when it reads: the body is counted as it passes, and
what the application returns is not touched, so that a server still recognises its own file wrapper.
"""

import hashlib
import importlib
import itertools
import json
import os

_FILE = os.environ["CAUSEWAY_WITNESS_FILE"]
_calls = itertools.count(1)


def _write(fact):
    line = json.dumps(fact, ensure_ascii=True, sort_keys=True).encode() + b"\n"
    # One write to the end of a file: lines of several processes do not mix.
    file = os.open(_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(file, line)
    finally:
        os.close(file)


class _Input:
    """`wsgi.input`, with everything counted that is read from it."""

    def __init__(self, stream, fact):
        self._stream = stream
        self._fact = fact
        self._bytes = 0
        self._digest = hashlib.sha256()
        self._returned = False

    def _passes(self, data):
        if data:
            self._bytes += len(data)
            self._digest.update(data)
            if self._returned:
                self.tell()
        return data

    def tell(self):
        """Once when the application has returned, and for what it reads afterwards."""
        self._returned = True
        _write({**self._fact, "bytes": self._bytes, "sha256": self._digest.hexdigest()})

    def read(self, *size):
        return self._passes(self._stream.read(*size))

    def readline(self, *size):
        return self._passes(self._stream.readline(*size))

    def readlines(self, *hint):
        lines = self._stream.readlines(*hint)
        for line in lines:
            self._passes(line)
        return lines

    def __iter__(self):
        for line in self._stream:
            yield self._passes(line)

    def __getattr__(self, name):
        return getattr(self._stream, name)


def _is_plain(value):
    if isinstance(value, tuple):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float))


def _seen(environ):
    strings, plain, types, inherited = {}, {}, {}, []
    for name, value in environ.items():
        # wsgiref's servers add the whole environment of their process. This one name gunicorn's puts
        # into that of its process as well.
        mixed_in = name != "SERVER_SOFTWARE" and os.environ.get(name) == value
        if isinstance(value, str) and mixed_in:
            inherited.append(name)
        elif isinstance(value, str):
            strings[name] = value
        elif _is_plain(value):
            plain[name] = repr(value)
        else:
            types[name] = f"{type(value).__module__}.{type(value).__qualname__}"
    return {"environ": strings, "plain": plain, "types": types, "inherited": sorted(inherited)}


def before(application):
    """The same application, watched."""

    def watched(environ, start_response):
        trace = environ.get("HTTP_TRACEPARENT")
        fact = {"call": f"{os.getpid()}-{next(_calls)}", "trace": trace}
        _write({**fact, **_seen(environ)})
        stream = environ.get("wsgi.input")
        if stream is None:
            return application(environ, start_response)
        watched_input = environ["wsgi.input"] = _Input(stream, fact)
        try:
            return application(environ, start_response)
        finally:
            watched_input.tell()

    return watched


def _named(name):
    module, _, attribute = name.partition(":")
    found = importlib.import_module(module)
    for part in (attribute or "application").removesuffix("()").split("."):
        found = getattr(found, part)
    return found() if attribute.endswith("()") else found


# Not there when a server finds the application by itself: see sitecustomize.py.
if "CAUSEWAY_WITNESS_OF" in os.environ:
    application = before(_named(os.environ["CAUSEWAY_WITNESS_OF"]))
