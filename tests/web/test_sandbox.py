"""What a file does to the process that reads it ends that process and nothing else, with a sentence that says so.

The tasks here stand for what a hostile file could make a decoder do.
"""

import contextlib
import os
import time
from pathlib import Path

import pytest

from tests.hostile import breaks_down, takes_memory
from verification.engine.errors import ClassifierError, ClipError, EngineError
from verification.sandbox import Limits, run_apart

LIMITS = Limits(seconds=20, memory=2**29, file_bytes=2**20)


def gives(value: object, more: object = None) -> object:
    return [value, more, os.getpid()]


def refuses() -> None:
    raise ClassifierError("it is no classifier; train one")


def allocates_tensors() -> None:
    import torch

    torch.ones(2**31)


def runs_forever() -> None:
    while True:
        time.sleep(0.1)


def stumbles() -> None:
    raise KeyError("index")


def fills_the_disk(path: str) -> None:
    with Path(path).open("wb") as file:
        for _ in range(100):
            file.write(b"?" * 2**16)


def answers_half_and_sleeps() -> None:
    """As a process would that a file has taken over: it finds the pipe for its answer, and begins a long one."""
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"\0\0\0\x08")
    time.sleep(60)


def leaves_a_child_behind() -> None:
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    time.sleep(60)


def gives_no_number() -> float:
    return float("nan")


def prints() -> str:
    os.write(2, b"a decoder complains")
    print("and prints")
    return "done"


def answers_with_an_object() -> object:
    return object()


def test_an_answer_comes_back_from_another_process() -> None:
    value, more, process = run_apart(gives, {"a": [1, 2]}, more=None, limits=LIMITS)

    assert (value, more) == ({"a": [1, 2]}, None)
    assert process != os.getpid()


def test_a_refusal_keeps_its_kind_and_words() -> None:
    with pytest.raises(ClassifierError, match="it is no classifier; train one"):
        run_apart(refuses, limits=LIMITS)


@pytest.mark.parametrize("task", [takes_memory, allocates_tensors])
def test_memory_is_limited(task: object) -> None:
    with pytest.raises(EngineError, match=r"more than 0\.5 GB of memory; send a smaller"):
        run_apart(task, limits=LIMITS)  # type: ignore[arg-type]


def test_time_is_limited() -> None:
    started = time.monotonic()

    with pytest.raises(EngineError, match="more than 1 seconds"):
        run_apart(runs_forever, limits=Limits(seconds=1, memory=2**29))

    assert time.monotonic() - started < 15


def test_a_crash_is_told() -> None:
    with pytest.raises(EngineError, match="broke down over this one"):
        run_apart(breaks_down, limits=LIMITS)


@pytest.mark.parametrize("task", [stumbles, answers_with_an_object])
def test_an_error_of_a_library_is_told_in_a_line(task: object) -> None:
    with pytest.raises(EngineError, match=r"cannot be read \((KeyError|TypeError)"):
        run_apart(task, limits=LIMITS)  # type: ignore[arg-type]


def test_half_an_answer_holds_nobody_up() -> None:
    started = time.monotonic()

    with pytest.raises(EngineError, match="more than 2 seconds"):
        run_apart(answers_half_and_sleeps, limits=Limits(seconds=2, memory=2**29))

    assert time.monotonic() - started < 15


def test_nothing_of_it_stays_behind() -> None:
    before = _sleepers()
    with pytest.raises(EngineError, match="more than 1 seconds"):
        run_apart(leaves_a_child_behind, limits=Limits(seconds=1, memory=2**29))
    deadline = time.monotonic() + 10
    while _sleepers() > before and time.monotonic() < deadline:
        time.sleep(0.1)

    assert _sleepers() <= before


def _sleepers() -> int:
    """Processes of the server of processes, besides itself."""
    found = 0
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            state = (entry.parent / "stat").read_text().rsplit(")", 1)[1].split()[0]
            found += b"forkserver" in entry.read_bytes() and state != "Z"
    return found


def test_what_is_no_number_is_no_answer() -> None:
    with pytest.raises(EngineError, match="cannot be read"):
        run_apart(gives_no_number, limits=LIMITS)


def test_files_are_limited(tmp_path: Path) -> None:
    with pytest.raises(EngineError):
        run_apart(fills_the_disk, str(tmp_path / "large"), limits=LIMITS)

    assert (tmp_path / "large").stat().st_size <= 2**20


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_apart(prints, limits=LIMITS) == "done"

    assert capfd.readouterr() == ("", "")


def test_a_missing_video_is_refused_as_in_this_process() -> None:
    from verification.sandbox import tasks

    with pytest.raises(ClipError, match="there is no file"):
        run_apart(tasks.inspect_video, "/nowhere.mp4", "/strip", "/preview", limits=LIMITS)


def test_the_server_of_processes_lives_on_after_all_that() -> None:
    began = time.monotonic()
    pids = {run_apart(gives, 1, limits=LIMITS)[2] for _ in range(5)}

    assert len(pids) == 5
    assert time.monotonic() - began < 20
