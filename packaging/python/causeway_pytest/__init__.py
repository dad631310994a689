"""An application's tests against real deployments of it: ``pytest --stack topologies/default.toml``.

The fixture ``stack`` is a running topology, once for each file that ``--stack`` names; ``stack.py`` says
what it can be asked, ``plugin.py`` how it gets into pytest.
"""

from .stack import Hop, Stack, StackError

__all__ = ["Hop", "Stack", "StackError"]
