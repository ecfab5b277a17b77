# Every target sets itself up: it needs uv, or a Python to get uv with.

PYTHON := .venv/bin/python
READY := .venv/.ready

.PHONY: help demo run test test-real test-account check lint format bench simulate fuzz crashes package import-times \
	stripe-webhook permissions docs pulumi-cli clean

help:
	@echo "make demo     the stories, told by the whole system on this machine"
	@echo "make run      serve the system on http://127.0.0.1:8400"
	@echo "make test     all tests"
	@echo "make test-real  what needs parts of other registries: Stripe's, AWS's, Pulumi's and JSONata's own; says what it"
	@echo "                could not get; half an hour, or one part: PART=stripe_mock, dynamodb_local, jsonata, pulumi"
	@echo "make test-account  what needs an account of Stripe or AWS, or a deployed stack; says what it was not given"
	@echo "make check    format, lint, types, tests"
	@echo "make bench    50, 200 and 500 bookings at once, with times and counts; N=50 is quick"
	@echo "make simulate N=2000  so many random histories; SEED=n is the first"
	@echo "make fuzz N=5000  so many requests that nobody should send"
	@echo "make crashes  every function dies at each call, every execution is stopped in each state; docs/crashes.md"
	@echo "make package  what Lambda is sent, into build/"
	@echo "make import-times  what a cold start of each function imports, in ms and MB"
	@echo "make stripe-webhook STACK=dev  make or mend the endpoint at Stripe; REPLACE=1 rotates its secret"
	@echo "make permissions  what every role may do and why, into docs/permissions.md"
	@echo "make docs     the diagrams and the OpenAPI document, from the code"
	@echo "make pulumi-cli  the Pulumi CLI: the one on the PATH, else built by Go; says where it is"
	@echo "make format   format and mend what the linter can"

demo: $(READY)
	$(PYTHON) -m local demo

run: $(READY)
	$(PYTHON) -m local

test: $(READY)
	$(PYTHON) -m pytest

# Pulumi leaves event loops and sockets open, which pytest finds when all tests are over.
test-real: $(READY)
	$(PYTHON) -m pytest tests/real $(if $(PART),-m "$(PART)") -W ignore::ResourceWarning \
		-W ignore::pytest.PytestUnraisableExceptionWarning

test-account: $(READY)
	$(PYTHON) -m pytest tests/account

check: lint test

lint: $(READY)
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m ruff check
	$(PYTHON) -m mypy .

format: $(READY)
	$(PYTHON) -m ruff format
	$(PYTHON) -m ruff check --fix

bench: $(READY)
	$(PYTHON) -m scripts.benchmark $(or $(N),50 200 500)

fuzz: $(READY)
	FUZZ_EXAMPLES=$(or $(N),5000) $(PYTHON) -m pytest -s tests/properties/fuzzing

crashes: $(READY)
	$(PYTHON) -W ignore -m tests.properties.crash_points.crash_table --write
	$(PYTHON) -W ignore -m tests.properties.crash_points.stops

simulate: $(READY)
	$(PYTHON) -W ignore -m tests.properties.simulation.run --histories $(or $(N),2000) --seed $(or $(SEED),1)

package: $(READY)
	$(PYTHON) -m scripts.package

import-times: $(READY)
	$(PYTHON) -m scripts.import_times

stripe-webhook: $(READY)
	$(PYTHON) -m scripts.stripe_endpoint $(or $(STACK),$(error give STACK=, as in pulumi stack ls)) $(if $(REPLACE),--replace)

pulumi-cli: $(READY)
	$(PYTHON) -m local.pulumi.automation

permissions: $(READY)
	WRITE_REPORT=1 $(PYTHON) -m pytest tests/infra/test_least_privilege.py

docs: $(READY)
	$(PYTHON) -m scripts.diagrams
	$(PYTHON) -m infra.openapi
	$(PYTHON) -m scripts.defects

clean:
	rm -rf .venv .uv build

$(READY): uv.lock pyproject.toml .python-version .ci/setup
	.ci/setup
	@touch $@
