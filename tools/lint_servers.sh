#!/usr/bin/env bash
# The checks of the files of Compose, nginx and Apache. To be sourced by lint.sh.

check_compose() {
    docker compose config --quiet
    docker compose --file deploy/compose/bundle.yml config --quiet
    with_apache
}
# The two files as Compose merges them: a linter does not know `!reset`.
with_apache() { docker compose --file docker-compose.yml --file deploy/compose/apache.yml config >target/apache.yml; }
check_compose-lint() {
    with_apache
    cat >target/compose-lint.yml <<'END'
rules:
  CL-0004: {exclude_services: {apache: built here, app: built here, bundle: built here, nginx: built here}}
  CL-0005: {exclude_services: {apache: the same, bundle: the same, nginx: clients reach it; PUBLISH narrows it}}
END
    compose-lint check --fail-on low --config target/compose-lint.yml --strict-config --no-env docker-compose.yml \
        deploy/compose/bundle.yml target/apache.yml
}

# The configuration as the image writes it, in a container with as few rights as the one that Compose runs.
bare() { docker run --rm --read-only --tmpfs /tmp --cap-drop ALL --network none "$@"; }
check_nginx() { bare berth-nginx nginx "${1:--t}"; }
check_apache() { bare berth-apache apache -t; }
# The same in the bundle, from SIGTERM on.
draining() {
    bare --entrypoint sh berth-bundle -c "/app nginx -t &&
        echo 'include /etc/nginx/drain.conf;' >> /tmp/berth/listen.conf && nginx -T"
}

check_gixy() {
    check_nginx -T >target/nginx.conf
    draining >target/nginx-drain.conf
    # try_files_is_evil_too: a cache of open files would save less than a tenth, and go on with a file that was replaced.
    # worker_rlimit_nofile_vs_connections: an idle client takes one, and e2e's config_consistency counts the others.
    gixy --skips try_files_is_evil_too,worker_rlimit_nofile_vs_connections target/nginx.conf target/nginx-drain.conf
}
