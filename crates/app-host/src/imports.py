# Which files an application is made of: those of every module it has imported, and those an import has
# failed in. For `--reload`, whose gateway watches them.
import json
import os
import sys
import traceback

TOLD = set()


def news(error=None):
    """A line for each that was not told of yet."""
    files = [getattr(module, "__file__", None) for module in tuple(sys.modules.values())]
    while error is not None:
        files += [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        # Of a SyntaxError: its file is in no frame, it never ran.
        files.append(getattr(error, "filename", None))
        error = error.__cause__ or error.__context__
    lines = []
    for file in files:
        if isinstance(file, str) and file not in TOLD:
            TOLD.add(file)
            # What is no file (`<string>`, a part of the app-host) is nothing to watch.
            if os.path.exists(file):
                lines.append(f"imported {json.dumps(os.path.abspath(file))}\n")
    return "".join(lines)
