#!/usr/bin/env bash
# Builds the images that docker-compose.yml names, with all that this needs. When nothing changed: done in a second or two.
# usage: deploy/local/images.sh [--port] [--bundle] [--apache] [SERVICE…]        (BASES, RUST_IMAGE, … as in bases.sh)
# --port: checks first that the port is free on which the stack is to be.
# --bundle, --apache: berth-bundle, berth-apache as well, which the stack does not need.

. "$(dirname "$0")/lib.sh"

port='' bundle='' apache=''
[[ ${1-} != --port ]] || { port=yes; shift; }
[[ ${1-} != --bundle ]] || { bundle=yes; shift; }
[[ ${1-} != --apache ]] || { apache=apache; shift; }
build() {
    docker compose --progress plain build "$@" || return 1
    [[ ! $bundle ]] || docker compose --file deploy/compose/bundle.yml --progress plain build || return 1
    [[ ! $apache ]] ||
        docker compose --file docker-compose.yml --file deploy/compose/apache.yml --progress plain build apache
}

deploy/local/preflight.sh
room_to_build berth-app "building (base images, crates, the result)"

deploy/local/plugins.sh
[[ ! $port ]] || deploy/local/port.sh
bases=$(deploy/local/bases.sh ${apache:+apache})
while IFS='=' read -r name image; do export "$name=$image"; done <<<"$bases"

# The version before, whose assets are kept: unless one is named, the image that bears the name so far.
if [[ ! $(docker compose config | sed -n '/: null$/!s/^ *PREVIOUS_IMAGE: //p') ]]; then
    app=$(docker compose config --images app)
    ! docker image inspect "$app" >/dev/null 2>&1 || export PREVIOUS_IMAGE=$app
fi

# The engine's own builder: only that one sees the engine's images.
BUILDX_BUILDER=${BUILDX_BUILDER:-$(docker context inspect --format '{{.Name}}')}
# No attestations: they'd give an unchanged image a new digest, and Compose would restart it.
export BUILDX_BUILDER BUILDX_NO_DEFAULT_ATTESTATIONS=1

# Marked with the name of the file even where the stack has another one: else each name had images of its own.
COMPOSE_PROJECT_NAME=$(project)
export COMPOSE_PROJECT_NAME
step build "Building the images; the first time takes some minutes" \
    "If it is your change, mend it. If crates could not be fetched, see to the network; if that intercepts TLS, this machine
       must trust its certificate (/usr/local/share/ca-certificates, update-ca-certificates): then make clean, and try again." \
    build "$@"

# What these replaced and nothing runs any more.
docker image prune --force --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" >>"$cache/build.log"
