# The process all workers of a generation are forked from. It runs gunicorn.conf.py once and the
# master's hooks, with --preload it has the application; and it does nothing else, so that what workers
# inherit is what the configuration left, and nothing that happened since.
#
# The gateway sends one JSON message at a time over a packet socket and gets one answer to each:
# {"done": ...} or {"failed": CODE, "reason": TEXT}.
import json
import os
import signal
import socket
import sys
import traceback

# Whoever sends these to every process of the service means the gateway, which says what each has to do.
NOT_FOR_US = [
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
]

# A configuration with a large dictionary in it still fits.
LONGEST = 1 << 20


class Nursery:
    def __init__(self, channel, config_name, python):
        self.channel = channel
        self.config_name = config_name
        # Our own modules, and what of the app-host is written in Rust.
        self.python = python
        self.module = None
        self.server = None
        self.application = None
        self.workers = {}

    def run(self):
        """Serves the gateway. In the nursery itself, gives its exit code; in a worker, the worker's."""
        for number in NOT_FOR_US:
            signal.signal(number, signal.SIG_IGN)
        while True:
            packet, descriptors, _, _ = socket.recv_fds(self.channel, LONGEST, 3)
            if not packet:
                return 0
            message = json.loads(packet)
            if message["do"] == "spawn":
                worker = self.fork(message)
                if worker is not None:
                    return self.work(worker, message, *descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)
            else:
                self.answer(self.carry_out(message))

    def answer(self, answer):
        try:
            self.channel.send(json.dumps(answer).encode())
        except BrokenPipeError:
            pass  # The gateway is gone: the next read says so.

    def carry_out(self, message):
        try:
            return {"done": getattr(self, "do_" + message["do"])(message)}
        except self.python.config.ConfigError as error:
            return {"failed": 1, "reason": str(error)}
        except self.python.load.ApplicationError as error:
            self.server.log.error("application could not be loaded: %s", error)
            reason = " ".join(str(error).split())
            return {"failed": 4, "reason": f"{reason} {self.python.load.place()}"}
        except BaseException as error:
            text, last = self.python.load.explain(error)
            print(text, end="", file=sys.stderr, flush=True)
            return {"failed": 3, "reason": f"{last} {self.python.load.place()}"}

    def do_read(self, message):
        sys.path[:] = [os.getcwd()] + [folder for folder in sys.path if folder]
        if self.config_name is None:
            return None
        self.module = self.python.config.load(self.config_name)
        return self.python.config.contents(self.config_name, self.module)

    def do_configure(self, message):
        arbiter = self.python.arbiter
        os.environ.update(message["environment"])
        if message["chdir"]:
            os.chdir(message["chdir"])
        here = os.getcwd()
        folders = [here] + [os.path.join(here, folder) for folder in message["pythonpath"]]
        sys.path[:] = folders + [folder for folder in sys.path if folder not in folders]
        sys.argv = ["causeway-app-host", message["application"]]
        self.options = message
        cfg = arbiter.Config(message["settings"], self.module)
        self.set_up_logging(cfg, message["logging"])
        self.server = arbiter.Server(cfg, self.python.logger.Logger(cfg), message["pid"])
        self.title = message["settings"]["proc_name"] or message["application"]
        set_title(f"nursery [{self.title}]")

    def set_up_logging(self, cfg, settings):
        if settings["logconfig_dict"]:
            # The original: it may hold what JSON does not.
            settings["logconfig_dict"] = cfg.logconfig_dict
        try:
            self.python.logger.setup(settings)
        except Exception as error:
            raise self.python.config.ConfigError(self.python.logger.reason(error)) from error
        self.python.logger.flush_lines_of_standard_output()

    def do_reopen(self, message):
        self.python.logger.reopen()

    def do_preload(self, message):
        self.application = self.python.load.load(self.options["application"])

    def do_hook(self, message):
        """A hook of the master. What it raises is logged; the server goes on."""
        server = self.server
        name, arguments = message["hook"], message["arguments"]
        if name == "nworkers_changed":
            server.num_workers = arguments[0]
        worker = self.workers.pop(message.get("worker"), None)
        if worker is not None:
            server.WORKERS.pop(worker.pid, None)
            worker.pid = message["pid"]
        hook = server.cfg.hook(name)
        if hook is None:
            return
        try:
            hook(server, *([] if worker is None else [worker]), *arguments)
        except Exception:
            server.log.exception("Exception in %s hook", name)

    def do_forked(self, message):
        """A worker said its number."""
        worker = self.workers.get(message["worker"])
        if worker is not None:
            worker.pid = message["pid"]
            self.server.WORKERS[worker.pid] = worker

    def fork(self, message):
        """The new worker, in it; None in the nursery."""
        server = self.server
        server.worker_age += 1
        worker = self.python.arbiter.Worker(server.worker_age, server)
        self.workers[message["worker"]] = worker
        try:
            pre_fork = server.cfg.hook("pre_fork")
            if pre_fork is not None:
                pre_fork(server, worker)
            # What is still unwritten would be written by every worker again.
            sys.stdout.flush()
            sys.stderr.flush()
            # Twice, so that the worker becomes the gateway's own child, which waits for it.
            between = os.fork()
            if between == 0:
                try:
                    between = os.getpid()
                    if os.fork() != 0:
                        os._exit(0)
                except BaseException:
                    traceback.print_exc()
                    os._exit(1)
                self.between = between
                return worker
            if os.waitstatus_to_exitcode(os.waitpid(between, 0)[1]) != 0:
                raise OSError("it can not be forked")
        except BaseException as error:
            self.workers.pop(message["worker"], None)
            traceback.print_exc()
            last = traceback.format_exception_only(type(error), error)[-1]
            self.answer({"failed": 3, "reason": " ".join(last.split())})
        else:
            self.answer({"done": None})
        return None

    def work(self, worker, message, listener, control, lifeline):
        """Everything a worker does, from here to its end. Gives its exit code."""
        self.channel.close()
        os.setpgid(0, 0)
        for number in NOT_FOR_US:
            signal.signal(number, signal.SIG_DFL)
        set_title(f"worker [{self.title}]")
        # Until the process between us and the gateway has gone.
        while os.getppid() == self.between:
            os.sched_yield()
        os.write(control, f"pid {os.getpid()}\n".encode())
        worker.forked()
        return self.python.serve(
            listener, control, lifeline, worker, self.server, self.application, self.options
        )


def set_title(title):
    """As gunicorn: where setproctitle is installed, it is used."""
    try:
        from setproctitle import setproctitle
    except ImportError:
        return
    setproctitle(f"causeway: {title}")


def run(channel, config_name, python):
    return Nursery(socket.socket(fileno=channel), config_name, python).run()
