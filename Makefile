# chatconf. `make` lists the targets.

GO       ?= go
FUZZTIME ?= 10s
FUNCTIONS   ?= ./functions/...
# A function speaks HTTP/1.1 to its runtime, its table and its key service: without HTTP/2 it is half a megabyte smaller.
TAGS_FC     := fc,nethttpomithttp2
TAGS_LAMBDA := lambda,lambda.norpc,nethttpomithttp2

# How programs are built for people and clouds. Nothing of this machine or its git goes into functions: the same source gives the same bytes.
BUILD := CGO_ENABLED=0 GOFLAGS= GOAMD64=v1 GOARM64=v8.0 $(GO) build -trimpath -buildvcs=false -ldflags "-s -w"

.DEFAULT_GOAL := help
.PHONY: help run tool test check bench build zips generate templates clean format vet lint race allocs fuzz e2e moto peers
.NOTPARALLEL: # the parts of check need .venv, and the machine, for themselves

# Under check and e2e the tests find moto's server and the peers, and fail without them.
check e2e: export CHATCONF_MOTO_SERVER := $(CURDIR)/.venv/bin/moto_server
check e2e: export CHATCONF_PEERS := $(CURDIR)/deploy/peers
check e2e: export CHATCONF_REQUIRE_EXTERNAL := 1
check e2e: export CHATCONF_E2E_SCREENSHOTS := $(CURDIR)/dist/screenshots
check e2e: export PATH := $(CURDIR)/deploy/peers/bin:$(PATH)

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

# go run would have failed when Ctrl-C ends the service.
run: tool ## start the service on one file (.chatconf) and print a first call; ARGS are flags of 'chatconf serve'
	exec dist/chatconf serve $(ARGS)

tool: ## build the command-line tool, dist/chatconf
	$(BUILD) -buildvcs=auto -o dist/chatconf ./deploy/chatconf # with the revision, for 'chatconf version'

test: ## pass every test that needs only Go
	$(GO) test -skip '^TestBuilds' ./...
	$(GO) test -count=1 ./functions ./deploy # they build programs, which the test cache does not see
	$(GO) test -count=1 -run 'TestWhatIsLinked|TestProtobufStaysOld' ./shared/table/tablestore # so do these

check: moto peers format vet lint templates race allocs e2e fuzz ## everything that CI checks

format: ## fail when gofmt would change a file
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi

vet: ## go vet, for every target
	$(GO) vet ./...
	$(GO) vet -tags $(TAGS_FC) ./...
	$(GO) vet -tags $(TAGS_LAMBDA) ./...
	cd deploy/e2e && $(GO) vet ./...

lint: ## staticcheck, for every target
	$(GO) tool staticcheck ./...
	$(GO) tool staticcheck -tags $(TAGS_FC) ./...
	$(GO) tool staticcheck -tags $(TAGS_LAMBDA) ./...

race: ## make test, with the race detector
	$(MAKE) test GO="$(GO)" GOFLAGS="$(GOFLAGS) -race"

allocs: ## the allocation budgets, which the race detector would falsify
	$(GO) test -count=1 -run Allocates ./shared/...

e2e: moto peers zips ## black-box tests through the official clients: one process on a file, and the functions of both clouds as they are deployed
	cd deploy/e2e && CHATCONF_E2E_STORE=file $(GO) test -race -count=1 -timeout 20m ./...
	cd deploy/e2e && CHATCONF_E2E_TARGET=fc CHATCONF_E2E_DIST=$(CURDIR)/dist $(GO) test -race -count=1 -timeout 20m ./...
	cd deploy/e2e && CHATCONF_E2E_TARGET=lambda CHATCONF_E2E_DIST=$(CURDIR)/dist $(GO) test -race -count=1 -timeout 20m ./...

moto: .venv/bin/moto_server ## make .venv with moto's server, which stands in for DynamoDB, the tools for template.yml, Python's official clients, and schemathesis (needs Python 3)
	@:

.venv/bin/moto_server: deploy/requirements.txt
	@rm -rf .venv
	@python3 -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r deploy/requirements.txt || { rm -rf .venv; exit 1; }
	@touch $@ # newer than what it was made from

peers: deploy/peers/node_modules deploy/peers/api/lib deploy/peers/ots/java/lib deploy/peers/bin/aws-lambda-rie ## install other people's implementations of the chat platforms, and official clients, which tests hold ours against (needs npm)
	@:

deploy/peers/node_modules: deploy/peers/package-lock.json
	@npm ci --prefix deploy/peers --silent --no-audit --no-fund --ignore-scripts
	@touch $@ # newer than what it was made from

deploy/peers/%/lib: deploy/peers/%/pom.xml
	@if command -v mvn >/dev/null && command -v javac >/dev/null; then \
		mvn -q -B -f $< dependency:copy-dependencies -DoutputDirectory=lib && touch $@; \
	else echo "no JDK with Maven is here: what deploy/peers/$* has for Java is not tried"; fi

# AWS's own emulator of Lambda's runtime, which tests run our zips under.
RIE := github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie@v0.0.0-20261030222936-bef5c4ba774d

deploy/peers/bin/aws-lambda-rie:
	@GOBIN=$(CURDIR)/deploy/peers/bin GOFLAGS= $(GO) install $(RIE)

fuzz: ## run every fuzz target for FUZZTIME
	@./deploy/fuzz.sh $(FUZZTIME)

bench: ## benchmarks; figures are ratios within one run
	$(GO) test -run '^$$' -bench . -benchmem ./...

build: zips tool ## build every function for every target, and the command-line tool, into dist/
	$(BUILD) -o dist/local/ $(FUNCTIONS)

# dist/TARGET/FUNCTION.zip is what the templates deploy: for x86-64 on Function Compute, whose Go runtime has no other, and for arm64 on
# Lambda. dist/lambda/amd64 holds the same for x86-64.
zips: ## build only what is uploaded
	rm -rf dist
	GOOS=linux GOARCH=amd64 $(BUILD) -tags $(TAGS_FC) -o dist/programs/fc/ $(FUNCTIONS)
	GOOS=linux GOARCH=arm64 $(BUILD) -tags $(TAGS_LAMBDA) -o dist/programs/lambda/ $(FUNCTIONS)
	GOOS=linux GOARCH=amd64 $(BUILD) -tags $(TAGS_LAMBDA) -o dist/programs/lambda-amd64/ $(FUNCTIONS)
	$(GO) run ./deploy/make zips main dist/programs/fc dist/fc
	$(GO) run ./deploy/make zips bootstrap dist/programs/lambda dist/lambda
	$(GO) run ./deploy/make zips bootstrap dist/programs/lambda-amd64 dist/lambda/amd64
	rm -rf dist/programs

generate: ## write template.yml, s.yaml, the policies and the schemas again, after a change to what they are made from
	$(GO) run ./deploy/make templates
	$(GO) run ./deploy/make schemas

templates: moto deploy/fc/node_modules ## check both templates with the tools that deploy them (needs Python 3 and npm)
	@./deploy/templates.sh

deploy/fc/node_modules: deploy/fc/package-lock.json
	@npm ci --prefix deploy/fc --silent --no-audit --no-fund --ignore-scripts
	@touch $@ # newer than what it was made from

clean: ## remove what was built; data directories stay
	rm -rf dist
