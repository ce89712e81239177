#!/bin/sh
# Writes the parts of httpd's configuration that depend on the environment and on who there is, then runs the command
# given (httpd), and goes on to watch who there is.
# usage: entrypoint.sh COMMAND [ARGUMENT…]
# Reads CLIENT_HEADER, CLIENT_TIMEOUT, KEEP_ALIVE, MAX_BODY, REQUEST_ID_HEADER and TRUSTED_PROXIES, as the app does, which
# also says what is wrong with them.
set -eu

out=/tmp/berth
export LC_ALL=C

settings=$(/berth config)
setting() { printf '%s\n' "$settings" | awk -v name="$1" '$1 == name && NF > 2 { print $2 }'; }

# One line for each replica that Docker's DNS names, ready or not. Which are ready is httpd's own to find out.
replicas() {
    getent ahosts app | awk '$2 == "STREAM" { print $1 }' | sort -u | awk '{
        print "BalancerMember http://" (/:/ ? "[" $1 "]" : $1) ":8080 ${member}"
    }'
}

# httpd looks up a name but once. No answer is no news: those that are known may still be there.
watch() {
    while sleep 2; do
        replicas > "$out/new.conf"
        if [ -s "$out/new.conf" ] && ! cmp -s "$out/new.conf" "$out/replicas.conf"; then
            mv "$out/new.conf" "$out/replicas.conf"
            kill -USR1 $$ # a graceful reload
        fi
    done
}

mkdir -p "$out"
replicas > "$out/replicas.conf"

body=$(setting MAX_BODY)
case $body in
    *[kK]) body=$((${body%?} << 10)) ;;
    *[mM]) body=$((${body%?} << 20)) ;;
    *[gG]) body=$((${body%?} << 30)) ;;
esac
timeout=$(setting CLIENT_TIMEOUT)
keep=$(setting KEEP_ALIVE)
cat > "$out/limits.conf" <<END
Define max_body $body
RequestReadTimeout handshake=0 header=$timeout body=$timeout,MinRate=500
Timeout $timeout
KeepAlive $([ "$keep" = 0 ] && echo Off || echo On)
KeepAliveTimeout $(awk -v keep="$keep" 'BEGIN { print int(keep * 1000) }')ms
END

# httpd knows no network of all addresses, but both its halves. Were it to read the header without knowing any proxy, it
# would believe everyone.
setting TRUSTED_PROXIES | tr , '\n' | sed 's,^0.0.0.0/0$,0.0.0.0/1\n128.0.0.0/1,; s,^::/0$,::/1\n8000::/1,' |
    awk -v header="$(setting CLIENT_HEADER)" '{
    if (NR == 1) print "RemoteIPHeader " header
    print "RemoteIPInternalProxy " $1
    print "SetEnvIfExpr \"%{CONN_REMOTE_ADDR} -ipmatch \047" $1 "\047\" is_trusted"
}' > "$out/trusted_proxies.conf"
# No header has a colon for its name.
echo "Define request_id_header $(setting REQUEST_ID_HEADER | sed 's/^none$/:/')" >> "$out/trusted_proxies.conf"

# [::] is IPv4 too, and that alone where the kernel has no IPv6.
if [ -e /proc/net/if_inet6 ]; then echo "Listen [::]:8080"; else echo "Listen 0.0.0.0:8080"; fi > "$out/listen.conf"

case $* in *FOREGROUND*) watch & esac

exec "$@"
