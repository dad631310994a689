"""The fixture ``stack`` and the option ``--stack``.

A topology starts before the first test that asks for it, and stops after the last one; tests are run
topology by topology. A test that fails is shown with what each hop wrote while it ran.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from .stack import Stack, StackError

# Of each hop, when a test fails.
LINES = 20
T = TypeVar("T")
SIZES = pytest.StashKey[dict[Path, int]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("causeway")
    group.addoption(
        "--stack",
        action="append",
        default=[],
        metavar="FILE[,FILE...]",
        help="topologies on which the tests that take the fixture `stack` are run, each in turn",
    )
    parser.addini("stack", "the same, when the option is not given", type="linelist", default=[])


def topologies(config: pytest.Config) -> list[Path]:
    # What is typed is meant from where it is typed; what is configured, from where that stands.
    typed = [name for names in config.getoption("--stack") for name in names.split(",") if name]
    if typed:
        return [config.invocation_params.dir / name for name in typed]
    return [config.rootpath / name for name in config.getini("stack")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "stack" in metafunc.fixturenames:
        files = topologies(metafunc.config)
        if files:
            ids = [file.stem for file in files]
            metafunc.parametrize("stack", files, indirect=True, scope="session", ids=ids)


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A running deployment of the application: `stack.url`, `stack + "/path"`, `stack.hop(NAME)`."""
    file = getattr(request, "param", None)
    if file is None:
        pytest.fail("the fixture `stack` needs a topology: pytest --stack FILE", pytrace=False)
    running, why = tried(lambda: Stack(file))
    if running is None:
        pytest.fail(why, pytrace=False)
    yield running
    _, why = tried(running.stop)
    if why:
        pytest.fail(why, pytrace=False)


def tried(act: Callable[[], T]) -> tuple[T | None, str]:
    """What comes of it, and why nothing does: an error told once, without the lines of ours it passed."""
    try:
        return act(), ""
    except StackError as error:
        return None, str(error)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    running = stack_of(item)
    if running is not None:
        item.stash[SIZES] = {
            path: size for hop in running.hops for path, size in hop.sizes().items()
        }
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    running = stack_of(item)
    if running is not None and report.when == "call" and report.failed:
        sizes = item.stash.get(SIZES, {})
        for hop in running.hops:
            lines = hop.written_since(sizes)[-LINES:]
            if lines:
                title = f"{hop.name} ({hop.kind}) of {running.name}"
                report.sections.append((title, "".join(lines)))
        if running.ended():
            report.sections.append((running.name, running.said()))
    return report


def stack_of(item: pytest.Item) -> Stack | None:
    running = getattr(item, "funcargs", {}).get("stack")
    return running if isinstance(running, Stack) else None
