# Finds a Python and hands over to tools/setup.py, which does the work and runs without make, too.
# Plain make: macOS's 3.81 is new enough.
#
#   PYTHON=/path/to/python3   the Python to use instead of the newest one found
#   LAB="--port=9999"         further arguments for JupyterLab
#   ARGS="-k doctor"          further arguments for pytest (make unit)

COURSE = \
	if [ -n "$$PYTHON" ]; then set -- "$$PYTHON"; \
	else set -- python3.13 python3.12 python3.11 python3.10 python3 python; fi; \
	for python do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; \
		then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "The course needs Python 3.10 or newer (tried: $$*): install one from" \
			"https://www.python.org/downloads/ or name yours: make lab PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	exec "$$found" tools/setup.py

.PHONY: help lab setup test unit bench site colab-check badges clean

help:
	@echo "make lab          set up and open the course in JupyterLab (start here)"
	@echo "make test         check everything: style, unit tests, every notebook and its cost"
	@echo "make unit         the style and the unit tests alone        [ARGS=\"-k doctor\"]"
	@echo "make setup        set up alone: .venv with the pinned versions"
	@echo "make bench        measure beside other tools, write BENCHMARKS.md"
	@echo "make site         run the course and export it as HTML into site/"
	@echo "make colab-check  install and run the course among Google Colab's versions"
	@echo "make badges       write your fork's address into every notebook"
	@echo "                  [REPO=owner/name BRANCH=main]"
	@echo "make clean        remove the environments and what was built"

lab:
	@$(COURSE) lab $(LAB)

setup:
	@$(COURSE) setup

test:
	@$(COURSE) test

unit:
	@$(COURSE) unit $(ARGS)

bench:
	@$(COURSE) bench

site:
	@$(COURSE) run tools/build_site.py

colab-check:
	@$(COURSE) run tools/colab_check.py

badges:
	@$(COURSE) run tools/badges.py $${REPO:+--repo "$$REPO"} $${BRANCH:+--branch "$$BRANCH"}

clean:
	rm -rf .venv .venv-bench .venv-colab .pytest_cache .ruff_cache .hypothesis build dist site
