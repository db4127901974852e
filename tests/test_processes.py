"""The engine among threads, forks, signals and other runtimes."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_info

import consilience as cs

# Python 3.12 warns of every fork beside threads, which is what is tried here.
FORKS = "ignore::DeprecationWarning"


def run(code, arguments=(), **options):
    return subprocess.run(
        [sys.executable, "-W", "error", "-W", FORKS, "-c", textwrap.dedent(code), *arguments],
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


# ---- children by every way there is --------------------------------------------------------

WORK = """
import numpy as np
import consilience as cs

def work(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((400, 12))
    Y = X[:, :5] + rng.standard_normal((400, 5))
    return (cs.cknna(X, Y, k=5, n_threads=2), cs.cka(X, Y, kernel="rbf", n_threads=2),
            cs.distance_correlation(X, Y, n_threads=2), cs.cka(X, Y))
"""
METHODS = ["fork", "forkserver", "spawn"]


def run_file(tmp_path, code, *arguments):
    """Run a program that children can import; what does not end in time is ended, children too."""
    path = tmp_path / "program.py"
    path.write_text(WORK + textwrap.dedent(code), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-W", FORKS, path, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # OpenBLAS hangs by itself if a process forks while several of its threads multiply.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    try:
        output, errors = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        pytest.fail("it hangs")
    assert output.strip() == "fine", errors


@pytest.mark.parametrize("method", METHODS)
def test_pools_of_processes(tmp_path, method):
    run_file(
        tmp_path,
        """
        import multiprocessing, sys, threading
        from concurrent.futures import ProcessPoolExecutor

        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            expected = [work(seed) for seed in range(6)]
            done = threading.Event()
            def busy():
                while not done.is_set():
                    work(99)
            threads = [threading.Thread(target=busy) for _ in range(2)]
            for thread in threads:
                thread.start()
            # Workers start while kernels run in other threads of the parent.
            with ProcessPoolExecutor(2, mp_context=context) as pool:
                found = list(pool.map(work, range(6)))
            done.set()
            for thread in threads:
                thread.join()
            assert found == expected
            assert [work(seed) for seed in range(6)] == expected
            print("fine")
        """,
        method,
    )


def test_forks_in_threads(tmp_path):
    run_file(
        tmp_path,
        """
        import os
        from concurrent.futures import ThreadPoolExecutor

        def forked(seed):
            before = work(seed)
            child = os.fork()
            if child == 0:
                os._exit(0 if work(seed) == before == work(seed) else 1)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        if __name__ == "__main__":
            with ThreadPoolExecutor(4) as pool:
                assert list(pool.map(forked, range(16))) == [0] * 16
            print("fine")
        """,
    )


@pytest.mark.parametrize("method", METHODS)
def test_workers_of_a_data_loader(tmp_path, method):
    pytest.importorskip("torch", reason="torch is not installed")
    run_file(
        tmp_path,
        """
        import sys, torch
        from torch.utils.data import DataLoader, Dataset

        class Scores(Dataset):
            def __len__(self):
                return 6
            def __getitem__(self, seed):
                return torch.tensor(work(seed), dtype=torch.float64)

        if __name__ == "__main__":
            expected = torch.tensor([work(seed) for seed in range(6)], dtype=torch.float64)
            (torch.randn(300, 300) @ torch.randn(300, 300)).sum()
            loader = DataLoader(Scores(), batch_size=2, num_workers=2,
                                multiprocessing_context=sys.argv[1])
            for turn in range(2):
                found = []
                for batch in loader:
                    work(0)
                    found.append(batch)
                assert torch.equal(torch.cat(found), expected)
            print("fine")
        """,
        method,
    )


def test_a_child_may_fork_again(tmp_path):
    run_file(
        tmp_path,
        """
        import os

        def generation(left, expected):
            child = os.fork()
            if child == 0:
                same = work(1) == expected
                os._exit(0 if same and (left == 0 or generation(left - 1, expected) == 0) else 1)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        if __name__ == "__main__":
            assert generation(3, work(1)) == 0
            print("fine")
        """,
    )


def test_a_fork_while_a_kernel_runs_leaves_blas_as_it_was():
    done = run("""
        import os, threading, numpy as np, consilience as cs
        from threadpoolctl import threadpool_info
        from consilience.backends._blas import one_blas_thread

        def limits():
            return [pool["num_threads"] for pool in threadpool_info()]

        X = np.random.default_rng(0).standard_normal((60, 4))
        expected, before = cs.cknna(X, X, k=5), limits()
        inside, leave = threading.Event(), threading.Event()

        def kernel():
            with one_blas_thread:
                inside.set()
                leave.wait(60)

        thread = threading.Thread(target=kernel)
        thread.start()
        assert inside.wait(60)
        child = os.fork()
        if child == 0:
            os._exit(0 if limits() == before and cs.cknna(X, X, k=5) == expected else 1)
        leave.set()
        thread.join()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert limits() == before
        print("fine")
    """)
    assert done.stdout.strip() == "fine", done.stderr


def test_every_long_op_answers_an_interrupt():
    done = run(
        """
        import os, signal, sys, threading, time
        sys.path.insert(0, sys.argv[1])
        import numpy as np
        from consilience.backends import Channel
        from consilience.terms import Graph
        from engine import native

        rng = np.random.default_rng(0)
        X = rng.standard_normal((120_000, 48), dtype=np.float32)
        wide = rng.standard_normal((40_000, 1000), dtype=np.float32)
        few = X[:12_000]
        lists = np.argsort(rng.random((12_000, 400)), axis=1) * 30  # different within a list
        far = Graph(lists, np.ones(lists.shape))
        turned = Graph(lists[:, ::-1].copy(), far.distances)
        draws = np.stack([rng.permutation(12_000) for _ in range(300)])
        ops = native(n_threads=2)
        calls = {
            "knn_exact": lambda: ops.knn_exact(X, k=10, distance="l2"),
            "knn_approx": lambda: ops.knn_approx(X, k=10, distance="l2", effort=64),
            "moments": lambda: list(ops.moments([wide] * 4, [(0, 1), (2, 3), (0, 0), (1, 1)])),
            "pair_terms, float32": lambda: ops.pair_terms([Channel(X)]),
            "pair_terms, float64": lambda: ops.pair_terms([Channel(X, "rbf", 99.0)]),
            "joint_nearest": lambda: ops.joint_nearest([X, X[:, ::-1].copy()], [(0, 1)]),
            "rank_counts": lambda: ops.rank_counts(X, [Graph(np.roll(np.arange(len(X)), 1)[:, None],
                                                   np.ones((len(X), 1)))], [1]),
            "list_terms": lambda: ops.list_terms(far, turned, lcs=True, edit=True),
            "list_draws": lambda: ops.list_draws(far, turned, draws, lcs=True, edit=True),
            "mantel_draws": lambda: ops.mantel_draws([far, turned], [None, None], [(0, 1)], draws),
        }
        slow = {}
        for name, call in calls.items():
            sent = []
            def interrupt():
                sent.append(time.monotonic())
                os.kill(os.getpid(), signal.SIGINT)
            timer = threading.Timer(0.7, interrupt)
            timer.start()
            try:
                call()
                slow[name] = "was over before"
            except KeyboardInterrupt:
                took = time.monotonic() - sent[0]
                if took > LIMIT:
                    slow[name] = took
            try:
                timer.join()
            except KeyboardInterrupt:
                pass
            assert ops.knn_exact(few[:50], k=2, distance="l2").k == 2
        print(slow or "fine")
        """.replace("LIMIT", "4.0"),  # a loaded machine delays all of it
        arguments=[str(Path(__file__).parent)],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert done.stdout.strip() == "fine", done.stdout + done.stderr
