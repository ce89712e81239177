#!/usr/bin/env bash
# Builds berth-test-NAME, an image for tests, from tests/NAME/Dockerfile: a browser, a registry, or Kamal with a server.
# Takes a second when nothing changed.
# usage: tests/image.sh browser|registry|kamal        (BASES, … as in deploy/local/offline/bases.sh)

. "$(dirname "$0")/../deploy/local/lib.sh"

[[ ${1-} =~ ^(browser|registry|kamal)$ ]] || die "There is no image ${1:-without a name}." "Name one: tests/image.sh browser|registry|kamal"

base=$(deploy/local/offline/bases.sh "$1")
# The engine's own builder: other builders don't see the engine's images.
BUILDX_BUILDER=${BUILDX_BUILDER:-$(docker context inspect --format '{{.Name}}')}
export BUILDX_BUILDER BUILDX_NO_DEFAULT_ATTESTATIONS=1

# With the label of the images that Compose builds: `make clean` removes it.
step "$1" "Building the image berth-test-$1" "Correct tests/$1/Dockerfile, then try again." \
    docker build --progress plain --tag "berth-test-$1" --label "com.docker.compose.project=$(project)" --build-arg "$base" "tests/$1"
