"""The figures of the demo, as a user meets them: from a fresh clone to the first bound, and what a minute proves.

    python benchmarks/demo.py [--seconds 60] [--runs 3] [--no-server]

Prints a table with medians. The server part clones the repository into a temporary folder and runs `script/server` there
with whatever pip has in its cache; it needs git and Linux's /proc.
"""

import argparse
import json
import os
import platform
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

ROOT = Path(__file__).resolve().parent.parent
_MEGABYTE = 1 << 20


@dataclass
class Table:
    """Rows of a figure, its aim and what was measured."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, figure: str, aim: str, values: list[float | None], unit: str) -> None:
        measured = sorted(v for v in values if v is not None)
        if not measured:
            self.rows.append((figure, aim, "not reached"))
            return
        text = f"{statistics.median(measured):.3g} {unit}".strip()
        if len(values) > 1:
            text += f" (from {measured[0]:.3g} to {measured[-1]:.3g}, {len(measured)} of {len(values)} runs)"
        self.rows.append((figure, aim, text))

    def __str__(self) -> str:
        widths = [max(len(row[i]) for row in self.rows) for i in range(2)]
        return "\n".join(f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in self.rows)


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="budget of each verification")
    parser.add_argument("--runs", type=int, default=3, help="runs of each verification, with different seeds")
    parser.add_argument("--no-server", action="store_true", help="leave out the start of the server")
    options = parser.parse_args()
    table = Table([("figure", "aim", "measured")])
    with tempfile.TemporaryDirectory(prefix="flowverify-benchmark-") as scratch:
        folder = Path(scratch)
        if not options.no_server:
            measure_server(folder, options.seconds, table)
        for norm, aim in (("l2", "15"), ("linf", "6")):
            measure_verification(folder, norm, aim, options.seconds, options.runs, table)
    print(
        f"\n{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    print(table)


def measure_verification(folder: Path, norm: str, aim: str, seconds: float, runs: int, table: Table) -> None:
    """`manage.py verify --demo`, dense, in one norm."""
    results, peaks = [], []
    for seed in range(runs):
        print(f"verify --demo --norm {norm}, seed {seed} ...", file=sys.stderr, flush=True)
        result, peak = _verify(folder, norm, seconds, seed)
        results.append(result)
        peaks.append(peak)
    ratios = [r["upper"] / r["lower"] if r["upper"] and r["lower"] else None for r in results]
    first = [next((p["seconds"] for p in r["history"] if p["lower"] > 0), None) for r in results]
    table.add(f"{norm}: first positive sound lower bound", "10 s", first, "s")
    table.add(f"{norm}: lower bound after {seconds:.0f} s", "", [r["lower"] for r in results], "px")
    table.add(f"{norm}: upper bound after {seconds:.0f} s", "", [r["upper"] for r in results], "px")
    table.add(f"{norm}: upper / lower after {seconds:.0f} s", aim, ratios, "")
    table.add(f"{norm}: peak memory of the command", "1.5 GB", [p / 1000 for p in peaks], "GB")


def _verify(folder: Path, norm: str, seconds: float, seed: int) -> tuple[dict[str, Any], float]:
    """The result document and the peak memory in MB."""
    target = folder / f"{norm}-{seed}.json"
    command = [sys.executable, "manage.py", "verify", "--demo", "--norm", norm, "--seconds", str(seconds)]
    environment = os.environ | {"FLOWVERIFY_HOME": str(folder / "home")}
    options = ["--seed", str(seed), "--json", str(target)]
    process = subprocess.Popen([*command, *options], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"verify ended with {process.returncode}")
    return json.loads(target.read_text()), _resident(usage) / _MEGABYTE


def _resident(usage: resource.struct_rusage) -> float:
    """Peak resident bytes: Linux counts kilobytes, macOS bytes."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure_server(folder: Path, seconds: float, table: Table) -> None:
    """A fresh clone, `script/server`, and how long until its page could show a bound."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    print("script/server in a fresh clone ...", file=sys.stderr, flush=True)
    with _server(clone) as server:
        first = server.first_bound(deadline=600)
        peak = server.worker_peak(seconds)
    table.add("script/server to the first bound on the page", "90 s", [first], "s")
    table.add(f"peak memory of the worker in {seconds:.0f} s", "1.5 GB", [peak], "GB")


class _Server:
    """`script/server` in a clone: its output is read for the address and the first user's password."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.began = process, time.monotonic()
        self.output = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line

    def first_bound(self, deadline: float) -> float | None:
        """Seconds from the start until the API, signed in as the first user, gives a bound that says something."""
        address = self._wait_for(r"(http://[\w.:]+/)verifications/([\w-]+)/", deadline)
        name = self._wait_for(r"[Uu]ser(?:name)?\W+(\w+)", deadline)
        password = self._wait_for(r"[Pp]assword\W+(\S+)", deadline)
        if not (address and name and password):
            raise SystemExit(f"the server did not say where it is:\n{self.output}")
        session = _signed_in(address[1], name[1], password[1])
        bounds = f"{address[1]}api/v1/verifications/{address[2]}/bounds/?after=0"
        while time.monotonic() - self.began < deadline:
            points = json.load(session.open(bounds))["results"]
            if any(p["lower"] > 0 or p["upper"] is not None for p in points):
                return time.monotonic() - self.began
            time.sleep(0.1)
        return None

    def _wait_for(self, pattern: str, deadline: float) -> re.Match[str] | None:
        while time.monotonic() - self.began < deadline and self.process.poll() is None:
            if match := re.search(pattern, self.output):
                return match
            time.sleep(0.05)
        return None

    def worker_peak(self, seconds: float) -> float | None:
        """GB: the largest peak among the worker's processes over so many seconds."""
        peak = 0.0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            peak = max([peak, *(_peak(pid) for pid in _descendants(self.process.pid) if _is_worker(pid))])
            time.sleep(1.0)
        return peak / 1000 or None


@contextmanager
def _server(clone: Path) -> Iterator[_Server]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("FLOWVERIFY_", "DJANGO_", "VIRTUAL_ENV"))}
    process = subprocess.Popen(
        ["script/server", "--port", "8377"],
        cwd=clone,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield _Server(process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _signed_in(address: str, name: str, password: str) -> OpenerDirector:
    jar = CookieJar()  # keeps the session
    session = build_opener(HTTPCookieProcessor(jar))
    session.open(address + "login/").read()
    token = next(cookie.value for cookie in jar if "csrf" in cookie.name)
    form = urlencode({"username": name, "password": password, "csrfmiddlewaretoken": token or ""}).encode()
    session.open(Request(address + "login/", form, {"Referer": address})).read()
    return session


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended in between
        children.setdefault(parent, []).append(int(entry.parent.name))
    found, waiting = [], [pid]
    while waiting:
        waiting += (below := children.get(waiting.pop(), []))
        found += below
    return found


def _is_worker(pid: int) -> bool:
    try:
        return b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _peak(pid: int) -> float:
    """MB: the peak resident memory of a process so far."""
    try:
        match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(match[1]) * 1024 / _MEGABYTE if match else 0.0


if __name__ == "__main__":
    main()
