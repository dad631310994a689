# The application by its name, as gunicorn reads it: "module", "module:attribute" or
# "module:factory(literal, key=literal)". Python, because all of it is Python's own machinery.
import ast
import importlib
import inspect
import os
import sys
import traceback


class ApplicationError(Exception):
    """The module is there, what was asked of it is not: no traceback says more than the message."""


def load(spec):
    module_name, _, attribute = spec.partition(":")
    attribute = attribute or "application"
    name, arguments = parse(attribute)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        if module_name.endswith(".py") and os.path.exists(module_name):
            meant = f"{module_name[:-3]}:{attribute}"
            raise ApplicationError(f"no module {module_name!r}: did you mean {meant!r}?") from error
        raise
    try:
        found = getattr(module, name)
    except AttributeError:
        raise ApplicationError(f"no attribute {name!r} in module {module_name!r}") from None
    if arguments is not None:
        found = build(found, attribute, *arguments)
    if not callable(found):
        raise ApplicationError(f"{spec!r} is not callable")
    return found


def parse(attribute):
    try:
        expression = ast.parse(attribute, mode="eval").body
    except SyntaxError:
        expression = None
    match expression:
        case ast.Name(id=name):
            return name, None
        case ast.Call(func=ast.Name(id=name)) as call:
            try:
                positional = [ast.literal_eval(argument) for argument in call.args]
                named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
            except ValueError:
                raise ApplicationError(f"arguments in {attribute!r} are not literals") from None
            if None not in named:
                return name, (positional, named)
    raise ApplicationError(f"{attribute!r} is neither a name nor a call")


def build(factory, attribute, positional, named):
    if not callable(factory):
        raise ApplicationError(f"the factory in {attribute!r} is not callable")
    try:
        inspect.signature(factory).bind(*positional, **named)
    except TypeError as error:
        raise ApplicationError(f"{attribute!r} can not be called: {error}") from None
    except ValueError:
        pass  # A factory written in C has no signature.
    return factory(*positional, **named)


def explain(error):
    """The traceback without our own frames, and the one line that says what happened."""
    own = error.__traceback__
    while own is not None and own.tb_frame.f_code.co_filename == load.__code__.co_filename:
        own = own.tb_next
    text = "".join(traceback.format_exception(type(error), error, own))
    last = traceback.format_exception_only(type(error), error)[-1]
    return text, " ".join(last.split())


def place():
    """Where the application was looked for, and by what: most that does not boot is in the wrong
    folder, or the wrong environment."""
    try:
        here = os.getcwd()
    except OSError as error:
        here = str(error)
    first = sys.path[0] if sys.path else ""
    return f'(in "{here}", sys.path[0] "{first}", interpreter "{sys.executable}")'
