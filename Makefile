# chatconf. `make` lists the targets.

GO       ?= go
FUZZTIME ?= 10s
LDFLAGS  := -s -w
FUNCTIONS := $(notdir $(wildcard functions/*))

.DEFAULT_GOAL := help
.PHONY: help run test check bench build clean format vet lint race allocs fuzz e2e

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: ## start the service on one file (.chatconf) and print a first call
	$(GO) run ./deploy/chatconf serve

test: ## pass every test that needs only Go
	$(GO) test ./...
	$(GO) test -count=1 ./functions # it builds programs, which the test cache does not see

check: format vet lint race allocs e2e fuzz ## everything that CI checks

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

e2e: ## black-box tests through the official clients
	cd deploy/e2e && $(GO) test -race -count=1 ./...

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
