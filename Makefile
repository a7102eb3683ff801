# The targets install what they need beyond Go, Node and npm, in fixed versions and
# once, into a cache that all checkouts share.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The go command downloads this toolchain if another version is installed.
export GOTOOLCHAIN := go1.27.3

export TOKENHANDLER_TOOLS ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/cognito-token-handler

VERSITYGW_VERSION := v1.8.0
VEGETA_VERSION    := v12.13.0
LINT_VERSION      := v2.15.0
DEADCODE_VERSION  := v0.51.0
VULNCHECK_VERSION := v1.9.0
# The newest version whose modules the Go module proxy has.
NFPM_VERSION      := v2.45.2
HELM_VERSION      := v4.3.2
SBOM_VERSION      := v1.10.0
# The newest entries count: a pinned database would not know what was found since.
VULNDB_VERSION    ?= latest
LINT        := $(TOKENHANDLER_TOOLS)/bin/golangci-lint-$(LINT_VERSION)-$(GOTOOLCHAIN)
DEADCODE    := $(TOKENHANDLER_TOOLS)/bin/deadcode-$(DEADCODE_VERSION)-$(GOTOOLCHAIN)
VULNCHECK   := $(TOKENHANDLER_TOOLS)/bin/govulncheck-$(VULNCHECK_VERSION)-$(GOTOOLCHAIN)
NFPM        := $(TOKENHANDLER_TOOLS)/bin/nfpm-$(NFPM_VERSION)-$(GOTOOLCHAIN)
SBOM        := $(TOKENHANDLER_TOOLS)/bin/cyclonedx-gomod-$(SBOM_VERSION)-$(GOTOOLCHAIN)
HELM        := $(TOKENHANDLER_TOOLS)/bin/helm
HELM_STAMP      := $(TOKENHANDLER_TOOLS)/bin/.helm-$(HELM_VERSION)
VERSITYGW   := $(TOKENHANDLER_TOOLS)/bin/versitygw
VEGETA_STAMP    := $(TOKENHANDLER_TOOLS)/bin/.vegeta-$(VEGETA_VERSION)
VERSITYGW_STAMP := $(TOKENHANDLER_TOOLS)/bin/.versitygw-$(VERSITYGW_VERSION)
COGNITO     := test/cognitolocal/node_modules/.package-lock.json
OPENID      := test/oidcprovider/node_modules/.package-lock.json
SPA_MODULES := test/demo/spa/node_modules/.package-lock.json
SPA         := test/demo/spa/dist/index.html
CLIENT      := tokenhandler/client/dist/storage.js
CLIENT_MODULES := tokenhandler/client/node_modules/.package-lock.json
REACT18_MODULES := tokenhandler/client/test/react18/node_modules/.package-lock.json
AMPLIFY_MODULES := tokenhandler/client/test/amplify/node_modules/.package-lock.json
PLAYWRIGHT  := tokenhandler/client/test/playwright/node_modules/.package-lock.json
BINARY      := .build/tokenhandler
RELEASES    := .build/linux-amd64/tokenhandler .build/linux-arm64/tokenhandler
VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Packages need a version that can be compared, also before the first tag.
RELEASE     := $(shell git describe --tags --match 'v[0-9]*' 2>/dev/null | sed -E 's/-([0-9]+)-g/+\1.g/' | grep . || git log -1 --format=0.0.0-git%cd.g%h --date=format:%Y%m%d%H%M%S 2>/dev/null || echo 0.0.0)
# The same commit gives the same bytes.
COMMIT_TIME := $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
MAINTAINER  ?= The operators of the token handler <root@localhost>
NPM_CI      := npm ci --no-audit --no-fund --loglevel=error
FUZZTIME    ?= 20s
BENCH       ?= -rounds 12 -duration 3s -settings free:100,free:400,0:100,0:400
CHAOS       ?= 60s
SEEDS       ?= 4000
SOAK        ?= 10m
BIG         ?= 1073741824

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

# The page at APP and the API at API join the local stack; several are separated by spaces. RUN has further flags.
DEVSTACK = .build/devstack
JOIN     = $(APP:%=-app %) $(API:%=-api %) $(if $(REDIS),-redis) $(RUN)

.PHONY: run
run: build $(SPA) stack-tools $(if $(REDIS),redis) ## Start the local stack: http://localhost:8080 (your app and API in it: APP=http://localhost:5173 API=http://localhost:3000)
	go build -o $(DEVSTACK) ./test/devstack/run
	$(DEVSTACK) -binary $(BINARY) -spa test/demo/spa/dist $(JOIN)

.PHONY: stack
stack: build stack-tools $(if $(REDIS),redis) ## Start only Cognito, S3 and with REDIS=1 Redis, and print a configuration for them (APP, API)
	go build -o $(DEVSTACK) ./test/devstack/run
	$(DEVSTACK) servers $(JOIN)

.PHONY: build
build: ## Build the binary into .build/
	$(call compile,$(BINARY))

# compile builds the binary $(1).
compile = CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(1) ./cmd/tokenhandler

.PHONY: $(RELEASES)
$(RELEASES): .build/linux-%/tokenhandler:
	GOOS=linux GOARCH=$* $(call compile,$@)

.PHONY: packages
packages: $(RELEASES) $(NFPM) ## Make the .deb and .rpm packages for amd64 and arm64 in .build/packages/
	rm -rf .build/packages && mkdir -p .build/packages
	for arch in amd64 arm64; do for kind in deb rpm; do \
	  ARCH=$$arch VERSION='$(RELEASE)' BINARY=.build/linux-$$arch/tokenhandler MAINTAINER='$(MAINTAINER)' SOURCE_DATE_EPOCH=$(COMMIT_TIME) \
	  $(NFPM) package --config config/deploy/packages/nfpm.yaml --packager $$kind --target .build/packages/; \
	done; done

.PHONY: package
package: $(CLIENT) ## Build and pack the browser client into .build/
	mkdir -p .build
	npm pack ./tokenhandler/client --pack-destination .build --silent

.PHONY: image
image: $(RELEASES) ## Make the container image for amd64 and arm64 in .build/image/ (an OCI layout) and .build/image.tar
	go run ./config/deploy/image -out .build/image -version '$(VERSION)' -revision '$(shell git rev-parse HEAD 2>/dev/null)' -created $(COMMIT_TIME) \
	  amd64=.build/linux-amd64/tokenhandler arm64=.build/linux-arm64/tokenhandler
	tar --create --file .build/image.tar --directory .build/image --sort=name --mtime=@$(COMMIT_TIME) --owner=0 --group=0 --numeric-owner --format=ustar .

.PHONY: sbom
sbom: $(RELEASES) $(SBOM) ## List what the binaries contain, with licences, in .build/sbom-*.json (CycloneDX)
	for arch in amd64 arm64; do \
	  $(SBOM) bin -json -std -licenses -noserial -notimestamp -version '$(VERSION)' -output .build/sbom-$$arch.json .build/linux-$$arch/tokenhandler; \
	done

.PHONY: kubernetes
kubernetes: $(HELM_STAMP) ## Render the Helm chart into config/deploy/kubernetes/tokenhandler.yaml
	mkdir -p .build
	{ sed '/^---$$/,$$d' config/deploy/kubernetes/tokenhandler.yaml; \
	  $(HELM) template tokenhandler config/deploy/helm/tokenhandler --values config/deploy/kubernetes/values.yaml; } > .build/kubernetes.yaml
	mv .build/kubernetes.yaml config/deploy/kubernetes/tokenhandler.yaml

.PHONY: test
test: unit client e2e ## Run every test: unit with the race detector, the browser client, integration, browser

.PHONY: unit
unit: ## Unit tests only, with the race detector; the model-based test of sessions with SEEDS (4000) seeds
	go test -race -timeout 30m ./...
	go test -run Allocates ./tokenhandler/session ./cmd/app
	printf '%s\n' 1 $$(( $(SEEDS) / 2 + 1 )) | xargs -P 2 -I '{}' go test -timeout 30m -run 'TestModel$$' ./tokenhandler/session/refresh -seed '{}' -seeds $$(( $(SEEDS) / 2 ))

.PHONY: client
client: build $(CLIENT_MODULES) $(REACT18_MODULES) $(AMPLIFY_MODULES) ## Build the browser client, and check its types, tests and sizes
	TOKENHANDLER_BINARY=$(CURDIR)/$(BINARY) npm run check --prefix tokenhandler/client --silent

.PHONY: e2e
e2e: $(SPA) $(CLIENT) tools packages image ## Integration and browser tests only
	CGO_ENABLED=1 go build -race -o .build/tokenhandler-race ./cmd/tokenhandler
	@# Those that make load themselves run alone.
	$(E2E) -p 1 $(LOAD_PACKAGES)
	$(E2E) -p 2 $$(go list -tags e2e $(E2E_PACKAGES) | grep -vxF "$$(go list -tags e2e $(LOAD_PACKAGES))")

# The other tests of these packages are run by `make unit`.
E2E = TOKENHANDLER_BINARY=$(CURDIR)/.build/tokenhandler-race go test -tags e2e -count=1 -timeout 30m -run '^($(E2E_TESTS))$$'
E2E_TESTS = $(shell grep -rl --include='*_test.go' --exclude-dir=node_modules '^//go:build e2e' . | xargs grep -ohP '^func \KTest\w+' | paste -sd'|')
LOAD_PACKAGES := ./test/bench ./test/chaos ./cmd/app
E2E_PACKAGES := ./test/... ./cmd/app ./cmd/doctor ./oauthproxy/storage/... ./tokenhandler/replicas/valkey

.PHONY: chaos
chaos: build redis ## Break everything for CHAOS (60s) and count the logins that users lose
	CHAOS=$(CHAOS) TOKENHANDLER_BINARY=$(CURDIR)/$(BINARY) go test -tags e2e -count=1 -v -timeout 30m -run NobodyIsLoggedOut ./test/chaos

.PHONY: lint
lint: $(LINT) $(DEADCODE) ## Run the linters
	$(LINT) run --allow-parallel-runners ./...
	go mod tidy -diff
	@# deadcode exits 0 whatever it finds. Only the generators of reference.md and of the chart's schema may be unreachable.
	@dead="$$($(DEADCODE) ./cmd/...)"; dead="$$(grep -v '^config/\(reference\|schema\)\.go:' <<<"$$dead" || true)"; \
	  [ -z "$$dead" ] || { echo "$$dead"; echo "the binary does not reach these functions: delete them"; exit 1; }
	@! grep -rnE '"resolved":' --include=package-lock.json test tokenhandler --exclude-dir=node_modules || { echo "a package-lock.json names a registry"; exit 1; }

.PHONY: vuln
vuln: $(VULNCHECK) ## Look for known vulnerabilities in what the binary reaches (the Go vulnerability database, as a Go module)
	rm -rf .build/vulndb
	@# The database's server is not asked. The same entries are published as a Go module.
	module="$$(go mod download -json golang.org/x/vulndb@$(VULNDB_VERSION))"; \
	  dir="$$(sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p' <<<"$$module")"; version="$$(sed -n 's/^\t"Version": "\(.*\)",$$/\1/p' <<<"$$module")"; \
	  go run "golang.org/x/vulndb/cmd/indexdb@$$version" -vulns "$$dir/data/osv" -out .build/vulndb; \
	  mkdir -p .build/vulndb/ID; cp "$$dir"/data/osv/*.json .build/vulndb/ID; echo "database: golang.org/x/vulndb $$version"
	$(VULNCHECK) -db file://$(CURDIR)/.build/vulndb ./cmd/...

.PHONY: fmt
fmt: $(LINT) ## Format the code
	$(LINT) fmt ./...

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (20s)
	@for package in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done

.PHONY: bench
bench: build wrk $(VEGETA_STAMP) ## Run the benchmarks, and compare the built binary with a bare proxy (BENCH="-rounds 3 -duration 1s")
	TOKENHANDLER_BINARY=$(CURDIR)/$(BINARY) go test -tags e2e -count=1 -v -timeout 2h -run AgainstABareOne ./test/bench -args $(BENCH)
	go test -run '^$$' -bench . -benchmem ./tokenhandler/... ./oauthproxy/... ./cmd/app

.PHONY: soak
soak: ## Load the service for SOAK (10m) and look for leaks
	go test -tags e2e -count=1 -v -timeout 0 -run NothingGrows ./test/bench -args -soak $(SOAK)

.PHONY: big-upload
big-upload: build stack-tools ## Upload a file of BIG bytes (1 GiB) in parts, interrupted and resumed, and read it back
	TOKENHANDLER_BINARY=$(CURDIR)/$(BINARY) go test -tags e2e -count=1 -v -timeout 1h -run 'TestBigUpload$$' ./test/e2e -args -big $(BIG)

.PHONY: cover
cover: $(SPA) $(CLIENT) tools packages image ## Show the statements that unit, integration and browser tests cover together (.build/cover.out has each)
	rm -rf .build/cover && mkdir -p .build/cover
	go build -cover -coverpkg $(COVERED) -o .build/tokenhandler-cover ./cmd/tokenhandler
	go test -cover -coverpkg $(COVERED) ./... -args -test.gocoverdir=$(CURDIR)/.build/cover
	@# The tests of the program build it and run it, and `go test -cover` would give it another GOCOVERDIR.
	go test -c -o .build/program.test ./cmd/tokenhandler
	cd cmd/tokenhandler && GOCOVERDIR=$(CURDIR)/.build/cover GOFLAGS='-cover -coverpkg=$(COVERED)' $(CURDIR)/.build/program.test
	GOCOVERDIR=$(CURDIR)/.build/cover TOKENHANDLER_BINARY=$(CURDIR)/.build/tokenhandler-cover \
	  go test -tags e2e -count=1 -p 2 -timeout 30m -run '^($(E2E_TESTS))$$' -cover -coverpkg $(COVERED) $(E2E_PACKAGES) -args -test.gocoverdir=$(CURDIR)/.build/cover
	go tool covdata textfmt -i .build/cover -o .build/cover.out
	go tool cover -func .build/cover.out | tail -1

COVERED := cognito-token-handler/tokenhandler/...,cognito-token-handler/oauthproxy/...,cognito-token-handler/config/...,cognito-token-handler/cmd/...

.PHONY: check
check: lint test ## What CI runs

.PHONY: tools
tools: stack-tools $(OPENID) $(PLAYWRIGHT) $(VEGETA_STAMP) $(HELM_STAMP) chromium firefox webkit xvfb redis nginx caddy wrk prometheus systemd rpm iproute2 curl ## Install what the tests need

.PHONY: stack-tools
stack-tools: $(COGNITO) $(VERSITYGW_STAMP)

$(LINT):
	GOBIN=$(TOKENHANDLER_TOOLS)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv $(TOKENHANDLER_TOOLS)/bin/golangci-lint $@

$(DEADCODE):
	GOBIN=$(TOKENHANDLER_TOOLS)/bin go install golang.org/x/tools/cmd/deadcode@$(DEADCODE_VERSION)
	mv $(TOKENHANDLER_TOOLS)/bin/deadcode $@

$(VULNCHECK):
	GOBIN=$(TOKENHANDLER_TOOLS)/bin go install golang.org/x/vuln/cmd/govulncheck@$(VULNCHECK_VERSION)
	mv $(TOKENHANDLER_TOOLS)/bin/govulncheck $@

$(NFPM):
	GOBIN=$(TOKENHANDLER_TOOLS)/bin go install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION)
	mv $(TOKENHANDLER_TOOLS)/bin/nfpm $@

$(SBOM):
	GOBIN=$(TOKENHANDLER_TOOLS)/bin go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(SBOM_VERSION)
	mv $(TOKENHANDLER_TOOLS)/bin/cyclonedx-gomod $@

$(HELM_STAMP):
	GOBIN=$(TOKENHANDLER_TOOLS)/bin go install helm.sh/helm/v4/cmd/helm@$(HELM_VERSION)
	touch $@

$(VERSITYGW_STAMP):
	GOBIN=$(TOKENHANDLER_TOOLS)/bin go install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION)
	touch $@

$(VEGETA_STAMP):
	GOBIN=$(TOKENHANDLER_TOOLS)/bin go install github.com/tsenart/vegeta/v12@$(VEGETA_VERSION)
	touch $@

$(COGNITO): test/cognitolocal/package-lock.json
	$(NPM_CI) --prefix test/cognitolocal
	touch $@

$(OPENID): test/oidcprovider/package-lock.json
	$(NPM_CI) --prefix test/oidcprovider
	touch $@

$(SPA_MODULES): test/demo/spa/package-lock.json
	$(NPM_CI) --prefix test/demo/spa
	touch $@

$(CLIENT_MODULES): tokenhandler/client/package-lock.json
	$(NPM_CI) --prefix tokenhandler/client
	touch $@

$(CLIENT): $(CLIENT_MODULES) $(shell find tokenhandler/client/src tokenhandler/client/vite.config.ts -type f)
	npm run build --prefix tokenhandler/client --silent
	touch $@

$(REACT18_MODULES): tokenhandler/client/test/react18/package-lock.json
	$(NPM_CI) --prefix tokenhandler/client/test/react18
	touch $@

$(AMPLIFY_MODULES): tokenhandler/client/test/amplify/package-lock.json
	$(NPM_CI) --prefix tokenhandler/client/test/amplify
	touch $@

$(PLAYWRIGHT): tokenhandler/client/test/playwright/package-lock.json
	PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 $(NPM_CI) --prefix tokenhandler/client/test/playwright
	touch $@

$(SPA): $(SPA_MODULES) $(shell find test/demo/spa/src test/demo/spa/index.html test/demo/spa/vite.config.ts tokenhandler/client/src -type f 2>/dev/null)
	npm run build --prefix test/demo/spa --silent
	touch $@

# debian installs the packages $(2) and $(3) if the program $(1) is missing.
define debian
@command -v $(1) >/dev/null || [ -x /usr/sbin/$(1) ] || { \
  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "$(1) is missing: install Debian's package $(2)"; exit 1; }; \
  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $(2) $(3); }
endef

.PHONY: chromium firefox webkit xvfb redis nginx caddy wrk prometheus systemd rpm iproute2 curl
chromium:
	$(call debian,chromium,chromium,fonts-dejavu-core)
firefox:
	$(call debian,firefox-esr,firefox-esr)
webkit:
	$(call debian,WebKitWebDriver,webkit2gtk-driver)
xvfb:
	$(call debian,Xvfb,xvfb)
redis:
	$(call debian,redis-server,redis-server)
nginx:
	$(call debian,nginx,nginx-light)
caddy:
	$(call debian,caddy,caddy)
wrk:
	$(call debian,wrk,wrk)
prometheus: # with promtool
	$(call debian,promtool,prometheus)
systemd:
	$(call debian,systemd-analyze,systemd)
rpm:
	$(call debian,rpm,rpm)
iproute2:
	$(call debian,ip,iproute2)
curl:
	$(call debian,curl,curl)
