# Every target sets up .venv first; that needs uv, or a Python to install uv with.

PYTHON := .venv/bin/python
READY := .venv/.ready

.PHONY: help demo run test test-production test-real test-account test-browser check lint format bench bench-pages \
	bench-list bench-reconciler simulate fuzz mutants screenshots crashes package import-times stripe-webhook operator \
	smoke stop-executions ledger erase recover prune-versions permissions docs pulumi-cli clean

define HELP
Run it on this machine
  make demo            play every scenario and check how it ends (30 seconds)
  make run             serve shop, console and API on http://127.0.0.1:8400
                       until Ctrl-C

Check a change
  make check           lint and test: what a change must pass
  make lint            check format, code style, types, vocabulary, workflows,
                       and what AWS accepts of the resources
  make format          format the code and fix what the linter can fix
  make test            run all tests that need nothing but Python

Test more
  make test-production run the end-to-end tests with the configuration of
                       Pulumi.prod.yaml: the stack's own key, protection, WAF
                       (two minutes)
  make test-real       run the tests that use real tools: the Pulumi engine,
                       DynamoDB Local, stripe-mock, JSONata, MiniStack,
                       event-ruler, asl-validator (half an hour);
                       PART=ministack, for example, selects one: pulumi,
                       guide, dynamodb_local, stripe_mock, jsonata, ministack,
                       event_ruler, asl_validator, clients, runbook
  make test-browser    use the shop and the console in Chromium, at two widths,
                       light and dark; needs Node and, but for Debian's root,
                       Chromium
  make test-account    run the tests that use your Stripe or AWS account and
                       deploy nothing; each says which variable it needs
  make simulate        run 2000 random histories; N=100 changes their number,
                       SEED=7 the first one
  make fuzz            send 5000 malformed requests; N=100 changes the number
  make mutants         plant 360 faults, one after the other, and list those
                       that no test notices (an hour); N=100 changes how many
                       are generated, SEED=7 which
  make crashes         crash every function at each of its calls and stop
                       executions in each state; writes docs/crashes.md
  make bench           time 50, 200 and 500 simultaneous bookings; N=50 is
                       quick, WRITE=1 counts for docs/costs.md;
                       SCALE=day plays a day of 5,000 bookings under the quotas
                       of AWS and Stripe (16 minutes), with HALVED=1 under half
                       of them; N=500 changes their number, WRITE=1 keeps the
                       result for docs/scale.md
  make bench-pages     time and weigh the console's pages, with 2,000 bookings
  make bench-list      read the list of 2,000 payments with each filter and
                       search, while others arrive

Deploy
  make bench-ledger    reconcile days of 200, 2,000 and 20,000 transactions
  make bench-reconciler    count the calls of a run of the reconciler among 200,
                       2,000 and 20,000 payments
  make package         build the archives for Lambda, in build/
  make import-times    measure what a cold start imports, in ms and MB
  make stripe-webhook  create or fix the webhook endpoint at Stripe; needs
                       STACK=dev; REPLACE=1 rotates its secret
  make operator        create an operator's user; needs STACK=dev and
                       EMAIL=ada@example.com
  make smoke           check a deployed stack and what only AWS and Stripe can
                       answer; needs STACK=dev
  make ledger          compare DAY of STACK's ledger with Stripe's balance
  make erase           erase what STACK stores about CUSTOMER, but not its books
  make recover         bring a stack up to date after a restore of its tables;
                       needs STACK=dev and SINCE=2026-11-28T09:30:00Z;
                       PLAN=1 says what it would do, and changes nothing
  make stop-executions stop what runs in a stack before pulumi destroy; needs
                       STACK=dev; YES=1 answers the question
  make prune-versions  delete versions of functions that no execution can need;
                       needs STACK=dev
  make pulumi-cli      find the Pulumi CLI, or build it with Go

Generate
  make docs            write the diagrams (needs Node), the OpenAPI document,
                       the list of defects, the configuration reference and
                       the costs and the scale
  make screenshots     write docs/screenshots/ with Chromium
  make permissions     write docs/permissions.md: what each role may do, and why

  make clean           delete .venv, .uv and build
endef
export HELP

help:
	@echo "$$HELP"

demo: $(READY)
	$(PYTHON) -m local demo

run: $(READY)
	$(PYTHON) -m local

test: $(READY)
	$(PYTHON) -m scripts.run_tests

test-production: $(READY)
	$(PYTHON) -m pytest tests/e2e --production

# Pulumi leaves event loops and sockets open, which pytest reports after the last test. Some tests take minutes.
test-real: $(READY)
	$(PYTHON) -m pytest tests/real $(if $(PART),-m "$(PART)") -o faulthandler_timeout=1800 -W ignore::ResourceWarning \
		-W ignore::pytest.PytestUnraisableExceptionWarning

test-browser: $(READY)
	.ci/browser
	$(PYTHON) -m pytest tests/browser

test-account: $(READY)
	$(PYTHON) -m pytest tests/account

check: lint test

lint: $(READY)
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m ruff check
	$(PYTHON) -m mypy .
	$(PYTHON) -m scripts.check_vocabulary
	$(PYTHON) -m scripts.check_workflows
	$(PYTHON) -m scripts.check_resources

format: $(READY)
	$(PYTHON) -m ruff format
	$(PYTHON) -m ruff check --fix

bench: $(READY)
ifeq ($(SCALE),day)
	$(PYTHON) -W ignore -m scripts.day_at_scale $(N) $(if $(HALVED),--halved) $(if $(WRITE),--write)
else
	$(PYTHON) -m scripts.benchmark $(or $(N),50 200 500)
	$(if $(WRITE),$(PYTHON) -m scripts.booking_counts)
endif

bench-ledger: $(READY)
	$(PYTHON) -m scripts.ledger_benchmark

bench-reconciler: $(READY)
	$(PYTHON) -m scripts.reconciler_benchmark

bench-pages: $(READY)
	.ci/browser
	$(PYTHON) -m scripts.page_benchmark

bench-list: $(READY)
	$(PYTHON) -m scripts.list_benchmark

screenshots: $(READY)
	.ci/browser
	$(PYTHON) -m pytest tests/browser/test_screenshots.py --screenshots

fuzz: $(READY)
	FUZZ_EXAMPLES=$(or $(N),5000) $(PYTHON) -m pytest -s tests/properties/fuzzing

mutants: $(READY)
	$(PYTHON) -W ignore -m tests.mutants.plant_faults --number $(or $(N),240) --seed $(or $(SEED),1)

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
	$(PYTHON) -m scripts.stripe_endpoint $(or $(STACK),$(error give the stack, for example STACK=dev)) \
		$(if $(REPLACE),--replace)

operator: $(READY)
	$(PYTHON) -m scripts.create_operator $(or $(STACK),$(error give the stack, for example STACK=dev)) \
		$(or $(EMAIL),$(error give the address, for example EMAIL=ada@example.com))

smoke: $(READY)
	$(PYTHON) -m scripts.smoke $(or $(STACK),$(error give the stack, for example STACK=dev))

stop-executions: $(READY)
	$(PYTHON) -m scripts.stop_executions $(or $(STACK),$(error give the stack, for example STACK=dev)) \
		$(if $(YES),--yes)

ledger: $(READY)
	$(PYTHON) -m scripts.reconcile_day $(or $(STACK),$(error give the stack, for example STACK=dev)) \
		$(or $(DAY),$(error give the day, for example DAY=2026-11-27))

erase: $(READY)
	$(PYTHON) -m scripts.erase_customer $(STACK) $(CUSTOMER)

recover: $(READY)
	$(PYTHON) -m scripts.recover $(or $(STACK),$(error give the stack, for example STACK=dev)) \
		$(or $(SINCE),$(error give the moment of the restore, for example SINCE=2026-11-28T09:30:00Z)) \
		$(if $(PLAN),--plan)

prune-versions: $(READY)
	$(PYTHON) -m scripts.prune_versions $(or $(STACK),$(error give the stack, for example STACK=dev))

pulumi-cli: $(READY)
	$(PYTHON) -m local.pulumi.automation

permissions: $(READY)
	WRITE_REPORT=1 $(PYTHON) -m pytest tests/infra/test_least_privilege.py

docs: $(READY)
	$(PYTHON) -m scripts.diagrams
	$(PYTHON) -m infra.openapi
	$(PYTHON) -m scripts.defects
	$(PYTHON) -m scripts.deployer_policy
	$(PYTHON) -m scripts.configuration
	$(PYTHON) -m scripts.event_schemas
	$(PYTHON) -m scripts.costs
	$(PYTHON) -m scripts.scale

clean:
	rm -rf .venv .uv build

$(READY): uv.lock pyproject.toml .python-version .ci/setup
	.ci/setup
	@touch $@
