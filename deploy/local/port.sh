#!/usr/bin/env bash
# Checks that the stack's port (PUBLISH, 8000 by default) is free, or held by this stack.
# usage: deploy/local/port.sh

. "$(dirname "$0")/lib.sh"

# PUBLISH from the environment or .env, as Compose reads it: "address port", without a port if Docker is to choose one.
read -r address port < <(docker compose config nginx | awk '
    $1 == "host_ip:" { address = $2 }
    $1 == "published:" { gsub(/"/, ""); port = $2 }
    END { print (address == "" || address ~ /^(0\.0\.0\.0|::)$/ ? "127.0.0.1" : address), port }')
[[ $port =~ ^[0-9]+$ ]] || exit 0
[[ $(docker compose port nginx 8080 2>/dev/null || true) != *":$port" ]] || exit 0

if (: <>"/dev/tcp/$address/$port") 2>/dev/null; then
    die "The port $port is taken by another program." \
        "Stop that program (\`ss -ltnp\` and \`docker ps\` show it), or use another port: PUBLISH=127.0.0.1:$((port + 1)) in .env, then make up"
fi
