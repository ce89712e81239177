#!/bin/sh
# Writes the parts of nginx's configuration that depend on the environment, then runs the command given (nginx).
# usage: entrypoint.sh COMMAND [ARGUMENT…]
# Reads ALLOWED_HOSTS, CLIENT_HEADER, CLIENT_TIMEOUT, DRAIN_SECONDS, KEEP_ALIVE, MAINTENANCE, MAX_BODY, MAX_REQUESTS,
# REQUEST_ID_HEADER, STATIC_PREFIX and TRUSTED_PROXIES, with the app's rules and defaults (src/config.rs). In the bundle,
# src/bundle.rs adds APP, the app's socket, and BIND.
set -eu

out=/tmp/berth
mistakes=''

entries() { # LIST, separated by commas: its entries in lower case, one a line
    printf '%s\n' "$1" | tr ',A-Z' '\na-z' | sed 's/^[[:blank:]]*//; s/[[:blank:]]*$//; /^$/d'
}

check() { # NAME VALUE ENTRIES REGEX REMEDY: notes a mistake if an entry does not match, or if there is none
    [ -n "$3" ] && ! printf '%s\n' "$3" | grep -Evqx "$4" && return
    mistakes="$mistakes
  $1=\"$2\": $5"
}

hosts=${ALLOWED_HOSTS-127.0.0.1,localhost,[::1]}
host_list=$(entries "$hosts")
check ALLOWED_HOSTS "$hosts" "$host_list" '\*|\[[0-9a-f:.]*:[0-9a-f:.]*\]|\.?[a-z0-9-]+(\.[a-z0-9-]+)*\.?' \
    'name hosts such as example.com, .example.com for a domain with its subdomains, or * for any; no port, no scheme'

prefix=${STATIC_PREFIX:-/}
check STATIC_PREFIX "$prefix" "$prefix" '/|(/[A-Za-z0-9_-]+)+/?' \
    'write / or a path such as /static, of letters, digits, - and _'

private='127.0.0.0/8\n10.0.0.0/8\n172.16.0.0/12\n192.168.0.0/16\n100.64.0.0/10\n169.254.0.0/16\n::1\nfc00::/7\nfe80::/10'
proxies=$(entries "${TRUSTED_PROXIES:-}" | sed "s,^private\$,$private," | sort -u)
check TRUSTED_PROXIES "${TRUSTED_PROXIES:-}" "${proxies:-::}" '([0-9.]+|[0-9a-f.:]*:[0-9a-f.:]*)(/[0-9]+)?' \
    'write addresses and networks such as 192.0.2.1 or 10.0.0.0/8, or private'

header() { # NAME VALUE
    check "$1" "$2" "$2" '[A-Za-z0-9-]{1,64}' 'write the name of a header, such as X-Real-IP'
}
client_header=${CLIENT_HEADER:-X-Forwarded-For} id_header=${REQUEST_ID_HEADER:-X-Request-Id}
header CLIENT_HEADER "$client_header"
header REQUEST_ID_HEADER "$id_header"

seconds() { # NAME VALUE
    check "$1" "$2" "$2" '[0-9]{1,5}(\.[0-9]*)?' 'write seconds, such as 5 or 2.5'
}
drain=${DRAIN_SECONDS:-2.5} keep=${KEEP_ALIVE:-100}
seconds DRAIN_SECONDS "$drain"
seconds KEEP_ALIVE "$keep"

number() { # NAME VALUE MOST
    case $2 in *[!0-9]*) ;; *) [ "$2" -ge 1 ] && [ "$2" -le "$3" ] && return ;; esac 2>/dev/null
    check "$1" "$2" '' '' "set it to a number from 1 to $3"
}
timeout=${CLIENT_TIMEOUT:-10} requests=${MAX_REQUESTS:-512}
number CLIENT_TIMEOUT "$timeout" 86400
number MAX_REQUESTS "$requests" 65535

body=${MAX_BODY:-10m}
check MAX_BODY "$body" "$body" '[1-9][0-9]{0,8}[kKmMgG]?' \
    'set it to bytes such as 512, or to one such as 64k, 10m or 1g'

maintenance=${MAINTENANCE:-off}
check MAINTENANCE "$maintenance" "$maintenance" 'on|off' 'set it to on or off'

if [ -n "$mistakes" ]; then
    echo "nginx: the configuration can't be used; change these environment variables:$mistakes" >&2
    exit 78
fi

mkdir -p "$out"

# [::] is IPv4 too, and that alone where the kernel has no IPv6. A burst of clients waits to be accepted; what is more than
# the kernel's own limit (net.core.somaxconn) is as much as that.
case ${BIND:=[::]:8080} in
    \[::]:*) echo "listen ${BIND##*:} backlog=4096;"; [ ! -e /proc/net/if_inet6 ] || echo "listen $BIND backlog=4096;" ;;
    *) echo "listen $BIND backlog=4096;" ;;
esac > "$out/listen.conf"

# One pattern a host. An address in brackets under * is left to the app, which knows good ones from bad ones.
printf '%s\n' "$host_list" | awk '
    $0 == "*" { print "\"~^[^[]\" 1;"; next }
    { sub(/\.$/, ""); gsub(/[].[]/, "\\\\&"); sub(/^\\\./, "(?:.*\\.)?"); print "\"~*^" $0 "$\" 1;" }
' > "$out/allowed_hosts.conf"

echo "\"~^${prefix%/}/\S* ${prefix%/}(?<below_prefix>/.+)\$\" \$below_prefix;" > "$out/static_prefix.conf"

{
    echo "client_max_body_size $body;"
    printf "%s ${timeout}s;\n" client_header_timeout client_body_timeout send_timeout lingering_time
    awk -v keep="$keep" 'BEGIN { print "keepalive_timeout " int(keep * 1000) "ms;" }'
} > "$out/limits.conf"
echo "limit_conn requests $requests;" > "$out/max_requests.conf"
echo "default $([ "$maintenance" = on ] && echo 1 || echo 0);" > "$out/maintenance.conf"

{
    echo "real_ip_header $client_header;"
    printf '%s' "$proxies" | sed '/./s/.*/set_real_ip_from &;/'
} > "$out/real_ip.conf"
case $id_header in
    none) echo 'default "";' ;;
    *) echo "default \$http_$(printf '%s' "$id_header" | tr 'A-Z-' 'a-z_');" ;;
esac > "$out/request_id.conf"
printf '%s' "$proxies" | sed '/./s/.*/& 1;/' > "$out/trusted_proxies.conf"

if [ -n "${APP:-}" ]; then
    : > "$out/resolver.conf"
    echo "server $APP;" > "$out/replicas.conf"
else
    # The DNS server of the container. An answer is asked for anew every two seconds, whatever its lifetime.
    awk '$1 == "nameserver" { list = list " " (index($2, ":") ? "[" $2 "]" : $2) } END { print "resolver" list " valid=1s;" }' \
        /etc/resolv.conf > "$out/resolver.conf"

    # The replicas. One failure takes one out of turn, for the time of its drain and the 2 s until the resolver's news
    # arrive. The second line has the same replicas once more, for when all of them are out of turn.
    awk -v drain="$drain" 'BEGIN {
        print "server app:8080 resolve fail_timeout=" int(drain + 0.999) + 2 "s;"
        print "server app:8080 resolve backup max_fails=0;"
    }' > "$out/replicas.conf"
fi
# Each request that is passed on has a connection, which is kept for the next: else a burst would open most of them anew.
echo "keepalive $requests;" >> "$out/replicas.conf"

# The CPU quota of the container's cgroup (v2, else v1), at least 1; without one, what the machine has.
cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us 2>/dev/null |
    xargs | awk -v cpus="$(nproc)" '
    { quota = $1 > 0 ? int($1 / $2) : cpus; if (quota > cpus) quota = cpus; if (quota < 1) quota = 1 }
    END { print "worker_processes " (quota ? quota : cpus) ";" }' > "$out/workers.conf"

# The server's log goes through the relay, which nobody can keep waiting.
case $* in *'daemon off'*)
    mkfifo "$out/log.$$"
    /etc/nginx/relay.pl < "$out/log.$$" &
    exec > "$out/log.$$"
    rm "$out/log.$$"
esac

# nginx takes turns with the replicas on its machine: src/turns.rs says how. Where that is refused, it does without.
! chrt --batch 0 true 2>/dev/null || set -- chrt --batch 0 "$@"

exec "$@"
