# `make demo` and `make test` are all that a fresh machine needs; `make help` lists the rest.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# A CPU-only torch saves gigabytes on Linux: make demo PIP_OPTIONS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_OPTIONS ?=
DEMO ?= runs/demo
OPPONENTS ?= runs/opponents
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo check test lint reproduce accuracy bench soak scale handwriting opponents ablation notebook web parity docs clean

help: ## list what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.train ## install, train a recipe, measure it, read a picture, say where the report lies
	@$(BIN)/python demo.py $(DEMO)

check: lint $(VENV)/.dev ## lint, types and the quick tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow"

test: lint $(VENV)/.dev ## lint, types and all tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(VENV)/.dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

reproduce: $(VENV)/.train ## all reference recipes over three seeds, and with one change each -> docs/results.md, docs/reference-systems.md (an hour)
	$(BIN)/inkdigits reproduce --seeds 3 --write
	$(BIN)/python -m benchmarks.training.frontier --write docs/challenge.md
	$(BIN)/python -m benchmarks.training.reference_page --write docs
	$(BIN)/python -m benchmarks.reading.live_figures --write docs/figures
	$(BIN)/python -m benchmarks.first_screen --write

accuracy: $(VENV)/.train ## our own recipes over ten seeds -> docs/accuracy.md, docs/errors.md (hours; stop and go on, or start it twice)
	$(BIN)/inkdigits reproduce nano micro tiny robust residual best --seeds 10 --write
	$(BIN)/inkdigits reproduce teachers ensemble --seeds 2 --write
	$(BIN)/python -m benchmarks.training.accuracy runs/reproduce --write docs/accuracy.md
	$(BIN)/python -m benchmarks.training.errors runs/reproduce/ensemble-seed0 --others runs/reproduce/best-seed* --write docs/errors.md
	$(BIN)/python -m benchmarks.training.splits --write docs/how-it-works/data.md

bench: $(VENV)/.bench ## speed against other programs and frameworks -> docs/benchmarks.md (hours for all seeds, which are kept; a quiet machine)
	$(BIN)/inkdigits reproduce fast-99.0 fast-99.3 --seeds 30
	$(BIN)/inkdigits reproduce fast-99.5 --seeds 10
	$(BIN)/inkdigits reproduce fast-99.7 --seeds 5
	$(BIN)/python -m benchmarks.training.reference_style --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.reading.startup --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.reading.inference --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.reading.backends --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.training.ladder --write docs/benchmarks.md

handwriting: $(VENV)/.train ## pages, real pictures where they are, beside other readers, and what reading promises -> docs (an hour and more)
	$(BIN)/python -m benchmarks.handwriting --opponent-python $(OPPONENTS)/bin/python --write docs/handwriting.md
	$(BIN)/python -m benchmarks.reading.promises --write docs/reading.md
	$(BIN)/python -m benchmarks.reading.sheets --write docs
	$(BIN)/python -m benchmarks.reading.table_photos --write docs
	$(BIN)/python -m benchmarks.reading.field_tables --write docs
	$(BIN)/python -m benchmarks.reading.collected --write docs/train-your-own.md
	$(BIN)/python -m benchmarks.first_screen --write

opponents: ## what handwriting compares with: RapidOCR in an environment of its own (Tesseract: apt-get install tesseract-ocr)
	test -x $(OPPONENTS)/bin/python || $(PYTHON) -m venv $(OPPONENTS)
	$(OPPONENTS)/bin/python -m pip install --quiet rapidocr onnxruntime

soak: $(VENV)/.soak ## hostile clients, files and mirrors, kills, full disks -> docs/reliability.md (a good hour, on a quiet machine)
	$(BIN)/python -m benchmarks.soak.service --write docs/reliability.md
	$(BIN)/python -m benchmarks.soak.dear --write docs/reliability.md
	$(BIN)/python -m benchmarks.soak.strangers --write docs/reliability.md
	$(BIN)/python -m benchmarks.soak.training --write docs/reliability.md
	$(BIN)/python -m benchmarks.soak.downloads --write docs/reliability.md
	$(BIN)/python -m benchmarks.soak.inputs --write docs/reliability.md

scale: $(VENV)/.scale $(VENV)/.train ## a million digits on a Ray cluster of two workers -> docs/scale.md (a quarter of an hour)
	$(BIN)/python -m benchmarks.scale.cluster --write docs/scale.md

ablation: $(VENV)/.train ## what each technique is worth -> docs/ablation.json (half an hour; stop and go on as you like)
	$(BIN)/python -m benchmarks.training.ablation --write docs/ablation.json

notebook: $(VENV)/.dev ## run the notebooks again and keep their outputs (about ten minutes)
	$(BIN)/python docs/execute.py notebooks/*.ipynb

web: $(VENV)/.serve ## the static site that reads in the browser -> build/web (npm brings ONNX Runtime's 25 MB)
	$(BIN)/inkdigits web --out build/web
	@echo "Look at it: $(BIN)/python -m http.server --directory build/web"

parity: $(VENV)/.dev ## do browser and Python read alike, how fast, how large -> docs/browser.md (half an hour)
	$(BIN)/python -m benchmarks.reading.browser_speed --write docs/browser.md
	$(BIN)/python -m benchmarks.reading.parity --write docs/browser.md

docs: export NO_MKDOCS_2_WARNING = 1 # says where the tool is going; docs/decisions.md does, too
docs: $(VENV)/.docs ## the documentation site -> build/site (half a minute; strict: no warning, no dead link)
	$(BIN)/python docs/assemble.py
	$(BIN)/mkdocs build
	$(BIN)/inkdigits web --out build/site/try || echo "The site has no page to try it on."
	@echo "Look at it: $(BIN)/python -m http.server --directory build/site"

clean: ## remove what was made here, but no data and no runs
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

# One stamp an extra: the environment is made once, and again when what it should hold has changed.
$(VENV)/.%: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_OPTIONS) --constraint constraints.txt --editable '.[$*]'
	@touch $@
