#!/usr/bin/env bash
# Provides the base images, and prints the build arguments that name them, as NAME=image lines:
#   env $(deploy/local/offline/bases.sh) docker compose build
# Pulls the official images (named in the Dockerfile) where a registry answers. Elsewhere makes Debian base images from
# Debian's packages. Images that are on this machine are used without any network.
# usage: [BASES=auto|pull|local] [RUST_IMAGE=…] [NGINX_IMAGE=…] [DEBIAN_MIRROR=…] deploy/local/offline/bases.sh [SET]
#   SET is one of:
#     apache      these two, and HTTPD_IMAGE for deploy/compose/apache.yml
#     browser     BROWSER_IMAGE for tools/e2e/fixtures/browser/Dockerfile
#     registry    REGISTRY_IMAGE for tools/e2e/fixtures/registry/Dockerfile
#     kamal       KAMAL_IMAGE for tools/e2e/fixtures/kamal/Dockerfile
#     bench       BENCH_IMAGE and PYTHON_IMAGE for tools/bench/Dockerfile

. "$(dirname "$0")/../lib.sh"
. deploy/local/offline/debian_base_image.sh

# build argument, Debian base image, its packages
bases="RUST_IMAGE berth-base/rust:forky rustc,cargo,gcc,libc6-dev,ca-certificates,tzdata
NGINX_IMAGE berth-base/nginx:forky nginx-light,libnginx-mod-http-js,curl,ca-certificates"
dockerfile=Dockerfile
case ${1-} in
'') ;;
apache) bases+=$'\nHTTPD_IMAGE berth-base/httpd:forky apache2-bin' ;;
browser) bases="BROWSER_IMAGE berth-base/browser:forky chromium,chromium-driver,fonts-inter" dockerfile=tools/e2e/fixtures/browser/Dockerfile ;;
registry) bases="REGISTRY_IMAGE berth-base/registry:forky docker-registry" dockerfile=tools/e2e/fixtures/registry/Dockerfile ;;
kamal) bases="KAMAL_IMAGE berth-base/kamal:forky ruby-kamal,git,docker-cli,openssh-client,openssh-server" dockerfile=tools/e2e/fixtures/kamal/Dockerfile ;;
bench) bases=$'BENCH_IMAGE berth-base/bench:forky wrk,haproxy,caddy,nginx-light,python3\nPYTHON_IMAGE berth-base/python:forky gunicorn' dockerfile=tools/bench/Dockerfile ;;
*) die "There is no set of base images $1." "All sets: deploy/local/offline/bases.sh --help" ;;
esac

way=${BASES:-auto}
[[ $way =~ ^(auto|pull|local)$ ]] || die "BASES=$way is none of auto, pull, local." "Without BASES, the script finds out what is possible."

offline="Without a network there are three ways: let the engine reach a registry or a mirror of one; name a Debian mirror (DEBIAN_MIRROR=…);
       or load images from a file (\`docker load\`) and name them: make up RUST_IMAGE=… NGINX_IMAGE=…"

official() { sed -n "s/^ARG $1=//p" "$dockerfile"; }
# The user's image, from the environment or from the file that Compose reads.
named() { echo "${!1:-$(sed -n "s/^$1=//p" .env 2>/dev/null)}"; }
# exists IMAGE PACKAGES: whether the image exists and has these packages; another list means that it is outdated
exists() { [[ $(docker image inspect --format '{{index .Config.Labels "berth.packages"}}' "$1" 2>/dev/null) == "$2" ]]; }

# registry_answers IMAGE: starts a pull and watches its first seconds. Only the engine knows its mirrors and proxies. If
# nothing answers, puts the reason into $silence.
registry_answers() {
    local pull answered='' tenths
    docker pull "$1" >"$work/pull.log" 2>&1 </dev/null &
    pull=$!
    for ((tenths = 0; tenths < 100; tenths++)); do
        if grep -qE 'Pulling from|^Status:' "$work/pull.log"; then answered=yes; break; fi
        kill -0 "$pull" 2>/dev/null || break
        sleep 0.1
    done
    kill "$pull" 2>/dev/null || true
    wait "$pull" 2>/dev/null || true
    silence=$(sed -n "s/^Error response from daemon: //; \$p" "$work/pull.log")
    silence=${silence:-no answer within 10 seconds}
    [[ $answered ]]
}

while read -r argument base_image packages <&3; do
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
    if [[ $way != pull ]] && exists "$base_image" "$packages"; then
        echo "$argument=$base_image"
        continue
    fi
    [[ ${work-} ]] || work_folder
    if [[ $way == auto ]]; then
        say "The base image $image is not on this machine: asking the registry"
        if registry_answers "$image"; then
            way=pull
        else
            say "   no: $silence"
            debian_ready || die "No registry gives $image ($silence), and no Debian base image can be made: $why." "$offline"
            way=local
        fi
    fi
    if [[ $way == pull ]]; then
        step "pull-${argument%_IMAGE}" "Pulling $image" "Try again, or make Debian base images: make up BASES=local" docker pull "$image"
        echo "$argument=$image"
    else
        debian_ready || die "No Debian base image can be made in place of $image: $why." "$offline"
        make_debian_base_image "$base_image" "$packages"
        echo "$argument=$base_image"
    fi
done 3<<<"$bases"
