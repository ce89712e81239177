#!/usr/bin/env bash
# Sees to it that Docker has the Compose v2 and Buildx plugins: where they are missing, they are taken from
# Debian's packages and put into your own plugin folder (${DOCKER_CONFIG:-~/.docker}/cli-plugins).
# usage: deploy/local/plugins.sh

. "$(dirname "$0")/lib.sh"
. deploy/local/debian.sh

# plugin, oldest version that will do, Debian's package
wanted="compose 2.21 docker-compose
buildx 0.17 docker-buildx"

version() { docker "$1" version 2>/dev/null | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1 || true; }

missing=() packages=()
while read -r plugin oldest package; do
    has=$(version "$plugin")
    [[ -z $has ]] || ! at_least "$oldest" "$has" || continue
    [[ -z $has || ! -e $plugins/docker-$plugin ]] ||
        die "$plugins/docker-$plugin is too old: $has; $oldest is needed." "Update it, or remove that file and try again: a newer one is then fetched."
    missing+=("$plugin") packages+=("$package")
done <<<"$wanted"
((${#missing[@]})) || exit 0

by_hand="Install them: on Debian 13 or newer and on Fedora docker-compose and docker-buildx, on Ubuntu docker-compose-v2 and
       docker-buildx, elsewhere see https://docs.docker.com/compose/install/linux/. Or name a Debian mirror that can be reached: DEBIAN_MIRROR=…"

room "$cache" 400 "fetching Docker's plugins"
room "$plugins" 150 "Docker's plugins"
work_folder
say "Docker's plugins ${missing[*]} are missing here: taking them from Debian's packages"
debian_ready || die "Docker's plugins ${missing[*]} are missing, and can't be fetched: $why." "$by_hand"

# Each is tried first, and then put in place whole.
get() {
    local plugin from=$work/root/usr/libexec/docker/cli-plugins
    debian_unpack "$work/root" "${packages[@]}" && mkdir -p "$plugins" && new=$(mktemp -d "$plugins/.new.XXXXXX") || return 1
    for plugin in "${missing[@]}"; do
        "$from/docker-$plugin" docker-cli-plugin-metadata && cp "$from/docker-$plugin" "$new/" || return 1
    done
    mv "$new"/* "$plugins/"
}
new=''
trap 'rm -rf "$work" ${new:+"$new"}' EXIT
step plugins "Putting them into $plugins" "$by_hand" get
