# `make demo` and `make test` do their own set-up; the rest is for development.
PYTHON ?= python3
TORCH := torch==2.13.0

TEST_BIN := .venv/bin
DEMO_BIN := .venv-demo/bin
SOURCES := $(shell find csrc -name '*.?pp' -o -name '*.cu' -o -name '*.cuh')
CORE := pyproject.toml CMakeLists.txt $(wildcard cmake/*) $(SOURCES) $(shell find python -name '*.py')

.PHONY: demo test test-models test-families test-peers faults lint format tables bench bench-targets bench-quick bench-peers bench-scaling bench-memory bench-approx bench-instructions bench-data gpu gpu-rehearsal sanitize wheel clean

demo: .venv-demo/installed
	$(DEMO_BIN)/consilience demo $(if $(N),--n $(N)) -o demo

test: .venv/installed
	$(TEST_BIN)/python -m pytest

# The real models on a handful of molecules, in the environment of the demo.
test-models: .venv-demo/installed
	$(DEMO_BIN)/pip install --quiet pytest hypothesis sentencepiece
	$(DEMO_BIN)/python -m pytest tests/models tests/datasets tests/cli tests/store tests/study/analyses/test_maps.py

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

lint: .venv/linted
	$(TEST_BIN)/ruff check python tests bench scripts
	$(TEST_BIN)/ruff format --check python tests bench scripts
	$(TEST_BIN)/clang-format --dry-run --Werror $(SOURCES)
	$(TEST_BIN)/mypy
	$(TEST_BIN)/python scripts/metric_tables.py --check
	$(TEST_BIN)/python scripts/performance_page.py --check

format: .venv/linted
	$(TEST_BIN)/ruff check --fix --quiet python tests bench scripts
	$(TEST_BIN)/ruff format --quiet python tests bench scripts
	$(TEST_BIN)/clang-format -i $(SOURCES)

tables: .venv/installed
	$(TEST_BIN)/python scripts/metric_tables.py
	$(TEST_BIN)/python scripts/performance_page.py

bench: .venv/benched
	$(TEST_BIN)/python bench/run.py

# What the targets are judged by, alone: about nine minutes on two cores.
bench-targets: .venv/benched
	$(TEST_BIN)/python bench/run.py -k "bench_targets or bench_roofline"

bench-quick: .venv/benched
	$(TEST_BIN)/python bench/run.py --quick

bench-scaling bench-memory bench-approx: bench-%: .venv/benched
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

# AddressSanitizer and UBSan over the tests of the ops and metrics, GPU kernels on the CPU included.
sanitize: .venv/installed
	$(TEST_BIN)/pip install --quiet scikit-build-core pybind11
	$(TEST_BIN)/pip install --quiet --no-build-isolation --no-deps --target build/sanitized --upgrade \
	  -C cmake.define.CONSILIENCE_SANITIZE=ON -C cmake.define.CONSILIENCE_CUDA=OFF \
	  -C cmake.define.CONSILIENCE_EMULATOR=ON \
	  -C cmake.build-type=Debug .
	LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	PYTHONPATH=build/sanitized $(TEST_BIN)/python -m pytest -p no:cacheprovider \
	  tests/ops tests/metrics/test_golden.py tests/metrics/test_neighbors.py

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
	$(TEST_BIN)/pip install --quiet '.[dev]'
	touch $@

.venv/rehearsed: .venv/installed
	$(TEST_BIN)/pip install --quiet scikit-build-core pybind11 cmake ninja
	touch $@

.venv/benched: .venv/installed
	$(TEST_BIN)/pip install --quiet '.[bench]'
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
