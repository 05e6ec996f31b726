# `make demo` tells the whole story once; `make test` runs every test. Each installs what it lacks and needs nothing else.

export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/embargo/target
export CARGO_NET_RETRY ?= 10
# Queries are checked against .sqlx, not against a database of the machine.
export SQLX_OFFLINE = true
unexport DATABASE_URL

TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/embargo/tools
export PATH := $(TOOLS)/bin:$(PATH)

.PHONY: help setup demo run test bench replay check format lint docs layers deny sqlx
.NOTPARALLEL:
.DEFAULT_GOAL := help

help:
	@echo 'make demo    the whole story on a sample project, then a server to look at (ARGS=--once ends)'
	@echo 'make test    every test'
	@echo 'make bench   the numbers, beside git http-backend, git fetch and age (ONLY=clone for one)'
	@echo 'make replay  past security releases of a real project, compared with what it merged (REPO=<clone> LINE=<branch>)'
	@echo 'make run     the server (ARGS="--config FILE")'
	@echo 'make check   format, lints, documentation, layers, licences, .sqlx'
	@echo 'make sqlx    write .sqlx anew after a change of a query or a migration'

setup:
	@.ci/setup

demo: setup
	@cargo run -- demo $(ARGS)

run: setup
	@cargo run --quiet -- $(ARGS) serve

test:
	@.ci/setup test
	@if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --no-fail-fast; else cargo test --no-fail-fast --lib --bins --tests; fi
	@cargo test --doc

# Builds with the profile of a release. Times what the machine does: leave it alone meanwhile.
bench:
	@.ci/setup bench
	@cargo bench --bench bench -- $(ONLY)

# Past security releases of a real project, told anew: see .ci/replay. REPO=<clone> LINE=<branch> [COUNT=5] [PATTERN=…]
replay: setup
	@cargo build --release --quiet
	@EMBARGO=$(CARGO_TARGET_DIR)/release/embargo .ci/replay "$(REPO)" "$(LINE)" "$(or $(COUNT),5)" "$(or $(PATTERN),GHSA-|from fork)"

check: setup format lint docs layers deny

format:
	@cargo fmt --check

# One pass for both: queries are written anew from the migrations while clippy looks.
lint:
	@.ci/sqlx check

# Private items are documented too, so that links to them lead somewhere.
docs:
	@RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' cargo doc --no-deps --document-private-items

layers:
	@cargo test --quiet --test it architecture

deny:
	@.ci/deny $(TOOLS)

sqlx: setup
	@.ci/sqlx write
