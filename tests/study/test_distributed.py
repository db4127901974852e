"""Comparisons by Dask's workers: the same numbers, whoever dies meanwhile."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal

import consilience as cs
from consilience import store
from consilience.backends.striped import LostWorkersError, StripedBackend
from consilience.cli import main
from consilience.study import run as run_module
from consilience.study.cluster import LOOPBACK, client_of
from consilience.study.plan import StudyPlan
from consilience.study.run import run_study
from engine import native

distributed = pytest.importorskip("distributed", reason="Dask is not installed")

N = 701
METRICS = ["cknna", "cka", ("information_imbalance", {"k": 4}), "distance_correlation"]
PLAN = "consilience.backends.striped"
# What Dask says of the deaths that these tests are about.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def client():
    with client_of(local=3, memory_limit="2GiB") as found:
        yield found


@pytest.fixture
def stores(tmp_path):
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((N, 6))
    opened = {}
    for name in "abc":
        own = rng.standard_normal((N, 5))
        rows = np.hstack([shared, own]).astype(np.float32)
        ids = [f"s{i}" for i in range(N)]
        store.write(tmp_path / name, [(ids, rows)], model=name, dataset={"name": "d"})
        opened[name] = store.open(tmp_path / name)
    return opened


@pytest.fixture
def large():
    return np.random.default_rng(0).standard_normal((12_000, 64)).astype(np.float32)


def cut_small(monkeypatch, seconds):
    """Have plans cut work into tasks of so many seconds, however few rows these are."""
    monkeypatch.setattr(f"{PLAN}.TASK_SECONDS", seconds)
    monkeypatch.setattr(f"{PLAN}._plan.LEAST_ROWS", {})


def finished(folder):
    return len(list((folder / "results").glob("*.json")))


def when(ready, act, seconds=60.0):
    """Do something in a thread as soon as it is time to."""

    def watch():
        deadline = time.monotonic() + seconds
        while not ready() and time.monotonic() < deadline:
            time.sleep(0.005)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


# ---- the same numbers --------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:all pairs of samples")
def test_workers_find_what_this_process_finds(client, stores, tmp_path, monkeypatch):
    cut_small(monkeypatch, 2e-5)
    options = {"null": None, "intervals": None, "rows": 300}
    plain = cs.compare(stores, METRICS, **options)
    here = cs.compare(stores, METRICS, **options, checkpoint=tmp_path / "here")
    there = cs.compare(stores, METRICS, **options, client=client, checkpoint=tmp_path / "there")
    for label in plain.scores:
        assert_allclose(there[label], plain[label], rtol=1e-12)
        assert_array_equal(there[label], here[label])
    assert finished(tmp_path / "there") == finished(tmp_path / "here") > 12
    assert not (tmp_path / "there" / "arrays").exists()


def test_arrays_in_memory_are_shared_through_files(client, stores, monkeypatch):
    cut_small(monkeypatch, 2e-5)
    arrays = {name: np.array(one.array()) for name, one in stores.items()}
    metrics = ["cka", ("mutual_knn", {"k": 3, "normalize": "l2"})]
    found = cs.compare(arrays, metrics, client=client)
    expected = cs.compare(stores, metrics)
    assert_array_equal(found["mutual_knn"], expected["mutual_knn"])
    assert_allclose(found["cka"], expected["cka"], rtol=1e-12)


def test_nothing_large_goes_through_the_scheduler(client, stores, monkeypatch, tmp_path):
    sent = []
    body = "consilience.backends.striped._runner.Runner._body"
    from consilience.backends.striped._runner import Runner

    make = Runner._body
    monkeypatch.setattr(body, lambda *a: sent.append(make(*a)) or sent[-1])
    cut_small(monkeypatch, 2e-5)
    cs.compare(stores, ["mutual_knn", "cka"], client=client, null=None)
    assert len(sent) > 2
    assert max(len(json.dumps(one)) for one in sent) < 4096


def test_a_study_runs_on_workers_and_cleans_up(client, stores, tmp_path, monkeypatch):
    cut_small(monkeypatch, 2e-5)
    models = [{"name": name, "store": str(one.path)} for name, one in stores.items()]
    part = {"models": models, "metrics": ["cknna"], "analyses": ["tree"]}
    plan = StudyPlan.from_mapping({"title": "t", "parts": {"p": part}})
    seen = []
    compare = run_module.compare

    def watched(*arguments, **options):
        found = compare(*arguments, **options)
        seen.append(finished(options["checkpoint"]))
        return found

    monkeypatch.setattr(run_module, "compare", watched)
    there = run_study(plan, tmp_path / "there", report=False, client=client)
    assert seen[0] > 3
    assert not (tmp_path / "there" / "terms").exists()
    monkeypatch.undo()
    here = run_study(plan, tmp_path / "here", report=False)
    assert_array_equal(there.part().matrix["cknna"], here.part().matrix["cknna"])
    (tmp_path / "plan.json").write_text(json.dumps(plan.to_json()))
    address = client.scheduler.address
    command = ["study", "run", str(tmp_path / "plan.json"), "--scheduler", address]
    ran = CliRunner().invoke(main, command)
    assert ran.exit_code == 0, ran.output
    assert "comparing 3 models over 701 samples" in ran.output


def test_a_study_of_many_samples_keeps_what_it_found(stores, tmp_path, monkeypatch):
    models = [{"name": name, "store": str(one.path)} for name, one in stores.items()]
    part = {"models": models, "metrics": ["cknna"], "analyses": ["tree"]}
    plan = StudyPlan.from_mapping({"title": "t", "parts": {"p": part}})
    cut_small(monkeypatch, 1e-3)
    monkeypatch.setattr(run_module, "KEPT_SAMPLES", N)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "analyze", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_study(plan, tmp_path / "study", report=False)
    assert finished(tmp_path / "study" / "terms" / "p") == 3
    monkeypatch.undo()
    run_study(plan, tmp_path / "study", report=False)
    assert not (tmp_path / "study" / "terms").exists()


# ---- a cluster here ----------------------------------------------------------------------------


def test_nothing_listens_beyond_the_loopback(client):
    psutil = pytest.importorskip("psutil")
    here = psutil.Process()
    listening = [
        connection.laddr.ip
        for process in (here, *here.children(recursive=True))
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 4
    assert set(listening) == {LOOPBACK}
    assert not client.run_on_scheduler(lambda dask_scheduler: "bokeh" in dask_scheduler.services)


def test_who_is_to_work_is_said_once(tmp_path):
    with pytest.raises(ValueError, match="one of a scheduler"), client_of("tcp://a:1", local=2):
        pass
    with client_of() as none:
        assert none is None


def test_a_scheduler_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr("consilience.study.cluster.CONNECT_SECONDS", 0.5)
    with pytest.raises(OSError, match=r"no Dask scheduler tcp://127\.0\.0\.1:9 answers"):  # noqa: SIM117
        with client_of("tcp://127.0.0.1:9"):
            pass


# ---- deaths ------------------------------------------------------------------------------------


def test_a_worker_killed_in_the_middle_costs_its_tasks_alone(client, large, tmp_path):
    expected = native().knn_exact(large, k=5, distance="l2")
    victims = sorted(client.run(os.getpid).values())
    killer = when(
        lambda: finished(tmp_path / "kept") >= 5, lambda: os.kill(victims[0], signal.SIGKILL)
    )
    with StripedBackend(native(), client, tmp_path / "kept", stripe_rows=150) as ops:
        found = ops.knn_exact(large, k=5, distance="l2")
    killer.join()
    client.wait_for_workers(3)
    assert victims[0] not in client.run(os.getpid).values()
    assert_array_equal(found.indices, expected.indices)
    assert_array_equal(found.distances, expected.distances)


def test_a_comparison_outlives_a_worker_while_steps_overlap(client, stores, tmp_path, monkeypatch):
    cut_small(monkeypatch, 2e-5)
    how = {"null": None, "intervals": None}
    metrics = [*METRICS, ("cka", {"kernel": "rbf"}), "rsa"]
    here = cs.compare(stores, metrics, **how, checkpoint=tmp_path / "here")
    there, victim = tmp_path / "there", max(client.run(os.getpid).values())
    killer = when(lambda: finished(there) >= 8, lambda: os.kill(victim, signal.SIGKILL))
    found = cs.compare(stores, metrics, **how, checkpoint=there, client=client)
    killer.join()
    client.wait_for_workers(3)
    assert finished(there) == finished(tmp_path / "here") > 30
    for label in here.metrics:
        assert_array_equal(found[label], here[label])


def test_an_interrupt_leaves_what_is_finished(client, large, tmp_path):
    killer = when(
        lambda: finished(tmp_path / "kept") >= 5, lambda: os.kill(os.getpid(), signal.SIGINT)
    )
    with (
        pytest.raises(KeyboardInterrupt),
        StripedBackend(native(), client, tmp_path / "kept", stripe_rows=150) as ops,
    ):
        ops.knn_exact(large, k=5, distance="l2")
    killer.join()
    with StripedBackend(native(), None, tmp_path / "kept", stripe_rows=150) as ops:
        found = ops.knn_exact(large, k=5, distance="l2")  # here, what workers began
    assert 5 <= ops.journal.reused < 80
    assert ops.journal.reused + ops.journal.computed == 80
    assert_array_equal(found.indices, native().knn_exact(large, k=5, distance="l2").indices)


def test_a_worker_that_cannot_read_the_store_says_so(client, stores, monkeypatch, tmp_path):
    from consilience.backends.striped._arrays import SharedArrays

    there = SharedArrays.description

    def elsewhere(self, array):
        """Return what a worker with another mount would be told."""
        found = there(self, array)
        for part in found.get("mapped", {"parts": []})["parts"]:
            part[0] = part[0].replace(str(tmp_path), "/nowhere")
        return found

    cut_small(monkeypatch, 1e-5)
    monkeypatch.setattr(SharedArrays, "description", elsewhere)
    with pytest.raises(
        FileNotFoundError,
        match=r"worker \d+ \(.*process \d+\) cannot open /nowhere/a/.*all workers share",
    ):
        cs.compare(stores, ["cka"], client=client)


def started(*command):
    """Start a process of Dask that sees the same packages."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    return subprocess.Popen([sys.executable, "-m", "dask", *command, "--no-dashboard"], **quiet)


def test_a_comparison_goes_on_with_another_scheduler(client, large, tmp_path):
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    kept, where = tmp_path / "kept", ["--scheduler-file", str(tmp_path / "scheduler.json")]
    scheduler = started("scheduler", "--host", LOOPBACK, "--port", "0", *where)
    worker = started("worker", "--host", LOOPBACK, "--nthreads", "1", "--no-nanny", *where)
    try:
        with client_of(scheduler_file=where[1]) as lost:
            lost.wait_for_workers(1, timeout=60)
            killer = when(lambda: finished(kept) >= 5, scheduler.kill)
            with (
                pytest.raises(LostWorkersError, match="run the same again to go on"),
                StripedBackend(native(), lost, kept, stripe_rows=150) as ops,
            ):
                ops.knn_exact(large, k=5, distance="l2")
            killer.join()
    finally:
        for process in (worker, scheduler):
            process.kill()
            process.wait()
    there = finished(kept)
    assert 5 <= there < 80
    with StripedBackend(native(), client, kept, stripe_rows=150) as ops:
        found = ops.knn_exact(large, k=5, distance="l2")
    assert (ops.journal.reused, ops.journal.computed) == (there, 80 - there)
    assert_array_equal(found.indices, native().knn_exact(large, k=5, distance="l2").indices)
