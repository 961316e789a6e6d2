"""Runs sweep and its peers, and measures them."""

import dataclasses
import json
import os
import pathlib
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PEERS = ROOT / "benches" / "peers"
CPUS = sorted(os.sched_getaffinity(0))
CORES = len(CPUS)
TICKS = os.sysconf("SC_CLK_TCK")
# A longer run counts if it takes this many times as much more as two equal runs differ by.
ABOVE_NOISE = 5
# Two runs that happen to take equally long do not show that there is no noise: at least this share of their time.
LEAST_NOISE = 0.01
PACKAGES = ("torch", "jax", "optuna", "numpy")


class Failure(Exception):
    """A measurement that cannot be taken."""


class Unavailable(Exception):
    """A contender that this machine cannot run."""


def environment():
    """The interpreter that has the peers."""
    venv = pathlib.Path(os.environ.get("VENV", ROOT / "target" / "benches"))
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


def processor():
    """Name, cores, and the best instruction set that sweep uses."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    values = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = values.get("flags", values.get("Features", "")).split()
    known = {"avx512f": "AVX-512", "avx2": "AVX2", "asimd": "NEON"}
    best = next((name for flag, name in known.items() if flag in flags), "no vectors that sweep uses")
    return f"{values.get('model name', platform.machine())}, {CORES} cores, {best}"


def one_thread(core):
    """Settings of a process that uses one thread, on its own core."""
    names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC", "TORCHINDUCTOR_COMPILE_THREADS"]
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(ROOT / "target" / "inductor")}
    return {
        "env": os.environ | dict.fromkeys(names, "1") | cache,
        "preexec_fn": lambda: os.sched_setaffinity(0, [CPUS[core % CORES]]),
    }


def together(commands):
    """Runs one process for each core at the same time: what each printed."""
    begun = [
        subprocess.Popen(c, stdout=subprocess.PIPE, text=True, cwd=PEERS, **one_thread(i)) for i, c in enumerate(commands)
    ]
    try:
        printed = [process.communicate()[0] for process in begun]
    finally:
        for process in begun:
            process.kill()
    for process, command in zip(begun, commands):
        if process.returncode != 0:
            raise Failure(f"exit code {process.returncode}: {' '.join(map(str, command))}")
    return printed


def peak():
    """GFLOP/s of fused multiply-adds of a core, while all cores are busy. 0 if it is not known for this processor."""
    program = ROOT / "target" / "peak"
    sources = [ROOT / "benches" / name for name in ("peak.rs", "fma.rs")]
    if not program.exists() or program.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        program.parent.mkdir(exist_ok=True)
        subprocess.run(["rustc", "-O", "--edition", "2024", sources[0], "-o", program], check=True)
    return statistics.mean(float(text) for text in together([[program]] * CORES))


class Server:
    """A process of a peer that answers requests, on one core."""

    def __init__(self, python, program, core):
        self.program = program
        self.process = subprocess.Popen(
            [python, program, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PEERS, **one_thread(core)
        )

    def send(self, request):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failure(f"{self.program} ended: exit code {self.process.wait()}") from None

    def receive(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"{self.program} ended: exit code {self.process.wait()}")
        return json.loads(line)


class Peers:
    """PyTorch and JAX: one process for each core, which remains for all rounds, so that nothing is compiled twice."""

    def __init__(self, python):
        self.python, self.servers = python, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for servers in self.servers.values():
            self.end(servers)

    @staticmethod
    def end(servers):
        for server in servers:
            server.process.kill()
            server.process.wait()

    def request(self, program, request):
        if program not in self.servers:
            self.servers[program] = [Server(self.python, program, core) for core in range(CORES)]
        servers = self.servers[program]
        try:
            for server in servers:
                server.send(request)
            replies = [server.receive() for server in servers]
        except Failure:
            # The other processes may still reply to this request, so they end too.
            self.end(self.servers.pop(program))
            raise
        errors = [reply["error"] for reply in replies if "error" in reply]
        if errors:
            raise Failure(f"{program}: {request['row']}: {errors[0]}")
        return replies

    def us(self, program, row, steps):
        """Microseconds of wall time a trial-step, with all cores busy, after compiling and a warm-up."""
        request = {"row": row, "steps": steps, "warmup": max(3, steps // 10)}
        try:
            self.request(program, request | {"do": "prepare"})
        except Failure as failure:
            if row["form"] == "compiled":
                reason = str(failure) if shutil.which("g++") or shutil.which("clang++") else "it needs a C++ compiler"
                raise Unavailable(reason) from failure
            raise
        return statistics.mean(reply["us"] for reply in self.request(program, request | {"do": "time"})) / CORES


@dataclasses.dataclass
class Run:
    """A finished sweep. Its store exists only if it was kept."""

    seconds: float
    cpu: float
    peak: float
    store: pathlib.Path
    samples: list

    def busy(self, workers):
        """Cores times wall time, divided by CPU time: 1 if all workers are busy all the time."""
        return self.seconds * workers / self.cpu


class Sandbox:
    """A folder for sweep files and stores."""

    def __init__(self, binary):
        self.binary = binary
        self.dir = tempfile.TemporaryDirectory(prefix="sweep-benches-")
        self.path = pathlib.Path(self.dir.name)
        self.count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.dir.cleanup()

    def file(self, text):
        self.count += 1
        path = self.path / f"{self.count}.yaml"
        path.write_text(text)
        return path

    def sweep(self, file, *options, keep=False, sample=None, every=0.05, all_done=False):
        """Runs a sweep into a new store. `sample(pid)` is called every few milliseconds, while it runs."""
        self.count += 1
        store = self.path / f"store-{self.count}"
        words = [self.binary, "--store", store, "--data-dir", ROOT / "data", "--quiet", file, *options]
        samples, began = [], time.perf_counter()
        process = subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL)
        try:
            # The process is not reaped here, so that its usage can be read below.
            while sample and os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                samples.append((time.perf_counter() - began, sample(process.pid)))
                time.sleep(every)
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise Failure(f"exit code {process.returncode}: {' '.join(map(str, words))}")
        if all_done:
            check_all_done(store, file)
        if not keep:
            shutil.rmtree(store)
        return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, store, samples)


def check_all_done(store, file):
    """Fails if a trial is not done. A trial that diverged trained fewer steps, and would make a row look fast."""
    db = sqlite3.connect(store / "sweep.db")
    others = db.execute("select count(*) from trials where status != 'done'").fetchone()[0]
    db.close()
    if others:
        raise Failure(f"{others} trials of {file} are not done")


class Difference:
    """Seconds of a step: what a long run takes more than the short ones before and after it.

    If the difference is not well above the noise, the pair is taken again with a longer run. The longer run is kept for later rounds.
    """

    def __init__(self, short, long, limit=8):
        self.short, self.long, self.most = short, long, long * limit
        self.noises = []

    def measure(self, run):
        """Seconds of a step, or None if it is noise; and the long run. `run(steps)` runs a sweep."""
        while True:
            before, long, after = run(self.short), run(self.long), run(self.short)
            self.noises.append(abs(before.seconds - after.seconds))
            least = LEAST_NOISE * (before.seconds + after.seconds) / 2
            noise = max(least, self.noises[-1], statistics.median(self.noises))
            more = long.seconds - (before.seconds + after.seconds) / 2
            if more > ABOVE_NOISE * noise:
                return more / (self.long - self.short), long
            if self.long >= self.most:
                return None, long
            self.long = min(2 * self.long, self.most)
            text = f"  noise: the difference is not above {ABOVE_NOISE} × {noise:.3f} s; again with {self.long} steps"
            print(text, file=sys.stderr, flush=True)


def resident(pid):
    """Memory that a process has now, in MiB."""
    try:
        pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def thread_ticks(pid):
    """CPU time of each thread: its name and ticks."""
    found = {}
    for file in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            head, tail = file.read_text().rsplit(")", 1)
        except OSError:
            continue
        fields = tail.split()
        found[file.parent.name] = head.split("(", 1)[1], int(fields[11]) + int(fields[12])
    return found


def share_of_others(samples):
    """Share of a program's CPU time that is not the workers', after loading."""
    last, loaded = {}, 0
    for _, threads in samples:
        if not any(name.startswith("worker") for name, _ in last.values()):
            loaded = sum(ticks for _, ticks in threads.values())
        last |= threads
    workers = sum(ticks for name, ticks in last.values() if name.startswith("worker"))
    others = sum(ticks for name, ticks in last.values() if not name.startswith("worker")) - loaded
    if workers == 0:
        raise Failure("the threads of the workers were not seen")
    return max(0, others) / (workers + others)
