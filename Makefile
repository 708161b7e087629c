# The doors to this project. Each does its own installing.

.PHONY: help run test quick lint

help: ## what there is
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/'

run: ## build, start a gate on the embedded store, play a story, stay up
	@scripts/run

test: ## the whole suite
	@scripts/test

quick: ## the part of the suite for daily work
	@scripts/test --quick

lint: ## formatting, clippy, buf lint
	@scripts/setup
	cargo fmt --check
	cargo clippy --all-targets --quiet -- -D warnings
	.venv/bin/buf lint
