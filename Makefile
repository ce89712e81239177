# The targets are one-liners; what they do is in scripts. Plain `make` lists them.

.DEFAULT_GOAL := help
.PHONY: help up down clean logs rollout rollback check push test prove prove-table lossless mutants screenshot bench bench-check

help: ## list the targets
	@awk -F ':.*## ' '/^# --- / { print "\n" substr($$0, 7) } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# --- run it on this machine

up: ## build what changed and start: nginx, and 2 replicas behind it, on port 8000 (PUBLISH=…)
	@deploy/local/up.sh

down: ## stop and remove what `make up` started
	@deploy/local/down.sh

clean: ## `make down`, and remove the images that were made here
	@deploy/local/down.sh --images

logs: ## follow the logs of nginx and the replicas
	@docker compose logs --follow --tail 50

# --- ship it

rollout: ## build, and replace the replicas by new ones without losing a request (IMAGE=…: by that image)
	@deploy/compose/rollout $(if $(IMAGE),--image $(IMAGE),--build)

rollback: ## the same, back to the image that ran before
	@deploy/compose/rollout --rollback

check: ## look for what would make a first deploy fail (PLATFORM=fly, IMAGE=berth-app)
	@deploy/local/cargo.sh run --quiet --manifest-path tools/Cargo.toml -p platform-check -- $(PLATFORM)

push: ## build for platforms, push, and print the digest to pin (IMAGE=registry/name:tag; TARGET=bundle: with nginx in it)
	@deploy/local/push.sh

# --- test it

test: ## test your service: style, unit tests, its table alone and through nginx, scaling, configuration
	@tests/run.sh

prove: ## prove every promise of Berth, for who edits Berth itself (ONLY=a check or a subject, …)
	@ONLY="$(ONLY)" tools/e2e/prove.sh

prove-table: ## write the times of the last whole `make prove` into CONTRIBUTING.md
	@tools/e2e/prove.sh --table

lossless: ## a million requests or more while replicas come, go and die, and what a plain nginx would lose
	@LOSSLESS=full tools/e2e/run.sh e2e --only zero_downtime,plain_nginx_baseline

mutants: ## take out of nginx and the drain one line at a time, and show which test notices (ONLY=part of a line)
	@tools/e2e/run.sh mutants $(if $(ONLY),"$(ONLY)")

screenshot: ## remake docs/clock.png, the README's picture
	@tools/e2e/fixtures/image.sh browser && tools/e2e/run.sh screenshot

bench: ## measure Berth beside other servers, and write tools/bench/results.md (ONLY=a group, or a part of a server's name)
	@tools/bench/images.sh && deploy/local/cargo.sh run --quiet --manifest-path tools/Cargo.toml -p bench -- "$(ONLY)"

bench-check: ## measure what a change may have made slower, and compare it with the thresholds
	@tools/bench/images.sh && deploy/local/cargo.sh run --quiet --manifest-path tools/Cargo.toml -p bench -- --check
