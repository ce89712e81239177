#!/usr/bin/env bash
# Makes berth-test-browser, the browser of the tests. When it is there and nothing changed: done in a second.
# usage: tests/browser/image.sh        (BASES, BROWSER_IMAGE as in deploy/local/bases.sh)

. "$(dirname "$0")/../../deploy/local/lib.sh"

base=$(deploy/local/bases.sh browser)
# The engine's own builder: only that one sees the engine's images.
BUILDX_BUILDER=${BUILDX_BUILDER:-$(docker context inspect --format '{{.Name}}')}
export BUILDX_BUILDER BUILDX_NO_DEFAULT_ATTESTATIONS=1

# Marked as what Compose builds is, so that `make clean` finds it.
step browser "Building the browser's image" "Mend tests/browser/Dockerfile, then try again." \
    docker build --tag berth-test-browser --label "com.docker.compose.project=$(project)" --build-arg "$base" tests/browser
