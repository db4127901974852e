"""All that wants a GPU, in one command that needs no network: `make gpu`.

    python scripts/gpu.py                     build, test, sanitize, measure: under ten minutes
    python scripts/gpu.py --rehearse          as far as a machine without a GPU can go
    python scripts/gpu.py --only build,benches

Each step has its own log in build/gpu/logs and its own limit; one that fails stops only those that
need it. What was found goes to gpu.json and gpu.log in the folder that OUT names, or to
bench/results/gpu.json. The exit code is the number of steps that failed.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "gpu"
SITE, LOGS, SHIM = WORK / "py", WORK / "logs", WORK / "shim"
# Where tests marked `gpu` are; others may want packages that a machine for computing lacks.
SUITE = (
    "tests/test_gpu.py",
    "tests/ops",
    "tests/metrics",
    "tests/test_bad_input.py",
    "tests/test_devices.py",
    "tests/test_precision.py",
)
NVCC_FOLDERS = ("/usr/local/cuda/bin", "/opt/cuda/bin")
# module -> package; without these nothing can be built or tested.
NEEDED = {
    "numpy": "numpy",
    "scipy": "scipy",
    "pip": "pip",
    "pybind11": "pybind11",
    "scikit_build_core": "scikit-build-core",
    "pytest": "pytest",
    "array_api_compat": "array-api-compat",
    "click": "click",
    "tqdm": "tqdm",
    "threadpoolctl": "threadpoolctl",
}
WANTED = {
    "torch": "torch",
    "cupy": "cupy-cuda13x",
    "jax": "jax",
    "hypothesis": "hypothesis",
    "xdist": "pytest-xdist",
    "safetensors": "safetensors",
    "pytest_benchmark": "pytest-benchmark",
}
AFTERWARDS = 110  # seconds kept for what comes after the benches
DONE, FAILED, SKIPPED = "done", "failed", "skipped"


class RefusedError(Exception):
    """Why a step cannot be done here; not a failure of what it would have tried."""


@dataclass
class Run:
    """What the steps share and find out."""

    rehearse: bool
    deadline: float
    facts: dict[str, Any] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)

    def state(self, step: str) -> str | None:
        return next((found["state"] for found in self.results if found["step"] == step), None)

    def log(self, step: str) -> Path:
        return LOGS / f"{step.replace(' ', '-')}.log"

    def command(
        self, step: str, command: Sequence[str | Path], limit: float, **environment: str
    ) -> int:
        """Run a command into the log of a step, at most so long; return its exit code."""
        words = [str(word) for word in command]
        allowed = max(5.0, min(limit, self.deadline - time.monotonic()))
        with self.log(step).open("a") as log:
            log.write(f"$ {' '.join(words)}\n")
            log.flush()
            started = subprocess.Popen(
                words,
                cwd=ROOT,
                env=self.environment() | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                return started.wait(timeout=allowed)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(started.pid, signal.SIGKILL)
                started.wait()
                log.write(f"\nstopped after {allowed:.0f} s\n")
                return 124

    def must(self, step: str, command: Sequence[str | Path], limit: float, **more: str) -> None:
        code = self.command(step, command, limit, **more)
        if code == 124:
            raise RuntimeError(f"not done within its time; see {self.log(step).name}")
        if code:
            raise RuntimeError(f"exit code {code}: {last_line(self.log(step))}")

    def environment(self) -> dict[str, str]:
        paths = [SITE, ROOT / "tests", *([SHIM] if SHIM.exists() else [])]
        given = os.environ.get("PYTHONPATH")
        return os.environ | {
            "PYTHONPATH": os.pathsep.join([*map(str, paths), *([given] if given else [])]),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "CMAKE_BUILD_PARALLEL_LEVEL": str(cores()),
            # JAX would take three quarters of the GPU at its first array.
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            "CUPY_CACHE_DIR": str(WORK / "cupy"),
            **({"CUDACXX": self.facts["nvcc"]} if self.facts.get("nvcc") else {}),
        }


# ---- steps -------------------------------------------------------------------------------


def check(run: Run) -> None:
    """Say what machine this is and what it lacks."""
    facts = run.facts
    facts["python"] = platform.python_version()
    facts["cores"] = cores()
    facts["gpu"] = gpu()
    facts["nvcc"] = find_nvcc()
    facts["nvcc_version"] = version_of_nvcc(facts["nvcc"])
    facts["sanitizer"] = find("compute-sanitizer", NVCC_FOLDERS)
    offer_array_api_compat(facts)
    for names, kind in ((NEEDED, "needed"), (WANTED, "wanted")):
        facts[kind] = {package: version_of(module, package) for module, package in names.items()}
    facts["commit"] = os.environ.get("CONSILIENCE_COMMIT") or commit()
    tools = {name: shutil.which(name) or importable(name) for name in ("cmake", "ninja")}
    say(run, "checks", json.dumps(facts, indent=1))
    problems = [f"no {name}" for name, version in facts["needed"].items() if version is None]
    problems += [f"no {name}" for name, there in tools.items() if not there]
    if facts["nvcc"] is None:
        problems.append("no nvcc on the PATH, in CUDACXX, CUDA_HOME or /usr/local/cuda")
    if not facts["gpu"]:
        problems.append("nvidia-smi finds no GPU")
    for name, version in facts["wanted"].items():
        if version is None:
            say(run, "checks", f"absent, and gone without: {name}")
    if problems and run.rehearse:
        say(run, "checks", f"a run would stop here: {'; '.join(problems)}")
    elif problems:
        raise RuntimeError("; ".join(problems))


def build(run: Run) -> None:
    """Build the package for this GPU alone, with all cores."""
    cuda = "ON" if run.facts["nvcc"] else "OFF"
    capability = run.facts["gpu"].get("compute_capability", "9.0").replace(".", "")
    capability = capability.replace("90", "90a")  # with the warpgroups of Hopper
    options = {
        "CONSILIENCE_CUDA": cuda,
        "CONSILIENCE_CUDA_ARCHITECTURES": f"{capability}-real",
        "CONSILIENCE_EMULATOR": "ON" if run.rehearse else "OFF",
        "CONSILIENCE_WERROR": "ON" if run.rehearse else "OFF",
        "CMAKE_INTERPROCEDURAL_OPTIMIZATION": "OFF",
    }
    if cuda == "OFF":
        say(run, "build", "nvcc is not here: the CUDA extension is NOT built")
    shutil.rmtree(SITE, ignore_errors=True)
    settings = [f"-Ccmake.define.{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--no-build-isolation", f"--target={SITE}", f"-Cbuild-dir={WORK / 'cmake'}"]
    run.must("build", [*command, *settings, "."], 400)


def imports(run: Run) -> None:
    """Import both loaders and say what each lacks; with a GPU neither may lack anything."""
    script = (
        "import json\n"
        "from consilience.backends.cuda import _cupy, _native\n"
        "print(json.dumps({'cuda': _native.missing(), 'cupy': _cupy.missing()}))"
    )
    run.must("imports", [sys.executable, "-c", script], 60)
    found = json.loads(last_line(run.log("imports")))
    run.facts["missing"] = found
    say(run, "imports", f"cuda: {found['cuda'] or 'ready'}; cupy: {found['cupy'] or 'ready'}")
    if not run.rehearse and found["cuda"]:
        raise RuntimeError(f"cuda: {found['cuda']}")


def small(loader: str) -> Callable[[Run], None]:
    """Return the step that runs every op once, beside the CPU."""

    def step(run: Run) -> None:
        need(run, loader)
        script = ROOT / "scripts" / "gpu_small.py"
        if loader == "emulated":
            run.must(f"small {loader}", [sys.executable, script, loader, "--n", "90"], 300)
        else:
            run.must(f"small {loader}", [sys.executable, script, loader], 90)

    return step


def tests(loader: str) -> Callable[[Run], None]:
    """Return the step that runs the tests marked `gpu`, of one loader."""

    def step(run: Run) -> None:
        need(run, loader)
        chosen = "cupy" if loader == "cupy" else "not cupy"
        command = [*pytest(), *SUITE, "-m", "gpu", f"--gpu-required={loader}", "-k", chosen]
        command += ["--maxfail=40", "--tb=short"]
        if importable("xdist"):
            command += ["-n", str(min(8, cores()))]
        if importable("pytest_timeout"):
            command += ["--timeout=60", "--timeout-method=thread"]
        try:
            run.must(f"tests {loader}", command, 150)
        finally:
            summarize_tests(run, f"tests {loader}")

    return step


def summarize_tests(run: Run, step: str) -> None:
    """Say which tests failed, and how many passed."""
    lines = run.log(step).read_text(errors="replace").splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    run.facts.setdefault("tests", {})[step] = {"summary": lines[-1], "failed": failed}
    say(run, step, "\n".join([*failed, lines[-1]]))


def collect(run: Run) -> None:
    """Collect the tests that a GPU would run, and run those that it does not take."""
    run.must("tests", [*pytest(), *SUITE, "-m", "gpu", "--gpu", "--collect-only"], 120)
    say(run, "tests", last_line(run.log("tests")))
    files = ["tests/test_kernels.py", "tests/test_gpu_arrays.py"]
    run.must("tests", [*pytest(), *files], 120)


def emulated(run: Run) -> None:
    """Run the tests of ops on the kernels as the emulator runs them."""
    run.must("emulated", [*pytest(), "tests/ops", "-k", "emulated or cuda"], 600)
    say(run, "emulated", last_line(run.log("emulated")))


def sanitize(tool: str) -> Callable[[Run], None]:
    """Return the step that runs every op under one of compute-sanitizer's tools."""

    def step(run: Run) -> None:
        sanitizer = run.facts.get("sanitizer") or find("compute-sanitizer", NVCC_FOLDERS)
        if not sanitizer:
            raise RefusedError("compute-sanitizer is not installed")
        script = [sys.executable, ROOT / "scripts" / "gpu_small.py", "cuda", "--n", "130"]
        command = [sanitizer, "--tool", tool, "--error-exitcode", "77", *script]
        code = run.command(tool, command, 80)
        text = run.log(tool).read_text(errors="replace")
        if "Device not supported" in text or "Unable to find injection" in text:
            raise RefusedError("compute-sanitizer refuses this device")
        summary = [line for line in text.splitlines() if "SUMMARY" in line]
        say(run, tool, summary[-1] if summary else "no summary")
        if code == 124:
            raise RuntimeError("not done within its time")
        if code:
            raise RuntimeError(summary[-1] if code == 77 and summary else f"exit code {code}")

    return step


def benches(run: Run) -> None:
    """Measure; each row has its own limit."""
    output = WORK / "benches.json"
    output.unlink(missing_ok=True)
    left = run.deadline - time.monotonic()
    command = [sys.executable, ROOT / "bench" / "bench_gpu.py", "--output", output]
    if run.rehearse:
        loader = "emulated" if built("_emulated") else "array"
        command += ["--loader", loader, "--scale", "0.0005", "--time-limit", "500"]
    else:
        command += ["--time-limit", f"{max(60, min(300, left - AFTERWARDS)):.0f}"]
    try:
        run.must("benches", command, 600)
    finally:
        if output.exists():
            found = json.loads(output.read_text())
            run.facts["benches"] = {name: found[name] for name in ("versions", "benches")}


@dataclass(frozen=True)
class Step:
    """One of the steps; `needs` must have been done, or have been left out."""

    name: str
    run: Callable[[Run], None]
    needs: tuple[str, ...] = ()


HERE: tuple[Step, ...] = (
    Step("checks", check),
    Step("build", build, ("checks",)),
    Step("imports", imports, ("build",)),
    Step("small cuda", small("cuda"), ("imports",)),
    Step("small cupy", small("cupy"), ("imports",)),
    Step("tests cuda", tests("cuda"), ("imports",)),
    Step("benches", benches, ("imports",)),
    Step("tests cupy", tests("cupy"), ("imports",)),
    Step("memcheck", sanitize("memcheck"), ("imports",)),
    Step("racecheck", sanitize("racecheck"), ("imports",)),
)
REHEARSED: tuple[Step, ...] = (
    Step("checks", check),
    Step("build", build, ("checks",)),
    Step("imports", imports, ("build",)),
    Step("small", small("emulated"), ("imports",)),
    Step("tests", collect, ("imports",)),
    Step("emulated", emulated, ("imports",)),
    Step("benches", benches, ("imports",)),
)


# ---- what the machine has ----------------------------------------------------------------


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpu() -> dict[str, str]:
    """Return what nvidia-smi says of the first GPU; empty if there is none."""
    fields = {
        "name": "name",
        "driver": "driver_version",
        "compute_capability": "compute_cap",
        "memory": "memory.total",
        "sm_clock": "clocks.sm",
        "sm_clock_max": "clocks.max.sm",
        "memory_clock": "clocks.mem",
        "power_limit": "power.limit",
    }
    said = output_of(
        ["nvidia-smi", f"--query-gpu={','.join(fields.values())}", "--format=csv,noheader"]
    )
    if not said:
        return {}
    values = [value.strip() for value in said.splitlines()[0].split(",")]
    return dict(zip(fields, values, strict=False)) if len(values) == len(fields) else {}


def find_nvcc() -> str | None:
    """Return where nvcc is."""
    named = os.environ.get("CUDACXX")
    if named and shutil.which(named):
        return shutil.which(named)
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    return find("nvcc", ([f"{home}/bin"] if home else []) + list(NVCC_FOLDERS))


def find(program: str, folders: Sequence[str]) -> str | None:
    """Return where a program is: on the PATH, or in these folders."""
    found = shutil.which(program)
    return found or shutil.which(program, path=os.pathsep.join(folders))


def version_of_nvcc(nvcc: str | None) -> str | None:
    """Return the line in which nvcc says its release."""
    said = output_of([nvcc, "--version"]) if nvcc else ""
    releases = [line.strip() for line in said.splitlines() if "release" in line]
    return releases[0] if releases else None


def importable(module: str) -> bool:
    """Return whether a module is installed here."""
    return importlib.util.find_spec(module) is not None


def version_of(module: str, package: str) -> str | None:
    """Return the version of a package; None if it cannot be imported."""
    if module == "array_api_compat" and (SHIM / module).exists():
        return "the copy in SciPy"
    if not importable(module):
        return None
    for name in (package, "cupy"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return "unknown"


def offer_array_api_compat(facts: dict[str, Any]) -> None:
    """Where array-api-compat is not installed, let the copy that SciPy ships stand in for it."""
    shutil.rmtree(SHIM, ignore_errors=True)
    found = importlib.util.find_spec("scipy")
    if importable("array_api_compat") or found is None or found.origin is None:
        return
    for copy in sorted(Path(found.origin).parent.glob("_*/array_api_compat")):
        SHIM.mkdir(parents=True, exist_ok=True)
        (SHIM / "array_api_compat").symlink_to(copy)
        facts["array_api_compat"] = str(copy)
        return


def built(module: str) -> bool:
    """Return whether an extension was built, or is installed where nothing was."""
    if SITE.exists():
        return any((SITE / "consilience").glob(f"{module}.*"))
    return importable("consilience") and importable(f"consilience.{module}")


def commit() -> str:
    """Return the commit of the tree, if git knows it."""
    head = output_of(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]).strip()
    changed = output_of(["git", "-C", str(ROOT), "status", "--porcelain"]).strip()
    return (head or "unknown") + (" with changes" if changed else "")


def output_of(command: Sequence[str]) -> str:
    """Return what a command prints; nothing if it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


# ---- saying ------------------------------------------------------------------------------


def pytest() -> list[str | Path]:
    """Return the command; other libraries' warnings are no errors of ours."""
    return [sys.executable, "-m", "pytest", "-q", "-W", "default", "-p", "no:cacheprovider"]


def need(run: Run, loader: str) -> None:
    """Refuse where a loader cannot run."""
    if loader == "emulated":
        if not built("_emulated"):
            raise RefusedError("the emulator was not built")
        return
    reason = run.facts.get("missing", {}).get(loader)
    if reason:
        raise RefusedError(reason)


def say(run: Run, step: str, text: str) -> None:
    """Print a line and keep it in the log of the step."""
    with run.log(step).open("a") as log:
        log.write(text + "\n")
    sys.stdout.write("".join(f"    {line}\n" for line in text.splitlines()))
    sys.stdout.flush()


def last_line(log: Path) -> str:
    """Return the last line of a log that says anything."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "nothing was said"


def attempt(run: Run, step: Step) -> None:
    """Do a step, if it can be, and note what came of it."""
    start = time.monotonic()
    lacking = [name for name in step.needs if run.state(name) in (FAILED, SKIPPED)]
    state, reason = DONE, ""
    sys.stdout.write(f"== {step.name}\n")
    sys.stdout.flush()
    run.log(step.name).write_text("")
    try:
        if lacking:
            raise RefusedError(f"needs {lacking[0]}")
        if start > run.deadline:
            raise RefusedError("no time is left")
        step.run(run)
    except RefusedError as error:
        state, reason = SKIPPED, str(error)
    except Exception as error:
        state, reason = FAILED, f"{error}" or type(error).__name__
        tail = run.log(step.name).read_text(errors="replace").splitlines()[-40:]
        sys.stdout.write("".join(f"    | {line}\n" for line in tail))
    seconds = time.monotonic() - start
    run.results.append(
        {"step": step.name, "state": state, "seconds": round(seconds, 1), "reason": reason}
    )
    sys.stdout.write(f"   {state} in {seconds:.1f} s{': ' + reason if reason else ''}\n")
    sys.stdout.flush()


def write(run: Run, output: Path) -> None:
    """Write what is known so far."""
    facts = {name: value for name, value in run.facts.items() if name != "benches"}
    found = {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "rehearsal": run.rehearse,
        "machine": facts,
        "steps": run.results,
        **run.facts.get("benches", {}),
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    if "OUT" in os.environ:
        with (output.parent / "gpu.log").open("w") as whole:
            for log in sorted(LOGS.glob("*.log"), key=lambda path: path.stat().st_mtime):
                whole.write(f"\n######## {log.stem}\n{log.read_text(errors='replace')}")


def main(arguments: list[str] | None = None) -> int:
    """Run the steps; return how many failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rehearse", action="store_true", help="without a GPU, as far as it goes")
    parser.add_argument("--only", default="", help="step,step; what they need is taken as done")
    parser.add_argument("--skip", default="", help="step,step")
    parser.add_argument("--time-limit", type=float, default=None, help="seconds for all of it")
    options = parser.parse_args(arguments)
    steps = REHEARSED if options.rehearse else HERE
    only, skip = ({s.strip() for s in o.split(",") if s} for o in (options.only, options.skip))
    if unknown := (only | skip) - {step.name for step in steps}:
        parser.error(f"no step {sorted(unknown)}; there are {[step.name for step in steps]}")
    limit = options.time_limit or (3600 if options.rehearse else 570)
    run = Run(options.rehearse, time.monotonic() + limit)
    LOGS.mkdir(parents=True, exist_ok=True)
    for log in LOGS.glob("*.log"):
        log.unlink()
    folder = os.environ.get("OUT")
    output = Path(folder) / "gpu.json" if folder else ROOT / "bench" / "results" / "gpu.json"
    if options.rehearse and not folder:
        output = WORK / "gpu.json"
    for step in steps:
        if step.name != "checks" and ((only and step.name not in only) or step.name in skip):
            continue
        attempt(run, step)
        write(run, output)
    failed = [found["step"] for found in run.results if found["state"] == FAILED]
    sys.stdout.write(
        "\n"
        + "".join(
            f"{found['step']:12} {found['state']:8} {found['seconds']:7.1f} s  {found['reason']}\n"
            for found in run.results
        )
    )
    sys.stdout.write(f"{output} written; {len(failed) or 'none'} failed\n")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
