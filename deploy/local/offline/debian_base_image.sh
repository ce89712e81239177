#!/usr/bin/env bash
# Makes a base image from Debian's packages. To be sourced after lib.sh; to be called after debian_ready succeeded.
#   make_debian_base_image NAME PACKAGE,PACKAGE…
# Uses apt and Docker alone, so it needs neither root nor a bootstrap tool. Unpacks the essential packages and imports them
# as a first image. In a container of that image dpkg installs all packages properly.

. deploy/local/offline/debian.sh

make_debian_base_image() {
    room "$work" 1000 "making a base image"
    first='' container=berth-base-image-$$
    trap 'rm -rf "$work"; tidy >/dev/null 2>&1' EXIT
    step "base-image-${1//[:\/]/-}" "Making $1 from Debian's packages; this takes up to 3 minutes" \
        "Try again; if it keeps failing, name another mirror: DEBIAN_MIRROR=…" \
        bootstrap "$1" "$2"
}

# Removes the container, and the first image.
tidy() {
    docker rm --force --volumes "$container"
    [[ -z $first ]] || docker image rm "$first"
    first=''
}

bootstrap() {
    local name=$1 packages=$2 root=$work/root bundle=/etc/ssl/certs/ca-certificates.crt image deb
    [[ -d $work/essential ]] || get_packages "$work/essential" '?essential' || return 1
    rm -rf "$root" && mkdir -p "$root/debs" || return 1
    cp -r "$work/essential" "$root/debs/first" && cp -r "$work/essential" "$root/debs/then" || return 1
    for deb in "$root"/debs/first/*.deb; do dpkg-deb --extract "$deb" "$root" || return 1; done
    # shellcheck disable=SC2086 # one word per package
    get_packages "$root/debs/then" '?essential' ${packages//,/ } || return 1
    (cd "$root/debs/first" && for deb in *.deb; do rm -f "../then/$deb"; done)
    # The builds trust the certificates that this machine trusts: for networks that intercept TLS.
    [[ ! -f $bundle ]] || cp "$bundle" "$root/debs/trusted.crt" || return 1

    echo "== unpacking"
    first=$(tar --create --directory "$root" --owner=0 --group=0 --numeric-owner . | docker import -) || return 1
    docker run --name "$container" "$first" sh -euc "$inside" &&
        echo "== importing" &&
        image=$(docker export "$container" | docker import --change "LABEL berth.packages=$packages" -) &&
        docker tag "$image" "$name"
    local status=$?
    tidy
    return $status
}

# get_packages FOLDER PACKAGE…: fetches these packages, and all that they need, unless they are in the folder
get_packages() {
    local folder=$1
    shift
    mkdir -p "$folder/partial" || return 1
    own_apt --option "Dir::Cache::Archives=$folder" install --yes --download-only --no-install-recommends "$@" || return 1
    rm -rf "$folder/partial" "$folder/lock"
}

# shellcheck disable=SC2016
inside='
    export DEBIAN_FRONTEND=noninteractive
    printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d # no service is started
    chmod +x /usr/sbin/policy-rc.d
    printf "path-exclude=/usr/share/%s/*\n" doc man locale >/etc/dpkg/dpkg.cfg.d/small
    touch /var/lib/dpkg/status
    dpkg --force-unsafe-io --force-depends --install /debs/first/*.deb
    dpkg --force-unsafe-io --force-depends --unpack /debs/then/*.deb # some need others set up before they are unpacked
    dpkg --force-unsafe-io --configure --pending
    rm -rf /usr/share/doc/* /usr/share/man/* /usr/share/locale/* /usr/sbin/policy-rc.d
    if [ -f /debs/trusted.crt ]; then mkdir -p /etc/ssl/certs; cp /debs/trusted.crt /etc/ssl/certs/ca-certificates.crt; fi
    rm -rf /debs
'
