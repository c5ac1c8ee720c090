# `make html` builds the site, `make test` checks it, `make` lists the rest. Both make the environment
# in .venv first; it is made again when requirements.txt changes, or when it was interrupted.

ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN := .venv/Scripts
else
PYTHON ?= python3
BIN := .venv/bin
endif
OPTIONS := -c . --jobs auto --nitpicky --quiet

# The user's own settings of Python and pip stay out, except where packages come from. A pip.conf may say "user".
SOURCES := CACHE_DIR CERT CLIENT_CERT CONFIG_FILE EXTRA_INDEX_URL FIND_LINKS INDEX_URL NO_INDEX PROXY TRUSTED_HOST
unexport $(filter-out $(SOURCES:%=PIP_%),$(filter PYTHON% PIP_%,$(.VARIABLES)))
export PIP_USER := 0

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help html pdf test check live bench mutants experiments linkcheck clean environment

help:
	@echo "make html        build the executed site into _build/html"
	@echo "                 (with a Pyodide of your own to run cells: make html PYODIDE=<folder or address>)"
	@echo "make pdf         print the whole site as one book, _build/rnn-notes.pdf (needs Chromium or Chrome)"
	@echo "make test        build the site, then run the unit tests, the examples and the page checks"
	@echo "make check       the same with all that takes long: every state of a build, every mode of a page"
	@echo "make live        serve the site, rebuild and reload on every save"
	@echo "make bench       time the package beside bare matrix products, and PyTorch if installed"
	@echo "make mutants     change the numerics in thousands of ways, and see that a test notices (an hour)"
	@echo "make experiments do the long runs of the experiments page again (half an hour or more)"
	@echo "                 (on a Dask cluster: make experiments SCHEDULER=tcp://address:8786)"
	@echo "make linkcheck   try every outside link (needs the internet)"
	@echo "make clean       delete what was built; the environment in .venv stays"
	@echo "make help        this list"
	@echo "Another Python: rm -r .venv, then make html PYTHON=python3.13"

# -I and -X utf8: nothing of the user's own Python settings; build.py keeps the other variables out.
html: environment
	@"$(BIN)/python" -I -X utf8 docs/_extensions/build.py $(OPTIONS) --fail-on-warning

pdf: html
	@"$(BIN)/python" -I -X utf8 docs/_extensions/book.py

# As many tests, or changes, at once as there are processors: more than one thread each takes three times as long.
ONE_THREAD := OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS VECLIB_MAXIMUM_THREADS
$(foreach name,$(ONE_THREAD),$(eval test check mutants: export $(name) := 1))

test: TESTS := -m "not deep"
test check: html
	@"$(BIN)/python" -m ruff check --quiet .
	@"$(BIN)/python" -m ruff format --check --quiet .
	@"$(BIN)/python" -m pytest --quiet --numprocesses auto --dist loadgroup $(TESTS)

live: environment
	@rm -rf _build/live
	@"$(BIN)/python" -m sphinx_autobuild $(OPTIONS) -D content_security_policy=0 -d _build/live/doctrees \
		--watch rnn_notes --watch conf.py --re-ignore __pycache__ --open-browser docs _build/live/html

bench: environment
	@"$(BIN)/python" -m pytest --quiet --benchmark-columns=min,median,ops --benchmark-sort=name tests/bench_*.py

# mutmut forks, so not on Windows.
mutants: environment
	@"$(BIN)/python" -m pip --disable-pip-version-check install --quiet mutmut==3.8.1
	@"$(BIN)/python" tests/mutants.py $(MUTANTS)

experiments: environment
	@"$(BIN)/python" docs/_experiments.py $(if $(SCHEDULER),--scheduler "$(SCHEDULER)")

linkcheck: environment
	@"$(BIN)/python" -m sphinx $(OPTIONS) --builder linkcheck -d _build/linkcheck/doctrees docs _build/linkcheck

clean:
	rm -rf _build mutants .pytest_cache .hypothesis .benchmarks .ruff_cache

# .venv/ready repeats what the environment was made from; it is written last, .venv/requirements after the
# download, so that a moved clone or another pyproject.toml needs no network. Python itself may have gone (-x).
environment:
	@[ -x "$(BIN)/python" ] && [ "$$(pwd; cat requirements.txt pyproject.toml)" = "$$(cat .venv/ready 2>&1)" ] && exit; \
	say() { echo "rnn-notes: $$*" >&2; exit 1; }; \
	[ -x "$(BIN)/python" ] && [ "$$(grep -v -e '^#' requirements.txt)" = "$$(cat .venv/requirements 2>&1)" ] || { \
		$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null \
			|| say "Python 3.11 or newer is needed, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | grep ^Python || echo missing); install one and name it: make html PYTHON=python3.13"; \
		echo "Making the environment in .venv (once; a minute or so)"; \
		rm -rf .venv; \
		$(PYTHON) -m venv .venv >/dev/null 2>&1 \
			|| say "Python's venv module does not work here; install it (Debian, Ubuntu: apt install python3-venv), then run make again"; \
		"$(BIN)/python" -m pip --disable-pip-version-check install --quiet --retries 1 --require-hashes --requirement requirements.txt >.venv/install.log 2>&1 \
			|| say "the packages could not be installed; check the connection to the package index, then run make again (pip's own words are in .venv/install.log)"; \
		grep -v -e '^#' requirements.txt >.venv/requirements; }; \
	rm -f .venv/ready; \
	"$(BIN)/python" -m pip --disable-pip-version-check install --quiet --no-index --no-deps --no-build-isolation --editable . >.venv/install.log 2>&1 \
		|| say "the package could not be installed; see .venv/install.log"; \
	{ pwd; cat requirements.txt pyproject.toml; } >.venv/ready
