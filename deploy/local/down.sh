#!/usr/bin/env bash
# Stops and removes what up.sh started; with --images also the images that were made, not those that were pulled.
# usage: deploy/local/down.sh [--images]

. "$(dirname "$0")/lib.sh"

deploy/local/preflight.sh
if docker compose version >/dev/null 2>&1; then
    step down "Stopping" "See what \`docker compose ps -a\` says." docker compose --progress plain down --remove-orphans
fi
[[ ${1-} == --images ]] || exit 0

read -ra made < <(docker image ls --quiet --filter reference='berth-app' --filter reference='berth-nginx' --filter reference='berth-base/*' | sort -u | tr '\n' ' ') || true
((${#made[@]} == 0)) || step clean "Removing ${#made[@]} images" "A container may still use one: docker ps -a" docker image rm --force "${made[@]}"
rm -rf "$cache"
say "Left in place: Docker's plugins in $plugins, and its build cache (docker builder prune)"
