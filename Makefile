# The commands of this project. `make` alone explains them.

.DEFAULT_GOAL := help
.PHONY: help deps build test suites demo bench format lint image example clean

# What builds images, asked for only by the targets that do.
CONTAINERS = $(or $(shell command -v podman || command -v docker),$(error this target needs podman or docker))
SWIFT_SOURCES := Package.swift Sources Tests $(wildcard Benchmarks)

help: ## Show this list
	@echo 'agent-init: PID 1 of an agent'"'"'s pod. Start with "make demo".'
	@echo
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo
	@echo 'Debian 12 with Linux 6.12 or later needs only Swift 6.2 or later, git and make; the rest is installed when it is'
	@echo 'missing. Its own kernel is 6.1, with which no command runs: scripts/check-kernel says what to do.'
	@echo 'The programs are in .build/release: agent-init, agent-jail, agentd.'

deps: ## Install what building, the demo and the tests need (Debian and PyPI packages)
	scripts/install-dependencies build demo test

build: ## Build the three programs (release; about 4 minutes the first time)
	scripts/check-kernel --warn
	scripts/install-dependencies build
	swift build -c release

test: ## Lint, check the layering, build, run all tests; ends with "N passed, N failed"
	scripts/check-kernel
	scripts/install-dependencies build demo test
	scripts/test

suites: ## Run others' test suites outside and inside of the jail, and print what differs (an hour)
	scripts/check-kernel
	scripts/install-dependencies build suites
	swift build -c release
	Tests/Suites/run

demo: ## Watch an agent mend a program, get killed, and finish
	scripts/check-kernel
	scripts/install-dependencies build demo
	swift build -c release
	scripts/demo

bench: ## Run each part beside its peers and print one table
	scripts/check-kernel
	scripts/install-dependencies build bench
	swift build -c release
	Benchmarks/run

format: ## Rewrite the Swift sources in the project's format
	swift format --in-place --parallel --recursive $(SWIFT_SOURCES)

lint: ## Fail on any Swift source that is not in the project's format, and on a wrong import
	swift format lint --strict --parallel --recursive $(SWIFT_SOURCES)
	scripts/check-dependencies --sources

image: ## Build the container image agent-init:latest with podman or docker; TOOLS="make gcc" adds Debian packages
	$(CONTAINERS) build --file images/Dockerfile --build-arg TOOLS="$(TOOLS)" --tag agent-init:latest .

example: ## Build the two images of examples/k8s: agent-example, which can compile C, and egress-proxy
	$(CONTAINERS) build --file images/Dockerfile --build-arg TOOLS="make gcc libc6-dev" --tag agent-example:latest .
	$(CONTAINERS) build --file images/egress-proxy.Dockerfile --tag egress-proxy:latest images

clean: ## Remove everything that was built
	rm -rf .build
