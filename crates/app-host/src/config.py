# gunicorn.conf.py: run once, here, by the application's own interpreter; what it leaves behind is
# told to the gateway, which knows the settings. Must not know any setting by name.
import ast
import importlib
import importlib.util
import inspect
import json
import os
import sys
import traceback
import types


class ConfigError(Exception):
    """The file can not be run; the message says where and why in one line."""


def load(name):
    """The module of `FILE` or `python:MODULE`, run now, however often it was run before."""
    module_name = name.removeprefix("python:")
    try:
        if module_name != name:
            sys.modules.pop(module_name, None)
            return importlib.import_module(module_name)
        if not os.path.exists(name):
            raise ConfigError(f"{name!r} doesn't exist")
        spec = importlib.util.spec_from_loader("__config__", loader=None, origin=name)
        module = importlib.util.module_from_spec(spec)
        module.__file__ = os.path.abspath(name)
        sys.modules["__config__"] = module
        with open(name, "rb") as file:
            exec(compile(file.read(), name, "exec"), module.__dict__)
        return module
    except ConfigError:
        raise
    except BaseException as error:
        traceback.print_exc()
        last = " ".join(traceback.format_exception_only(type(error), error)[-1].split())
        raise ConfigError(f"{place(name, error)}: {last}") from None


def place(name, error):
    """FILE:LINE of the innermost line that is the file's own."""
    if isinstance(error, SyntaxError) and error.filename == name:
        return f"{name}:{error.lineno}"
    lines = [
        line
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == name
    ]
    return f"{name}:{lines[-1]}" if lines else name


def contents(name, module):
    """Its names as the gateway's `settings::Contents`."""
    lines = assigned(module)
    return {
        "path": name,
        "script_name": os.environ.get("SCRIPT_NAME", "").encode("utf-8", "replace").decode(),
        "entries": [
            {"name": key, "line": lines.get(key, 0), **kind(value)}
            for key, value in vars(module).items()
            # As gunicorn: what is in upper case is the file's own affair.
            if key == key.lower() and not key.startswith("_") and not is_import(value, key, lines)
        ],
    }


def is_import(value, key, lines):
    if isinstance(value, types.ModuleType):
        return True
    # Functions and classes that came along with a `from ... import`.
    return callable(value) and key not in lines


def kind(value):
    if callable(value):
        return {"function": arity(value)}
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, (set, frozenset)) and all(isinstance(item, str) for item in value):
        value = sorted(value)
    try:
        return {"value": json.loads(json.dumps(value, allow_nan=False, default=stand_in))}
    except (TypeError, ValueError, RecursionError):
        pass
    return {"other": type(value).__name__}


def stand_in(value):
    """Within a dictionary for logging, say, anything may stand: the nursery keeps the original. What
    has a name is told by it, as the logger process can find it."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    for stream in ("stdout", "stderr"):
        if value is getattr(sys, stream):
            return f"ext://sys.{stream}"
    module = getattr(value, "__module__", None)
    name = getattr(value, "__qualname__", "")
    if callable(value) and module != "__config__":
        if getattr(sys.modules.get(module), name, None) is value:
            return f"{module}.{name}"
    return f"<{type(value).__name__}>"


def arity(function):
    try:
        parameters = inspect.signature(function).parameters.values()
        # As gunicorn counts.
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return sum(parameter.kind in positional for parameter in parameters)
    except (TypeError, ValueError):
        return None


def assigned(module):
    """Where each name of the file was last given a value, at whatever depth of `if` and `try`."""
    try:
        with open(module.__file__, "rb") as file:
            tree = ast.parse(file.read())
    except (AttributeError, OSError, SyntaxError, TypeError, ValueError):
        return {}
    lines = {}

    class Assignments(ast.NodeVisitor):
        def visit_Name(self, node):
            if isinstance(node.ctx, ast.Store):
                lines[node.id] = node.lineno

        def visit_FunctionDef(self, node):
            lines[node.name] = node.lineno

        visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef

        def visit_ImportFrom(self, node):
            for alias in node.names:
                # A value imported from elsewhere has a line; a function does not make it a hook
                # of this file unless it is named like one.
                lines[alias.asname or alias.name] = node.lineno

        def visit_Lambda(self, node):
            pass

    Assignments().visit(tree)
    return lines
