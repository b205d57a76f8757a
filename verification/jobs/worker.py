"""One worker process: a dramatiq worker with one thread, the sweep beside it, and an orderly end."""

import logging
import os
import signal
import threading
from types import FrameType

import dramatiq
import torch

from flowverify import environment
from verification import sandbox
from verification.jobs import actors, job
from verification.jobs.interruption import stopping
from verification.jobs.sweep import Sweeper
from verification.live import publish

logger = logging.getLogger(__name__)

#: Milliseconds after which an idle worker looks for messages at the latest.
POLL_MILLISECONDS = 250
#: Milliseconds in which a job must notice that it shall stop; it looks twice a second.
SHUTDOWN_MILLISECONDS = 7_000
#: Below the web server: a page shall answer while a verification takes all it can get.
NICENESS = 5


def run(queues: set[str], threads: int | None = None) -> None:
    """Work until SIGTERM or SIGINT. `threads`: cores for the mathematics."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    os.nice(NICENESS)
    torch.set_num_threads(threads or default_threads())
    sandbox.warm_up()  # the first video shall not wait for the libraries
    broker = actors.run_verification.broker
    broker.emit_after("process_boot")
    worker = dramatiq.Worker(broker, queues=queues, worker_threads=1, worker_timeout=POLL_MILLISECONDS)
    # A job takes minutes: a message that waits here behind it would be missing elsewhere.
    worker.queue_prefetch = 1
    worker.start()
    sweeper = Sweeper(idle=lambda: not job.busy.is_set())
    threading.Thread(target=sweeper.run, name="sweep", daemon=True).start()
    logger.info("worker %s is ready, with %d threads", os.getpid(), torch.get_num_threads())
    stopping.wait()
    worker.stop(timeout=SHUTDOWN_MILLISECONDS)
    publish.flush()
    broker.close()


def default_threads() -> int:
    """FLOWVERIFY_THREADS, or all cores of this process but one, which stays for the web server."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return environment.positive_int("FLOWVERIFY_THREADS", max(1, cores - 1))


def _stop(number: int, frame: FrameType | None) -> None:
    stopping.set()
