"""One function in a process of its own: what it may use, and how its answer comes back.

Processes are forked from one clean server that has the libraries loaded, so that each costs milliseconds. Answers come back
as JSON: a process that a file has taken over could send nothing that runs here.
"""

import contextlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from verification.engine import errors
from verification.engine.errors import EngineError, UnavailableError, first_line

_CONTEXT = multiprocessing.get_context("forkserver")
# For the whole program, as there is one server of it; nothing else here uses one.
_CONTEXT.set_forkserver_preload(["verification.sandbox.tasks"])

_LONGEST_ANSWER = 64 * 2**20  # bytes
_MOST_OPEN = 4096  # descriptors that a process may have inherited
_GRACE = 5.0  # seconds for a killed process to go
#: What libraries say when memory ends, whatever the class of their error.
_NO_MEMORY = (
    "out of memory",
    "insufficient memory",
    "failed to allocate",
    "can't allocate memory",
    "bad alloc",
    "bad_alloc",
)


@dataclass(frozen=True)
class Limits:
    """`seconds`: on the clock. `memory`: bytes besides what the libraries take. `file_bytes`: of the largest file written."""

    seconds: float
    memory: int
    file_bytes: int = 2**28


def warm_up() -> None:
    """Let the libraries be loaded now, in the background, and not when the first file comes."""
    forkserver.ensure_running()


def run_apart(task: Callable[..., Any], *arguments: object, limits: Limits, **options: object) -> Any:
    """What `task(*arguments, **options)` returns, as JSON has it. `task`: a function of a module, with picklable arguments.

    Raises the EngineError that it raises, EngineError when it needs more than `limits` allow or its process dies, and
    UnavailableError where no process can be had.
    """
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    with ours:
        process = _CONTEXT.Process(target=_answer, args=(theirs, limits, task, arguments, options), name=task.__name__)
        try:
            process.start()
        except (OSError, EOFError) as error:
            raise UnavailableError("the program that reads files does not start; try again in a moment") from error
        finally:
            theirs.close()
        # Not a deadline of reading: a process that sends half an answer and sleeps would hold it up.
        late = threading.Event()
        clock = threading.Timer(limits.seconds, _expire, (late, process))
        clock.daemon = True
        clock.start()
        try:
            return _read(ours, process, limits, late)
        finally:
            clock.cancel()
            _end(process)
            process.join(_GRACE)


def _read(connection: Connection, process: BaseProcess, limits: Limits, late: threading.Event) -> Any:
    try:
        answer = json.loads(connection.recv_bytes(_LONGEST_ANSWER))
    except (EOFError, OSError, ValueError, RecursionError) as error:
        if late.is_set():
            raise EngineError(
                f"reading the file takes more than {limits.seconds:g} seconds; send a smaller or simpler one"
            ) from error
        process.join(_GRACE)
        raise EngineError(_obituary(process.exitcode, limits)) from error
    if not isinstance(answer, dict) or not ({"value"} == set(answer) or {"error", "message"} == set(answer)):
        raise EngineError(_obituary(None, limits))
    if "value" in answer:
        return answer["value"]
    if answer["error"] == MemoryError.__name__:
        raise EngineError(_too_little_memory(limits))
    raise _ERRORS.get(str(answer["error"]), EngineError)(str(answer["message"]))


def _expire(late: threading.Event, process: BaseProcess) -> None:
    late.set()
    _end(process)


def _end(process: BaseProcess) -> None:
    """Nothing of it stays behind, nor of what it has started."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid or 0, signal.SIGKILL)
    with contextlib.suppress(OSError, ValueError):
        process.kill()


def _obituary(code: int | None, limits: Limits) -> str:
    if code is not None and code in {-signal.SIGXCPU, -signal.SIGKILL}:
        return f"reading the file used up its time or its memory ({_size(limits)}); send a smaller or simpler one"
    return "the program that reads such files broke down over this one; it is damaged, or made to do harm"


def _too_little_memory(limits: Limits) -> str:
    return f"reading the file takes more than {_size(limits)} of memory; send a smaller or simpler one"


def _size(limits: Limits) -> str:
    return f"{limits.memory / 2**30:.3g} GB"


_ERRORS: dict[str, type[EngineError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, EngineError)
}


def _answer(
    connection: Connection,
    limits: Limits,
    task: Callable[..., Any],
    arguments: tuple[object, ...],
    options: dict[str, object],
) -> None:
    """In the other process: work within the limits, and say what came of it."""
    _seclude(connection)
    _restrict(limits)
    try:
        answer = json.dumps({"value": task(*arguments, **options)}, allow_nan=False)
    except EngineError as error:
        answer = _refusal(type(error), str(error))
    except MemoryError:
        answer = _refusal(MemoryError)
    except Exception as error:
        # Of libraries, over a file: there is nobody else to tell.
        out = any(words in str(error).lower() for words in _NO_MEMORY)
        message = f"the file cannot be read ({type(error).__name__}: {first_line(error)[:200]})"
        answer = _refusal(MemoryError if out else EngineError, message)
    connection.send_bytes(answer.encode())
    connection.close()
    # No library gets to clean up after what it has read.
    os._exit(0)


def _refusal(kind: type[Exception], message: str = "") -> str:
    return json.dumps({"error": kind.__name__, "message": message})


def _seclude(connection: Connection) -> None:
    """A group of its own, so that all of it can be ended, and nothing open but its answer; decoders' prints are nobody's log."""
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.closerange(3, connection.fileno())
    os.closerange(connection.fileno() + 1, _MOST_OPEN)


def _restrict(limits: Limits) -> None:
    processors = os.cpu_count() or 1
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    # The clock is watched from outside; this ends what has lost its watcher.
    _limit(resource.RLIMIT_CPU, int(limits.seconds * processors) + 10)
    _limit(resource.RLIMIT_AS, _address_space() + limits.memory)
    os.nice(5)
    # Where the system knows it: if memory runs out all the same, this process goes first.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    try:
        resource.setrlimit(what, (most, most))
    except (OSError, ValueError):
        if sys.platform == "linux":
            raise  # elsewhere the system may not know this limit


def _address_space() -> int:
    """Bytes of address space that this process has taken so far."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 2**34  # where the system does not tell, the libraries may have taken this much
    return pages * resource.getpagesize()
