#!/usr/bin/env bash
# Explains why a push failed. To be sourced after lib.sh; needs $image, $name and $host.
#   try TEXT COMMAND…    like `step`, but the remedy depends on the error of Docker or the registry, in $log

: "${image:?}" "${name:?}" "${host:?}"
log=${cache:?}/push.log

try() {
    say "$1 (log: $log)"
    with_progress "$log" "${@:2}" || explain
}

explain() {
    sed '/Retrying in/d; s/^/   | /' "$log" | tail -n 15 >&2
    shopt -s nocasematch
    case $(tail -n 5 "$log") in
    *"no space left"*)
        die "The disk is full: $image was not pushed." \
            "Make room (\`docker system prune\` frees what Docker does not use), then try again." ;;
    *"no basic auth"* | *unauthorized* | *"denied: "* | *"authentication required"* | *forbidden*)
        die "The registry $host does not let you push $name." \
            "Log in: docker login $host. If you are logged in, ask its owner for the right to push there." ;;
    *x509* | *"HTTP response to HTTPS"*)
        die "The engine does not trust the registry $host." \
            "Put the certificate of its certificate authority into /etc/docker/certs.d/$host/ca.crt.
       If it has no TLS, add it to the insecure-registries in /etc/docker/daemon.json, and restart the engine." ;;
    *"connection refused"* | *"no such host"* | *timeout* | *"deadline exceeded"* | *"no route"* | *unreachable* | \
        *"reset by peer"* | *EOF* | *misbehaving*)
        die "The registry $host does not answer." \
            "See whether it runs, and whether this machine can reach it (curl -i https://$host/v2/), then try again." ;;
    *"HTTP status: 5"* | *"unknown error"* | *"internal server error"* | *"service unavailable"* | *"bad gateway"*)
        die "The registry $host failed to store $image; its disk may be full." \
            "Its log says why. Have room made there, then try again: layers that it has already are not sent again." ;;
    *) die "$image was not pushed; the last lines are above, all of them in $log" "Correct what they say, then try again." ;;
    esac
}
