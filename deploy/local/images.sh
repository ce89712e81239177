#!/usr/bin/env bash
# Builds the images of docker-compose.yml, and provides the plugins and base images that the build needs. Takes a second or
# two when nothing changed.
# usage: deploy/local/images.sh [--port] [--bundle] [--apache] [SERVICE…]    (BASES, RUST_IMAGE, … as in offline/bases.sh)
#   --port      checks first that the stack's port is free
#   --bundle    builds berth-bundle too, which the stack does not need
#   --apache    builds berth-apache too, which the stack does not need

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

deploy/local/offline/plugins.sh
[[ ! $port ]] || deploy/local/port.sh
bases=$(deploy/local/offline/bases.sh ${apache:+apache})
while IFS='=' read -r name image; do export "$name=$image"; done <<<"$bases"

# The image of the version before, whose assets are kept: by default the one that has the app's name now.
if [[ ! $(docker compose config | sed -n '/: null$/!s/^ *PREVIOUS_IMAGE: //p') ]]; then
    app=$(docker compose config --images app)
    ! docker image inspect "$app" >/dev/null 2>&1 || export PREVIOUS_IMAGE=$app
fi

# The engine's own builder: other builders don't see the engine's images.
BUILDX_BUILDER=${BUILDX_BUILDER:-$(docker context inspect --format '{{.Name}}')}
# Without attestations: they give an unchanged image a new digest, and Compose would restart its containers.
export BUILDX_BUILDER BUILDX_NO_DEFAULT_ATTESTATIONS=1

# The label with the file's project name, also where the stack has another name: otherwise each name had its own images.
COMPOSE_PROJECT_NAME=$(project)
export COMPOSE_PROJECT_NAME
step build "Building the images; the first time takes some minutes" \
    "If your change caused it, correct that. If crates could not be fetched, check the network. If the network intercepts TLS,
       this machine must trust its certificate (/usr/local/share/ca-certificates, update-ca-certificates): then make clean, and try again." \
    build "$@"

# The replaced images that no container uses.
docker image prune --force --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" >>"$cache/build.log"
