#!/usr/bin/env bash
# Checks that the port that the stack publishes (PUBLISH, 8000 by default) is free, or held by this very stack.
# usage: deploy/local/port.sh

. "$(dirname "$0")/lib.sh"

# What Compose makes of PUBLISH in the environment or in .env: "address port", the port being empty where any will do.
read -r address port < <(docker compose config nginx | awk '
    $1 == "host_ip:" { address = $2 }
    $1 == "published:" { gsub(/"/, ""); port = $2 }
    END { print (address == "" || address ~ /^(0\.0\.0\.0|::)$/ ? "127.0.0.1" : address), port }')
[[ $port =~ ^[0-9]+$ ]] || exit 0
[[ $(docker compose port nginx 8080 2>/dev/null || true) != *":$port" ]] || exit 0

if (: <>"/dev/tcp/$address/$port") 2>/dev/null; then
    die "The port $port is taken by another program." \
        "Stop that (\`ss -ltnp\` and \`docker ps\` show which it is), or take another port: PUBLISH=127.0.0.1:$((port + 1)) in .env, then make up"
fi
