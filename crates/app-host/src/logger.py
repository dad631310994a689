# Python's logging as gunicorn sets it up: "gunicorn.error" and "gunicorn.access", in every process
# that runs Python. Workers and those before them call `setup`; `serve` is the whole life of the
# process that writes the gateway's own lines, where handlers of the operator's are to write them.
#
# What a process says about itself goes through `entry` and `exception`. An application may disable
# these loggers (dictConfig's disable_existing_loggers does, unasked): then those say so by returning
# False, and the line is written natively. A traceback is never lost to a setting.
import json
import logging
import os
import socket
import sys
import traceback

errors = logging.getLogger("gunicorn.error")
requests = logging.getLogger("gunicorn.access")
settings = {}
# Those this file has added, and takes away before it adds others.
own_handlers = []
statsd = None

GENERIC = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
DATES = "[%Y-%m-%d %H:%M:%S %z]"


def setup(new):
    """Applies the gateway's description of its settings. Raises what Python does not take."""
    global settings, statsd
    settings = new
    statsd = Statsd(**new["statsd"]) if new["statsd"] else None
    for handler in own_handlers:
        errors.removeHandler(handler)
        requests.removeHandler(handler)
    own_handlers.clear()
    errors.propagate = requests.propagate = False
    errors.setLevel(new["loglevel"])
    requests.setLevel(logging.INFO)
    capture()
    add(errors, to_file(new["errorlog"], sys.stderr), logging.Formatter(GENERIC, DATES))
    if new["accesslog"] is not None:
        add(requests, to_file(new["accesslog"], sys.stdout), logging.Formatter("%(message)s"))
    if new["syslog"]:
        add_syslog(**new["syslog"])
    configure()


def add(logger, handler, formatter):
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    own_handlers.append(handler)


def to_file(path, stream):
    if path == "-":
        return logging.StreamHandler(stream)
    try:
        return logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise RuntimeError(f"'{path}' isn't writable [{error.strerror}]") from None


def capture():
    """What is printed, here and by processes that inherit it, goes into the error log's file."""
    if not settings["capture_output"] or settings["errorlog"] == "-":
        return
    for stream in (sys.stdout, sys.stderr):
        if stream:
            stream.flush()
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    file = os.open(settings["errorlog"], flags, 0o666)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def add_syslog(address, facility, tag, takes_requests):
    from logging.handlers import SysLogHandler

    kind, place = syslog_place(address)
    for logger, which in ((errors, "error"), (requests, "access")):
        if logger is requests and not takes_requests:
            continue
        try:
            handler = SysLogHandler(place, SysLogHandler.facility_names[facility.lower()], kind)
        except OSError as error:
            print(f"syslog at {address!r} can not be reached: {error}", file=sys.stderr)
            return
        add(logger, handler, logging.Formatter(f"{tag}.{which}: [%(process)d] %(message)s"))


def syslog_place(address):
    scheme, _, rest = address.partition("://")
    if scheme == "unix":
        path, _, kind = rest.partition("#")
        return socket.SOCK_DGRAM if kind == "dgram" else None, path
    kind = socket.SOCK_STREAM if scheme == "tcp" else socket.SOCK_DGRAM
    return kind, host_and_port(rest, 514)


def host_and_port(text, default):
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = text.partition(":")
    return host or "localhost", int(port or default)


def defaults():
    """What gunicorn puts under an operator's configuration."""
    stream = {"class": "logging.StreamHandler", "formatter": "generic"}

    def logger(name, handler):
        return {"level": "INFO", "handlers": [handler], "propagate": True, "qualname": name}

    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "generic": {"class": "logging.Formatter", "format": GENERIC, "datefmt": DATES}
        },
        "handlers": {
            "console": stream | {"stream": "ext://sys.stdout"},
            "error_console": stream | {"stream": "ext://sys.stderr"},
        },
        "root": {"level": "INFO", "handlers": ["console"]},
        "loggers": {
            "gunicorn.error": logger("gunicorn.error", "error_console"),
            "gunicorn.access": logger("gunicorn.access", "console"),
        },
    }


def configure():
    """The operator's own configuration, over all that: the first of the three there is."""
    if settings["logconfig_dict"]:
        config, name = settings["logconfig_dict"], "logconfig_dict"
    elif settings["logconfig_json"]:
        name = settings["logconfig_json"]
        with open(existing(name), encoding="utf-8") as file:
            try:
                config = json.load(file)
            except ValueError as error:
                raise RuntimeError(f"log config {name!r} is not JSON: {error}") from None
    elif settings["logconfig"]:
        return configure_from_ini(existing(settings["logconfig"]))
    else:
        return
    from logging.config import dictConfig

    if not isinstance(config, dict):
        raise RuntimeError(f"log config {name!r} is not a dictionary")
    dictConfig(defaults() | config)


def configure_from_ini(path):
    from logging.config import fileConfig

    names = {"__file__": path, "here": os.path.dirname(path)}
    fileConfig(path, defaults=names, disable_existing_loggers=False)


def existing(path):
    if not os.path.exists(path):
        raise RuntimeError(f"log config '{path}' not found")
    return path


def flush_lines_of_standard_output():
    """What a worker prints is seen when it is printed, and not lost when it is killed."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)


def reopen():
    """Files were moved away: opens them anew."""
    capture()
    named = list(logging.root.manager.loggerDict.values())
    for logger in [logging.root, *named]:
        for handler in getattr(logger, "handlers", ()):
            if isinstance(handler, logging.FileHandler) and handler.stream:
                handler.acquire()
                try:
                    handler.stream.close()
                    handler.stream = handler._open()
                finally:
                    handler.release()


def is_heard():
    return not errors.disabled and errors.hasHandlers()


def entry(level, message):
    """A line about this process."""
    count(level.lower())
    if not is_heard():
        return False
    errors.log(getattr(logging, level), message)
    return True


def exception(message, error):
    """A line, and the traceback, for handlers that want to see the exception itself."""
    count("exception")
    if not is_heard():
        return False
    errors.error(message, exc_info=(type(error), error, error.__traceback__))
    return True


def write(text):
    """What `wsgi.errors` gets, as it is. gunicorn's rule: wherever the error log is a stream, its
    first handler standing for standard error unless there is a file."""
    if not settings:
        return False
    handlers = errors.handlers
    if settings["errorlog"] == "-":
        sys.stderr.write(text)
        sys.stderr.flush()
        handlers = handlers[1:]
    for handler in handlers:
        if getattr(handler, "stream", None):
            handler.acquire()
            try:
                handler.stream.write(text)
                handler.flush()
            finally:
                handler.release()
    return True


def count(level):
    if statsd and level in ("critical", "error", "warning", "exception"):
        statsd.increment(f"gunicorn.log.{level}", 1)


class Statsd:
    """gunicorn's metrics. One that does not leave at once is lost."""

    def __init__(self, host, prefix, tags):
        stem = prefix.rstrip(".")
        self.prefix = prefix if len(stem) < 2 else stem + "."
        self.tags = f"|#{tags}" if tags else ""
        self.address = None
        try:
            self.socket, self.address = self.connect(host)
        except OSError as error:
            print(f"statsd at {host!r} can not be reached: {error}", file=sys.stderr)

    @staticmethod
    def connect(host):
        path = host.removeprefix("unix:")
        if path != host and not path.isdigit():
            family, address = socket.AF_UNIX, path.removeprefix("//")
        else:
            name, port = host_and_port(host, 8125)
            found = socket.getaddrinfo(name, port, type=socket.SOCK_DGRAM)
            family, _, _, _, address = found[0]
        sender = socket.socket(family, socket.SOCK_DGRAM)
        sender.setblocking(False)
        return sender, address

    def send(self, metric):
        if self.address is None:
            return
        try:
            self.socket.sendto(f"{self.prefix}{metric}{self.tags}".encode(), self.address)
        except OSError:
            pass  # The gateway, which sends most of them, says that statsd is not there.

    def gauge(self, name, value):
        self.send(f"{name}:{value}|g")

    def increment(self, name, value, sampling_rate=1.0):
        self.send(f"{name}:{value}|c|@{sampling_rate}")

    def decrement(self, name, value, sampling_rate=1.0):
        self.send(f"{name}:-{value}|c|@{sampling_rate}")

    def timer(self, name, value):
        self.send(f"{name}:{value}|ms")

    def histogram(self, name, value):
        self.send(f"{name}:{value}|h")


class Logger:
    """What hooks of gunicorn.conf.py know as `server.log` and `worker.log`."""

    error_log = errors
    access_log = requests

    def __init__(self, cfg):
        self.cfg = cfg

    def critical(self, message, *args, **more):
        count("critical")
        errors.critical(message, *args, **more)

    def error(self, message, *args, **more):
        count("error")
        errors.error(message, *args, **more)

    def warning(self, message, *args, **more):
        count("warning")
        errors.warning(message, *args, **more)

    def exception(self, message, *args, **more):
        count("exception")
        errors.exception(message, *args, **more)

    def info(self, message, *args, **more):
        self.log(logging.INFO, message, *args, **more)

    def debug(self, message, *args, **more):
        self.log(logging.DEBUG, message, *args, **more)

    def log(self, level, message, *args, **more):
        if isinstance(level, str):
            level = getattr(logging, level.upper(), logging.INFO)
        extra = more.get("extra") or {}
        metric, value, kind = extra.get("metric"), extra.get("value"), extra.get("mtype")
        sent = {"gauge": "gauge", "counter": "increment", "histogram": "histogram", "timer": "timer"}
        if statsd and metric and value is not None and kind in sent:
            getattr(statsd, sent[kind])(metric, value)
        if message:
            errors.log(level, message, *args, **more)


class Atoms(dict):
    """A request's, as an access line's format asks for them."""

    def __init__(self, atoms):
        super().__init__()
        for name, value in atoms.items():
            self[name] = value.replace('"', '\\"') if isinstance(value, str) else value

    def __getitem__(self, name):
        return self.get(name.lower() if name.startswith("{") else name, "-")


def serve():
    """Until the gateway closes its end. Gives the exit code."""
    import signal

    # It is the gateway's to decide when there is nothing left to say, whoever is sent signals.
    for name in ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    # Listening sockets that were left to the gateway are not for us.
    os.closerange(3, 4096)
    channel = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    lines = channel.makefile("rb")
    answer = begin(json.loads(lines.readline()))
    channel.sendall(json.dumps(answer).encode() + b"\n")
    if "refused" in answer:
        return 1
    for line in lines:
        try:
            obey(json.loads(line))
        except Exception:
            traceback.print_exc()
    logging.shutdown()
    return 0


def begin(order):
    """What there is to say to the gateway's configuration."""
    folders = [os.path.abspath(folder) for folder in order["path"]] or [os.getcwd()]
    sys.path[:0] = folders
    try:
        refuse_objects(order["settings"]["logconfig_dict"])
        setup(order["settings"])
    except Exception as error:
        return {"refused": reason(error)}
    return {
        "level": 100 if errors.disabled else errors.getEffectiveLevel(),
        "takes_requests": requests.isEnabledFor(logging.INFO) and requests.hasHandlers(),
    }


def refuse_objects(value):
    """What the configuration file made itself, only the processes forked after it have."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            refuse_objects(item)
    elif isinstance(value, str) and value.startswith("<") and value.endswith(">"):
        raise RuntimeError(
            f"logconfig_dict holds {value}, which has no name another process could find it by, "
            'as "package.module.Name" or "ext://package.module.name"'
        )


def reason(error):
    """What is wrong, in one line: Python's logging says most of it in an exception's cause."""
    reasons = []
    while error:
        reasons.append(" ".join(str(error).split()) or type(error).__name__)
        error = error.__cause__
    return ": ".join(reasons)


def obey(order):
    if "atoms" in order:
        atoms = Atoms(order["atoms"])
        handle(requests, logging.INFO, settings["access_log_format"], (atoms,), order)
    elif "message" in order:
        handle(errors, getattr(logging, order["level"]), order["message"], (), order)
    elif "reopen" in order:
        reopen()
    elif "become" in order:
        become(**order["become"])


def handle(logger, level, message, args, order):
    """One record, of the time and the process it was said in."""
    if not logger.isEnabledFor(level):
        return
    record = logger.makeRecord(logger.name, level, "causeway-gateway", 0, message, args, None)
    record.created, record.process = order["time"], order["pid"]
    record.msecs = record.created % 1 * 1000
    logger.handle(record)


def become(user, group):
    """As the gateway does: whose the files are, he can open them anew."""
    user = -1 if user is None else user
    group = -1 if group is None else group
    for logger in (errors, requests, logging.root):
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                os.chown(handler.baseFilename, user, group)
    if group != -1:
        os.setgroups([group])
        os.setgid(group)
    if user != -1:
        os.setuid(user)
