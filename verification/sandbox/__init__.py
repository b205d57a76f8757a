"""Files from strangers are read in a process of their own, with limits: they can end that process, and nothing else.

`run_apart(task, ..., limits)` runs one function of `verification.sandbox.tasks` and gives what it returns. Plain Python and
the engine; no Django: the process holds no connection of the server. It guards against crashes and exhaustion and is no jail: it
runs under the server's account.
"""

from verification.sandbox.apart import Limits, run_apart, warm_up

__all__ = ["Limits", "run_apart", "warm_up"]
