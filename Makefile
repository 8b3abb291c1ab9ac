# Tests that need PostgreSQL and Redis get their own from scripts/with-services:
# nothing has to be running, and nothing is left behind.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   := v1.9.0
KUSTOMIZE     := sigs.k8s.io/kustomize/kustomize/v5@v5.7.1
KUBECONFORM   := github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0

WITH_SERVICES := scripts/with-services
TEST          := go test -count=1 -timeout 20m

UNIT        := ./models/... ./secrets/... ./config/... ./platform/... ./media/... ./sandbox/... ./observe/... ./test/deploy/...
INTEGRATION := ./db/... ./jobs/... ./publish/... ./oauth/... ./handlers/... ./cmd/...
E2E         := ./app/... ./test/e2e/...

CRASH_ROUNDS ?= 300
WEBHOOK_EVENTS ?= 20000
TOPOLOGY_POSTS ?= 2000
ROLLING_TIME ?= 3m
FUZZTIME     ?= 20s
SEEDS        ?= 10000

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^##@/ { print "\n" substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Run

.PHONY: demo dev build build-allclouds
demo: ## post a video and an image through the whole system, against the sandbox; needs no server
	go run ./cmd/socialqueue demo

dev: ## keep the whole system running with demo accounts; needs no server
	go run ./cmd/socialqueue dev

build: ## build the four binaries into bin/
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

build-allclouds: ## the same, with gs:// and azblob:// for MEDIA_BUCKET_URL
	CGO_ENABLED=0 go build -tags allclouds -trimpath -o bin/ ./cmd/...

##@ Test

.PHONY: test test-unit test-integration test-allclouds test-e2e browser node alerts pooler race crash simulate simulate-bugs bench fuzz cover
test: ## every test, on a real PostgreSQL and Redis
	$(WITH_SERVICES) $(TEST) ./...

test-unit: ## the packages that need no server
	$(TEST) $(UNIT)

test-integration: ## the packages on a real PostgreSQL and Redis
	$(WITH_SERVICES) $(TEST) $(INTEGRATION)

test-allclouds: ## the packages that differ in the build tagged allclouds
	$(TEST) -tags allclouds ./config ./media

test-e2e: ## whole processes, from an HTTP request to the platform
	$(WITH_SERVICES) $(TEST) $(E2E)

browser: ## the consent pages in a real Chromium; BROWSER_PICTURES=DIR keeps its pictures of them
	$(TEST) -tags browser ./test/browser

node: ## webhooks verified by the Standard Webhooks library of Node.js; needs node, npm and its registry
	@command -v node >/dev/null && command -v npm >/dev/null || { echo "node and npm are needed: install Node.js 18 or later"; exit 1; }
	cd test/node && npm ci --no-audit --no-fund
	$(TEST) -tags node ./test/node

alerts: ## each alert fires once, in a real Prometheus, while what it watches is broken; needs prometheus and promtool
	$(WITH_SERVICES) $(TEST) -tags alerts ./test/alerts

pooler: ## 200 posts through PgBouncer in transaction mode; needs pgbouncer
	$(WITH_SERVICES) $(TEST) -tags pooler -v -run '^TestBehindPgBouncer$$' ./test/e2e

# SQLite, which is C translated to Go, is not watched: it is not ours, and takes
# several times as long under the detector.
# Tests that go through all cases there are take some of them here (-short): the
# detector looks for races, which one case shows as well as another.
race: ## every test, with the race detector (without vet, which ci runs once for all)
	$(WITH_SERVICES) $(TEST) -race -short -vet=off -gcflags='modernc.org/...=-race=false' ./...

crash: ## kill processes CRASH_ROUNDS times (300), servers under WEBHOOK_EVENTS webhooks (20000), masters of Redis under TOPOLOGY_POSTS posts (2000), replace workers for ROLLING_TIME (3m); look for what is lost or double
	CRASH_ROUNDS=$(CRASH_ROUNDS) WEBHOOK_EVENTS=$(WEBHOOK_EVENTS) TOPOLOGY_POSTS=$(TOPOLOGY_POSTS) ROLLING_TIME=$(ROLLING_TIME) \
		WITH_SERVICES_DURABLE=1 $(WITH_SERVICES) go test -count=1 -timeout 60m -p 1 -parallel 1 -v ./test/crash ./test/toy

simulate: ## play SEEDS histories (10000) of the whole system, each from a seed of its own; SIM_SEED=N begins at that seed
	SIM_HISTORIES=$(SEEDS) $(TEST) -timeout 24h -v -run '^TestHistories$$' ./test/simulate

simulate-bugs: ## plant known bugs into the product, one after the other, and want the simulation to find each
	go test -count=1 -timeout 24h -v -tags bugs -run '^TestPlantedBugs$$' ./test/simulate

bench: ## measure throughput and lateness
	$(WITH_SERVICES) go test -count=1 -timeout 60m -run '^$$' -bench . ./test/bench

fuzz: ## run every fuzz target for FUZZTIME (20s)
	$(WITH_SERVICES) scripts/fuzz $(FUZZTIME)

cover: ## coverage of publish, jobs and platform by all tests, in cover.html
	$(WITH_SERVICES) $(TEST) -coverpkg=./publish/...,./jobs/...,./platform/... -coverprofile=cover.out ./...
	go tool cover -html=cover.out -o cover.html
	go tool cover -func=cover.out | tail -n 1

##@ Check

.PHONY: fmt fmt-check vet lint vuln manifests containers ci clean
fmt: ## format the code
	go run $(GOLANGCI_LINT) fmt

fmt-check:
	@echo 'gofmt -l .'; files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "not formatted, run make fmt:"; echo "$$files"; exit 1; fi

vet:
	go vet ./...
	go vet -tags browser ./test/browser
	go vet -tags node ./test/node
	go vet -tags alerts ./test/alerts
	go vet -tags pooler ./test/e2e
	go vet -tags bugs ./test/simulate
	go vet -tags allclouds ./config ./media

lint: ## run the linters of .golangci.yml (the first run builds golangci-lint: two minutes)
	go run $(GOLANGCI_LINT) run --build-tags browser,node,alerts,pooler,bugs

vuln: ## look for known vulnerabilities that the code can reach (needs vuln.go.dev)
	scripts/vuln $(GOVULNCHECK)

manifests: ## build the Kubernetes example and check it against the schemas (needs raw.githubusercontent.com)
	scripts/manifests $(KUSTOMIZE) $(KUBECONFORM)

containers: ## build the image, start the compose file and wait until it is ready; needs docker or podman with compose
	scripts/containers

ci: export VULN_MAY_BE_OFFLINE := 1
ci: fmt-check vet test-allclouds lint vuln race demo ## everything that a change must pass

clean: ## remove what make made
	rm -rf bin cover.out cover.html
