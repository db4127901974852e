# `make demo` and `make test` do their own set-up; the rest is for development.
PYTHON ?= python3
TORCH := torch==2.13.0

TEST_BIN := .venv/bin
DEMO_BIN := .venv-demo/bin
SOURCES := $(shell find csrc -name '*.?pp' -o -name '*.cu' -o -name '*.cuh')
CORE := pyproject.toml CMakeLists.txt $(wildcard cmake/*) $(SOURCES) $(shell find python -name '*.py')

.PHONY: demo test test-models test-families test-peers faults fuzz lint format tables bench bench-targets bench-quick bench-peers bench-scaling bench-memory bench-approx bench-dask bench-million bench-instructions bench-data gpu gpu-rehearsal sanitize sanitize-all tsan leaks audit wheel clean

demo: .venv-demo/installed
	$(DEMO_BIN)/consilience demo $(if $(N),--n $(N)) -o demo

test: .venv/installed
	$(TEST_BIN)/python -m pytest

# The real models on a handful of molecules, in the environment of the demo.
test-models: .venv-demo/installed
	$(DEMO_BIN)/pip install --quiet pytest hypothesis sentencepiece
	$(DEMO_BIN)/python -m pytest tests/models tests/datasets tests/cli tests/study/analyses/test_maps.py

# The paper's own families on small random networks of theirs, each in an environment it can live in.
test-families:
	scripts/test_families.sh

# Other programs' own numbers. DADApy wants an older NumPy: it answers from an environment of its own.
test-peers: .venv-peers/installed
	CONSILIENCE_DADAPY_PYTHON=$(CURDIR)/.venv-dadapy/bin/python \
	.venv-peers/bin/python -m pytest tests/peers

# Killed at N random instants and at every sync and rename; full disks, reports, interrupts.
faults: .venv/installed
	CONSILIENCE_FAULTS=$(or $(N),200) $(TEST_BIN)/python -m pytest tests/faults

# Readers, plans and bindings on mutated input, a third of S seconds each.
S ?= 60
fuzz: .venv/installed
	$(TEST_BIN)/python -W ignore tests/fuzz/fuzz_readers.py --seconds $$(($(S)/3))
	$(TEST_BIN)/python -W ignore tests/fuzz/fuzz_plans.py --seconds $$(($(S)/3))
	$(TEST_BIN)/python tests/fuzz/fuzz_bindings.py --seconds $$(($(S)/3))

lint: .venv/linted
	$(TEST_BIN)/ruff check python tests bench scripts
	$(TEST_BIN)/ruff format --check python tests bench scripts
	$(TEST_BIN)/clang-format --dry-run --Werror $(SOURCES)
	$(TEST_BIN)/mypy
	$(TEST_BIN)/python scripts/metric_tables.py --check
	$(TEST_BIN)/python scripts/performance_page.py --check
	$(TEST_BIN)/python scripts/scaling_model.py --check

format: .venv/linted
	$(TEST_BIN)/ruff check --fix --quiet python tests bench scripts
	$(TEST_BIN)/ruff format --quiet python tests bench scripts
	$(TEST_BIN)/clang-format -i $(SOURCES)

tables: .venv/installed
	$(TEST_BIN)/python scripts/metric_tables.py
	$(TEST_BIN)/python scripts/performance_page.py
	$(TEST_BIN)/python scripts/scaling_model.py

bench: .venv/benched
	$(TEST_BIN)/python bench/run.py

# What the targets are judged by, alone: about nine minutes on two cores.
bench-targets: .venv/benched
	$(TEST_BIN)/python bench/run.py -k "bench_targets or bench_roofline"

bench-quick: .venv/benched
	$(TEST_BIN)/python bench/run.py --quick

bench-scaling bench-memory bench-approx bench-dask bench-million: bench-%: .venv/benched
	$(TEST_BIN)/python bench/run.py $*

# Other programs beside ours, DADApy from an environment of its own.
bench-peers: .venv-peers/benched
	CONSILIENCE_DADAPY_PYTHON=$(CURDIR)/.venv-dadapy/bin/python \
	.venv-peers/bin/python bench/run.py peers

# Needs valgrind; WRITE=--write keeps the counts.
bench-instructions: .venv/benched
	$(TEST_BIN)/python bench/instructions.py $(WRITE)

# Embeddings of real models for the benches, about 25 minutes.
bench-data: .venv-demo/installed
	$(DEMO_BIN)/python bench/real_data.py

# On a machine with a GPU, in the environment of $(PYTHON) and without a network: build, test,
# sanitize, measure. ONLY="build,benches" does some of it, OUT=folder keeps what is found.
gpu:
	$(PYTHON) scripts/gpu.py $(if $(ONLY),--only "$(ONLY)") $(if $(SKIP),--skip "$(SKIP)") \
	  $(if $(LIMIT),--time-limit $(LIMIT))

# The same script as far as a machine without a GPU can go; the kernels run on the CPU.
# SKIP=build takes what `make test` has built.
gpu-rehearsal: .venv/rehearsed
	PATH="$(CURDIR)/$(TEST_BIN):$$PATH" $(TEST_BIN)/python scripts/gpu.py --rehearse \
	  $(if $(ONLY),--only "$(ONLY)") $(if $(SKIP),--skip "$(SKIP)")

# The sanitizers' own builds, kept and only brought up to date.
SANITIZED = $(TEST_BIN)/pip install --quiet --no-build-isolation --no-deps --upgrade \
  --target build/$* -C build-dir=build/cmake-$* -C cmake.build-type=Release \
  -C cmake.define.CONSILIENCE_CUDA=OFF -C cmake.define.CONSILIENCE_SANITIZE=$*
SUITE = -m pytest -p no:cacheprovider
# Python is never told to give back all it holds: leaks are looked for by `make leaks`.
ADDRESS = LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libubsan.so)" \
  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
  UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 PYTHONPATH=build/address $(TEST_BIN)/python
# Without randomised addresses, which ThreadSanitizer's map of memory has no room for everywhere.
THREAD = LD_PRELOAD="$$(g++ -print-file-name=libtsan.so)" \
  TSAN_OPTIONS="suppressions=tests/tsan.supp ignore_noninstrumented_modules=1 exitcode=66 log_path=build/races" \
  PYTHONPATH=build/thread setarch -R $(TEST_BIN)/python $(SUITE)

build/%/sanitized: .venv/installed
	$(TEST_BIN)/pip install --quiet scikit-build-core pybind11
	$(SANITIZED) $(if $(filter address,$*),-C cmake.define.CONSILIENCE_EMULATOR=ON) .
	touch $@

# AddressSanitizer and UBSan over all that runs C++, GPU kernels on the CPU included; and over
# calls of the core with mutated arguments, for S seconds.
sanitize: build/address/sanitized
	$(ADDRESS) tests/fuzz/fuzz_bindings.py --countable --seconds $(S)
	$(ADDRESS) $(SUITE) -x tests/ops tests/metrics/test_golden.py tests/metrics/test_neighbors.py \
	  tests/metrics/test_sampled_rows.py tests/test_bad_input.py tests/test_threads.py tests/test_kernels.py

# Over the whole suite: an hour or more.
sanitize-all: build/address/sanitized
	$(ADDRESS) $(SUITE)

# ThreadSanitizer over everything from many threads, and over the kernels on threads of their own.
# What it finds is in build/races.*, and fails the target.
tsan: build/thread/sanitized
	rm -f build/races.*
	$(THREAD) tests/test_threads.py tests/ops tests/metrics -k "not array and not emulated" \
	  || { cat build/races.* 2>/dev/null; exit 1; }

# Memory that repeated calls of every op, right and wrong, do not give back.
leaks: .venv/installed
	$(TEST_BIN)/python scripts/leaks.py

# What is installed: whether it fits together, and whether a database knows of holes in it.
audit: .venv/linted
	$(TEST_BIN)/pip install --quiet pip-audit
	$(TEST_BIN)/pip check
	$(TEST_BIN)/pip-audit --local --skip-editable

wheel: .venv/linted
	$(TEST_BIN)/python -m build --outdir dist

clean:
	rm -rf .venv .venv-demo .venv-peers .venv-dadapy build dist

.venv/ready:
	$(PYTHON) -m venv .venv
	$(TEST_BIN)/pip install --quiet --upgrade pip
	$(TEST_BIN)/pip install --quiet $(TORCH)
	touch $@

.venv/installed: .venv/ready $(CORE)
	$(TEST_BIN)/pip install --quiet '.[test]' -C cmake.define.CONSILIENCE_WERROR=ON \
	  -C cmake.define.CONSILIENCE_EMULATOR=ON
	touch $@

.venv/linted: .venv/installed
	$(TEST_BIN)/pip install --quiet $$($(TEST_BIN)/python scripts/extra.py dev)
	touch $@

.venv/rehearsed: .venv/installed
	$(TEST_BIN)/pip install --quiet scikit-build-core pybind11 cmake ninja
	touch $@

.venv/benched: .venv/installed
	$(TEST_BIN)/pip install --quiet $$($(TEST_BIN)/python scripts/extra.py bench)
	touch $@

.venv-peers/installed: $(CORE)
	test -d .venv-dadapy || $(PYTHON) -m venv .venv-dadapy
	.venv-dadapy/bin/pip install --quiet dadapy
	test -d .venv-peers || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --upgrade pip
	.venv-peers/bin/pip install --quiet $(TORCH)
	.venv-peers/bin/pip install --quiet '.[test]' dcor hyppo scikit-dimension calibrated-similarity scikit-bio
	touch $@

.venv-peers/benched: .venv-peers/installed
	.venv-peers/bin/pip install --quiet '.[bench]' hnswlib usearch scikit-learn
	touch $@

.venv-demo/ready: python/consilience/models/nodeps.txt
	$(PYTHON) -m venv .venv-demo
	$(DEMO_BIN)/pip install --quiet --upgrade pip
	$(DEMO_BIN)/pip install --quiet $(TORCH)
	$(DEMO_BIN)/pip install --quiet --no-deps -r python/consilience/models/nodeps.txt
	touch $@

.venv-demo/installed: .venv-demo/ready $(CORE)
	$(DEMO_BIN)/pip install --quiet '.[models-heavy,study]'
	$(DEMO_BIN)/consilience models install unirep-64 unirep-256
	$(DEMO_BIN)/consilience datasets install mptrj random-tp pdb-chains
	touch $@
