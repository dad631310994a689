"""A topology that runs: ``causeway-topology up`` as a child of ours.

The child ends when its standard input does. Only we hold the other end of that, so whatever ends us,
``kill -9`` too, ends the child, and the child ends everything that it started. Nothing here knows pytest.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = "causeway-topology"
# Longer than the child gives any of its hops to finish.
PATIENCE = 120


class StackError(Exception):
    """A topology that does not start, or does not end as it should: what the child said."""


class Hop:
    """One program of the topology."""

    def __init__(self, told: dict[str, object]) -> None:
        self.name = str(told["name"])
        self.kind = str(told["kind"])
        self.version = str(told["version"])
        self.pid = int(str(told["pid"]))
        # As ``127.0.0.1:20001`` or ``unix:/path``.
        self.address = str(told["address"])
        self.logs = [Path(path) for path in told["logs"]]  # type: ignore[attr-defined]

    def log(self) -> str:
        """Everything it wrote until now."""
        return "".join(self.written_since({}))

    def written_since(self, sizes: dict[Path, int]) -> list[str]:
        """The lines of its logs behind these sizes."""
        lines: list[str] = []
        for path in self.logs:
            if path.exists():
                with path.open("rb") as file:
                    file.seek(sizes.get(path, 0))
                    lines += file.read().decode(errors="replace").splitlines(keepends=True)
        return lines

    def sizes(self) -> dict[Path, int]:
        return {path: path.stat().st_size for path in self.logs if path.exists()}

    def signal(self, number: int = signal.SIGHUP) -> None:
        """To its main process; ``SIGHUP`` lets most of them read their configuration again."""
        os.kill(self.pid, number)

    def __repr__(self) -> str:
        return f"<hop {self.name!r}: {self.kind} {self.version} at {self.address}, pid {self.pid}>"


class Stack:
    """A running topology; ``stack + "/path"`` is an address in it, as with pytest-django's live_server."""

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self.file = Path(file)
        self._said = tempfile.TemporaryFile()
        command = [program(), "up", "--topology", str(self.file), "--json"]
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said
        )
        assert self._child.stdout is not None
        # One line when everything answers, or the end of the output when it does not start.
        line = self._child.stdout.readline()
        if not line:
            self._child.wait(PATIENCE)
            raise StackError(f"the topology {str(self.file)!r} does not start\n{self.said()}")
        told = json.loads(line)
        self.name: str = told["topology"]
        self.application: str = told["application"]
        self.url: str = told["url"].rstrip("/")
        # The file with the certificate to trust, when the URL is https.
        self.authority: str | None = told["authority"]
        # Configurations, logs, data.
        self.folder = Path(told["folder"])
        self.hops = [Hop(hop) for hop in told["hops"]]

    def hop(self, name: str) -> Hop:
        """The hop of that name in the topology's file; the first one, when there are several."""
        for hop in self.hops:
            if hop.name in (name, f"{name}-1"):
                return hop
        known = ", ".join(hop.name for hop in self.hops)
        raise LookupError(f"there is no hop {name!r}: there are {known}")

    def said(self) -> str:
        """What the child has to say: nothing, unless something is wrong."""
        self._said.seek(0)
        return self._said.read().decode(errors="replace").strip()

    def ended(self) -> bool:
        """Whether it has ended without being stopped: one of its hops did."""
        return self._child.poll() is not None

    def stop(self) -> None:
        """Lets every hop finish what it has begun. What does not end as it should is an error."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            code = self._child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._child.kill()
            raise StackError(f"the topology {self.name!r} does not end") from None
        finally:
            if self._child.stdout is not None:
                self._child.stdout.close()
        if code != 0:
            raise StackError(f"the topology {self.name!r} ended with {code}\n{self.said()}")

    def __str__(self) -> str:
        return self.url

    def __add__(self, path: str) -> str:
        return self.url + path

    def __repr__(self) -> str:
        return f"<stack {self.name!r} at {self.url}>"


def program() -> str:
    """The one of this environment, else the one on ``PATH``."""
    beside = Path(sys.executable).parent / PROGRAM
    found = str(beside) if beside.is_file() else shutil.which(PROGRAM)
    if found is None:
        raise StackError(f"{PROGRAM} is missing: pip install causeway-gateway")
    return found
