#!/usr/bin/env bash
# Sees to it that the base images are there, and prints what to build with, as NAME=image lines:
#   env $(deploy/local/bases.sh) docker compose build
# The official images (named in the Dockerfile) are pulled where a registry answers; elsewhere stand-ins are
# made from Debian's packages. What is already there is used, without any network.
# usage: [BASES=auto|pull|local] [RUST_IMAGE=…] [NGINX_IMAGE=…] [DEBIAN_MIRROR=…] deploy/local/bases.sh
#        [BASES=…] [HTTPD_IMAGE=…] deploy/local/bases.sh apache           these, and what deploy/compose/apache.yml takes
#        [BASES=…] [BROWSER_IMAGE=…] deploy/local/bases.sh browser        what tests/browser/Dockerfile is built on
#        [BASES=…] [REGISTRY_IMAGE=…] deploy/local/bases.sh registry      the same of tests/registry/Dockerfile
#        [BASES=…] [KAMAL_IMAGE=…] deploy/local/bases.sh kamal            and of tests/kamal/Dockerfile
#        [BASES=…] [BENCH_IMAGE=…] [PYTHON_IMAGE=…] deploy/local/bases.sh bench    and of tools/bench/Dockerfile

. "$(dirname "$0")/lib.sh"
. deploy/local/stand-in.sh

# build argument, stand-in, what it is made of
bases="RUST_IMAGE berth-base/rust:forky rustc,cargo,gcc,libc6-dev,ca-certificates,tzdata
NGINX_IMAGE berth-base/nginx:forky nginx-light,libnginx-mod-http-js,curl,ca-certificates"
dockerfile=Dockerfile
case ${1-} in
apache)
    bases+="
HTTPD_IMAGE berth-base/httpd:forky apache2-bin"
    ;;
browser)
    bases="BROWSER_IMAGE berth-base/browser:forky chromium,chromium-driver,fonts-inter"
    dockerfile=tests/browser/Dockerfile
    ;;
registry)
    bases="REGISTRY_IMAGE berth-base/registry:forky docker-registry"
    dockerfile=tests/registry/Dockerfile
    ;;
kamal) bases="KAMAL_IMAGE berth-base/kamal:forky ruby-kamal,git,docker-cli,openssh-client,openssh-server" dockerfile=tests/kamal/Dockerfile ;;
bench) bases=$'BENCH_IMAGE berth-base/bench:forky wrk,haproxy,caddy,nginx-light,python3\nPYTHON_IMAGE berth-base/python:forky gunicorn' dockerfile=tools/bench/Dockerfile ;;
esac

way=${BASES:-auto}
[[ $way =~ ^(auto|pull|local)$ ]] || die "BASES=$way is none of auto, pull, local." "Leave it out, and what is possible is found out."

offline="With no network there are three ways on: have the engine reach a registry or a mirror of one; name a Debian mirror (DEBIAN_MIRROR=…);
       or bring images along (\`docker load\`) and name them: make up RUST_IMAGE=… NGINX_IMAGE=…"

official() { sed -n "s/^ARG $1=//p" "$dockerfile"; }
named() { echo "${!1:-$(sed -n "s/^$1=//p" .env 2>/dev/null)}"; } # by the user: in the environment, or where Compose reads it
# A stand-in made of other packages than are wanted now doesn't count.
stand_in_there() { [[ $(docker image inspect --format '{{index .Config.Labels "berth.packages"}}' "$1" 2>/dev/null) == "$2" ]]; }

# registry_answers IMAGE: starts a pull, for the engine knows mirrors and proxies that we don't, and watches how it begins.
registry_answers() {
    local pull heard='' tenths
    docker pull "$1" >"$work/pull.log" 2>&1 </dev/null &
    pull=$!
    for ((tenths = 0; tenths < 100; tenths++)); do
        if grep -qE 'Pulling from|^Status:' "$work/pull.log"; then heard=yes; break; fi
        kill -0 "$pull" 2>/dev/null || break
        sleep 0.1
    done
    kill "$pull" 2>/dev/null || true
    wait "$pull" 2>/dev/null || true
    silence=$(sed -n "s/^Error response from daemon: //; \$p" "$work/pull.log")
    silence=${silence:-no answer within 10 seconds}
    [[ $heard ]]
}

while read -r argument stand_in packages <&3; do
    image=$(named "$argument")
    if [[ -n $image ]]; then
        echo "$argument=$image"
        continue
    fi
    image=$(official "$argument")
    if [[ $way != local ]] && docker image inspect "$image" >/dev/null 2>&1; then
        echo "$argument=$image"
        continue
    fi
    if [[ $way != pull ]] && stand_in_there "$stand_in" "$packages"; then
        echo "$argument=$stand_in"
        continue
    fi
    [[ ${work-} ]] || work_folder
    if [[ $way == auto ]]; then
        say "The base image $image is not here: asking the registry"
        if registry_answers "$image"; then
            way=pull
        else
            say "   no: $silence"
            debian_ready || die "No registry gives $image ($silence), and no stand-in can be made: $why." "$offline"
            way=local
        fi
    fi
    if [[ $way == pull ]]; then
        step "pull-${argument%_IMAGE}" "Pulling $image" "Try again, or make stand-ins from Debian's packages: make up BASES=local" docker pull "$image"
        echo "$argument=$image"
    else
        debian_ready || die "The stand-in for $image can't be made: $why." "$offline"
        make_stand_in "$stand_in" "$packages"
        echo "$argument=$stand_in"
    fi
done 3<<<"$bases"
