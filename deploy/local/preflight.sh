#!/usr/bin/env bash
# Checks that Docker can be used; if not, says what to do.
# usage: deploy/local/preflight.sh

. "$(dirname "$0")/lib.sh"

command -v docker >/dev/null ||
    die "There is no \`docker\` command." "Install Docker Engine 20.10 or newer: https://docs.docker.com/engine/install/ (on Debian: sudo apt-get install docker.io)."

if ! answer=$(docker version --format '{{.Server.Version}} {{.Server.APIVersion}}' 2>&1); then
    at=${DOCKER_HOST:-$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || echo unix:///var/run/docker.sock)}
    socket=${at#unix://}
    case $answer in
    *"permission denied"*)
        die "You may not use Docker's socket, $socket." \
            "Join its group: sudo usermod -aG docker \$USER, then log in again. (Or, this once: sudo make up)" ;;
    *"no such file"* | *"Cannot connect"*)
        [[ $at != unix://* || -S $socket ]] ||
            die "There is no Docker Engine at $socket." \
                "Start it (sudo systemctl start docker) or install it; if it listens elsewhere, name that with DOCKER_HOST or \`docker context use\`."
        die "The Docker Engine at $at is not running." "Start it: sudo systemctl start docker (or Docker Desktop)." ;;
    *) die "The Docker Engine at $at can't be used: ${answer##*$'\n'}" "\`docker version\` must work first." ;;
    esac
fi

# Compares the API's version, because compatible engines (Podman) number their releases differently. 1.41 is that of 20.10.
at_least 1.41 "${answer#* }" ||
    die "This Docker Engine is too old: ${answer% *}." "Update it to 20.10 or newer: https://docs.docker.com/engine/install/"
