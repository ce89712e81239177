# The targets are one-liners; what they do is in deploy/local/ and tests/. Plain `make` lists them.

.DEFAULT_GOAL := help
.PHONY: help up down clean logs rollout rollback push check test lossless mutants-front screenshot bench bench-check

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

up: ## build what changed and start: nginx, and 2 replicas behind it, on port 8000 (PUBLISH=…)
	@deploy/local/up.sh

down: ## stop and remove what `make up` started
	@deploy/local/down.sh

clean: ## `make down`, and remove the images that were made here
	@deploy/local/down.sh --images

logs: ## follow the logs of nginx and the replicas
	@docker compose logs --follow --tail 50

rollout: ## build, and replace the replicas by new ones without losing a request (IMAGE=…: by that image)
	@deploy/compose/rollout $(if $(IMAGE),--image $(IMAGE),--build)

rollback: ## the same, back to the image that ran before
	@deploy/compose/rollout --rollback

push: ## build for platforms, push, and print the digest to pin (IMAGE=registry/name:tag; TARGET=bundle: with nginx in it)
	@deploy/local/push.sh

check: ## look over what a first deploy would stumble over (PLATFORM=fly, IMAGE=berth-app)
	@deploy/local/cargo.sh run --quiet --manifest-path tools/Cargo.toml -p platform-check -- $(PLATFORM)

test: ## run every test
	@tests/run.sh

lossless: ## a million requests or more while replicas come, go and die, and what a plain nginx would lose
	@LOSSLESS=full deploy/local/cargo.sh test --locked --no-fail-fast --test lossless --test plain -- --nocapture

mutants-front: ## take out of nginx and the drain one line at a time, and show which test notices (ONLY=part of a line)
	@deploy/local/cargo.sh test --quiet --locked --test mutants -- $(if $(ONLY),"$(ONLY)")

screenshot: ## remake docs/clock.png, the README's picture
	@tests/image.sh browser && deploy/local/cargo.sh test --quiet --locked --test screenshot

bench: ## measure Berth beside other servers, and write tools/bench/results.md (ONLY=a group, or a part of a server's name)
	@tools/bench/images.sh && deploy/local/cargo.sh run --quiet --manifest-path tools/Cargo.toml -p bench -- "$(ONLY)"

bench-check: ## measure what a change may have made slower, and compare it with the thresholds
	@tools/bench/images.sh && deploy/local/cargo.sh run --quiet --manifest-path tools/Cargo.toml -p bench -- --check
