# The doors to this project. Each does its own installing.

.PHONY: help run test quick charts soak bench bench-quick mutants fuzz lint deny

help: ## what there is
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/'

run: ## build, start a gate on the embedded store, play a story, stay up
	@scripts/run

test: ## the whole suite
	@scripts/test

quick: ## the part of the suite for daily work
	@scripts/test --quick

charts: ## the tests of the charts, their alerts and the image
	@scripts/charts

soak: ## long random runs, kills and faults; SECONDS=300 bounds them
	@scripts/soak $(or $(SECONDS),300)

bench: ## the table of docs/performance.md; how long changes take; by how much a slow Redis exceeds its budget
	@scripts/setup
	cargo bench --bench figures
	cargo bench --bench watch --bench budget

bench-quick: ## compare this tree with BASE=revision (else: where it left main; on main unchanged: the commit before)
	@scripts/bench-quick $(BASE)

mutants: ## break the rulebook one token at a time: every mutant must be noticed
	@scripts/mutants

fuzz: ## made-up hostile input for each way in, SECONDS=60 each
	@scripts/fuzz $(or $(SECONDS),60)

deny: ## advisories, licences and sources of all that is depended on
	@scripts/deny

lint: ## formatting, clippy, buf lint
	@scripts/setup
	cargo fmt --check
	cargo clippy --all-targets --quiet -- -D warnings
	.venv/bin/buf lint
