"""The engine among threads, forks, signals and other runtimes."""

import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_info

import consilience as cs


def run(code, **options):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def test_many_python_threads_at_once(rng):
    sets = [rng.standard_normal((300, 9)).astype(np.float32) for _ in range(6)]
    expected = [cs.neighbors(X, k=5)[0] for X in sets]
    before = [pool["num_threads"] for pool in threadpool_info()]
    found = [None] * 6

    def work(s):
        for _ in range(20):
            found[s] = cs.neighbors(sets[s], k=5)[0]

    threads = [threading.Thread(target=work, args=(s,)) for s in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mine, theirs in zip(found, expected, strict=True):
        assert_array_equal(mine, theirs)
    assert [pool["num_threads"] for pool in threadpool_info()] == before


def test_works_after_fork():
    done = run("""
        import os, numpy as np, consilience as cs
        X = np.random.default_rng(0).standard_normal((600, 20))
        before = cs.cknna(X, X[:, :5].copy(), n_threads=3)
        child = os.fork()
        if child == 0:
            os._exit(0 if cs.cknna(X, X[:, :5].copy(), n_threads=3) == before else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert cs.cknna(X, X[:, :5].copy(), n_threads=3) == before
        print("fine")
    """)
    assert done.stdout.strip() == "fine", done.stderr


def test_works_beside_torch():
    pytest.importorskip("torch", reason="torch is not installed")
    done = run("""
        import torch, numpy as np, consilience as cs
        X = torch.randn(500, 16, generator=torch.Generator().manual_seed(0), requires_grad=True)
        (X @ X.T).sum().backward()
        assert cs.mutual_knn(X, X, k=5) == 1.0
        half = X.detach().to(torch.bfloat16)
        assert cs.cka(half, half.float()) > 0.999999
        print("fine")
    """)
    assert done.stdout.strip() == "fine", done.stderr


def test_an_interrupt_is_answered_within_a_second():
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import numpy as np, consilience as cs\n"
            "X = np.random.default_rng(0).standard_normal((150_000, 64)).astype('f4')\n"
            "cs.mutual_knn(X[:50], X[:50], k=2)\n"
            "print('started', flush=True)\n"
            "cs.information_imbalance(X, X[:, ::-1].copy(), n_threads=2)",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What runs in the background of a shell ignores interrupts, and so would this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout.readline().strip() == "started"
    time.sleep(2.0)
    assert process.poll() is None, "the work ended before it could be interrupted"
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    _, errors = process.communicate(timeout=30)
    # A loaded machine may delay all of it; without polling the work takes minutes.
    assert time.monotonic() - sent < 5.0
    assert "KeyboardInterrupt" in errors
    assert process.returncode != 0


def test_running_out_of_memory_in_a_worker_is_an_exception():
    resource = pytest.importorskip("resource", reason="needs POSIX limits")
    assert resource is not None
    done = run("""
        import resource, numpy as np, consilience as cs
        rng = np.random.default_rng(0)
        X = rng.standard_normal((3000, 8))
        cs.information_imbalance(X[:50], X[:50])
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (96 << 20),) * 2)
        try:
            cs.neighbors(rng.standard_normal((30_000, 64)), k=2000, n_threads=1,
                         max_memory=1 << 40)
        except MemoryError:
            print("fine")
    """)
    assert done.stdout.strip() == "fine", done.stderr


def test_read_only_and_memory_mapped_input(tmp_path, rng):
    X = rng.standard_normal((80, 6)).astype(np.float32)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    expected = cs.neighbors(X, k=4)
    assert_array_equal(cs.neighbors(mapped, k=4)[0], expected[0])
    X.flags.writeable = False
    assert_array_equal(cs.neighbors(X, k=4)[1], expected[1])
