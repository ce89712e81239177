#!/usr/bin/env bash
# Builds the images that docker-compose.yml names, with all that this needs. When nothing changed: done in a second or two.
# usage: deploy/local/images.sh        (BASES, RUST_IMAGE, … as in bases.sh)

. "$(dirname "$0")/lib.sh"

deploy/local/preflight.sh
deploy/local/plugins.sh
deploy/local/port.sh
bases=$(deploy/local/bases.sh)
while IFS='=' read -r name image; do export "$name=$image"; done <<<"$bases"

# The engine's own builder: only that one sees the engine's images.
BUILDX_BUILDER=${BUILDX_BUILDER:-$(docker context inspect --format '{{.Name}}')}
# No attestations: they'd give an unchanged image a new digest, and Compose would restart it.
export BUILDX_BUILDER BUILDX_NO_DEFAULT_ATTESTATIONS=1

step build "Building the images; the first time takes minutes, with nothing changed a second" \
    "If it is your change, mend it; if the crates could not be fetched, see to the network; then try again." \
    docker compose --progress plain build

# What these replaced and nothing runs any more.
project=$(docker image inspect --format '{{index .Config.Labels "com.docker.compose.project"}}' berth-app)
docker image prune --force --filter "label=com.docker.compose.project=$project" >>"$cache/build.log"
