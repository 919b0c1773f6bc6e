# chatconf. `make` lists the targets.

GO       ?= go
FUZZTIME ?= 10s
LDFLAGS  := -s -w
FUNCTIONS := $(notdir $(wildcard functions/*))

.DEFAULT_GOAL := help
.PHONY: help run test check bench build clean format vet lint race allocs fuzz e2e moto
.NOTPARALLEL: # the parts of check need .venv, and the machine, for themselves

# Under check and e2e the tests find moto's server, and fail without it.
check e2e: export CHATCONF_MOTO_SERVER := $(CURDIR)/.venv/bin/moto_server
check e2e: export CHATCONF_REQUIRE_EXTERNAL := 1

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: ## start the service on one file (.chatconf) and print a first call
	$(GO) run ./deploy/chatconf serve

test: ## pass every test that needs only Go
	$(GO) test ./...
	$(GO) test -count=1 ./functions # it builds programs, which the test cache does not see
	$(GO) test -count=1 -run 'TestWhatIsLinked|TestProtobufStaysOld' ./shared/table/tablestore # so do these

check: moto format vet lint race allocs e2e fuzz ## everything that CI checks

format: ## fail when gofmt would change a file
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi

vet: ## go vet
	$(GO) vet ./...
	cd deploy/e2e && $(GO) vet ./...

lint: ## staticcheck
	$(GO) tool staticcheck ./...

race: ## make test, with the race detector
	$(MAKE) test GO="$(GO)" GOFLAGS="$(GOFLAGS) -race"

allocs: ## the allocation budgets, which the race detector would falsify
	$(GO) test -count=1 -run Allocates ./shared/...

e2e: moto ## black-box tests through the official clients, on every store
	cd deploy/e2e && CHATCONF_E2E_STORE=file $(GO) test -race -count=1 ./...
	cd deploy/e2e && CHATCONF_E2E_STORE=tablestore $(GO) test -race -count=1 ./...
	cd deploy/e2e && CHATCONF_E2E_STORE=dynamodb $(GO) test -race -count=1 ./...

moto: .venv/bin/moto_server ## make .venv with moto's server, which stands in for DynamoDB in tests (needs Python 3)
	@:

.venv/bin/moto_server: deploy/requirements.txt
	@rm -rf .venv
	@python3 -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r deploy/requirements.txt || { rm -rf .venv; exit 1; }
	@touch $@ # newer than what it was made from

fuzz: ## run every fuzz target for FUZZTIME
	@./deploy/fuzz.sh $(FUZZTIME)

bench: ## benchmarks; figures are ratios within one run
	$(GO) test -run '^$$' -bench . -benchmem ./...

build: ## build every function and the command-line tool into dist/
	@mkdir -p dist/local
	@for f in $(FUNCTIONS); do \
		echo "dist/local/$$f"; \
		CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o dist/local/$$f ./functions/$$f || exit 1; \
	done
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o dist/chatconf ./deploy/chatconf

clean: ## remove what was built; data directories stay
	rm -rf dist
