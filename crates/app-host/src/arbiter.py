# What hooks of gunicorn.conf.py are given: `server`, `worker`, `req` and `resp`, with the attributes
# people use in them. The names are gunicorn's; what is behind them is the gateway's.
import os
import time


class Config:
    """`server.cfg`: each setting under its name, each hook as a function."""

    def __init__(self, settings, module):
        self.settings = settings
        self._module = module
        for name, value in settings.items():
            setattr(self, name, value)
        # The original, where JSON has none of it.
        for name, value in vars(module).items() if module else ():
            if isinstance(value, dict) and name in settings:
                setattr(self, name, value)
        self.address = self.settings.get("bind", [])

    def hook(self, name):
        """The configuration's function, or None."""
        if name in self.settings.get("hooks", ()):
            return getattr(self._module, name)
        return None


class Server:
    """The arbiter, as far as hooks look at it."""

    def __init__(self, cfg, log, pid):
        self.cfg = cfg
        self.log = log
        self.pid = pid
        self.app = None
        self.address = cfg.address
        self.timeout = getattr(cfg, "timeout", None)
        self.proc_name = getattr(cfg, "proc_name", None)
        self.num_workers = getattr(cfg, "workers", None)
        self.worker_age = 0
        self.WORKERS = {}
        self.LISTENERS = []
        self.start_time = time.time()


class Worker:
    """A worker: made in the nursery before the fork, so that `pre_fork` can leave something in it."""

    def __init__(self, age, server):
        self.age = age
        self.pid = "[booting]"
        self.ppid = server.pid
        self.cfg = server.cfg
        self.log = server.log
        self.timeout = server.timeout
        self.sockets = server.LISTENERS
        self.app = self.wsgi = None
        self.booted = self.aborted = False
        self.alive = True
        self.nr = 0
        self.reloader = None

    def __str__(self):
        return f"<Worker {self.pid}>"

    def forked(self):
        self.pid = os.getpid()
        self.ppid = os.getppid()

    def request_of(self, environ):
        self.nr += 1
        return Request(environ)

    def response_of(self, *told):
        return Response(*told)

    def notify(self):
        """gunicorn's heartbeat. Here the gateway sees for itself that requests are answered."""


class Request:
    """`req` of pre_request and post_request."""

    __slots__ = ("environ", "_headers")

    def __init__(self, environ):
        self.environ = environ
        self._headers = None

    @property
    def method(self):
        return self.environ.get("REQUEST_METHOD", "")

    @property
    def uri(self):
        return self.environ.get("RAW_URI", self.path)

    @property
    def path(self):
        # Of the request line: not decoded, and with the prefix of a mount.
        return self.environ.get("RAW_URI", self.environ.get("PATH_INFO", "")).partition("?")[0]

    @property
    def query(self):
        return self.environ.get("QUERY_STRING", "")

    @property
    def fragment(self):
        return ""

    @property
    def version(self):
        number = self.environ.get("SERVER_PROTOCOL", "HTTP/1.0").rpartition("/")[2]
        return tuple(int(part) for part in number.split(".") if part.isdigit())

    @property
    def scheme(self):
        return self.environ.get("wsgi.url_scheme", "http")

    @property
    def body(self):
        return self.environ.get("wsgi.input")

    @property
    def remote_addr(self):
        address, port = self.environ.get("REMOTE_ADDR", ""), self.environ.get("REMOTE_PORT")
        return (address, int(port)) if port else address

    peer_addr = remote_addr

    @property
    def headers(self):
        if self._headers is None:
            names = {"CONTENT_TYPE": "CONTENT-TYPE", "CONTENT_LENGTH": "CONTENT-LENGTH"}
            self._headers = [
                (names.get(key) or key[5:].replace("_", "-"), value)
                for key, value in self.environ.items()
                if key in names or key.startswith("HTTP_")
            ]
        return self._headers


class Response:
    """`resp` of post_request."""

    __slots__ = ("status", "status_code", "headers", "sent", "headers_sent")

    def __init__(self, status, headers, sent, headers_sent):
        self.status = status
        self.status_code = int(status.split(None, 1)[0]) if status else None
        self.headers = headers
        self.sent = sent
        self.headers_sent = headers_sent

    @property
    def response_length(self):
        for name, value in self.headers:
            if name.lower() == "content-length":
                return int(value)
        return None
