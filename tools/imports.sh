#!/usr/bin/env bash
# Checks that imports point one way, and prints them. Fails on one that runs back up, and on a circle of files.
#   packages                  tools → app → berth; harness stands alone
#   folders of crates/berth   apache → nginx → process → middleware, settings → http, log
# usage: tools/imports.sh
set -euo pipefail
cd "$(dirname "$0")/.."
[[ ${1-} != -h && ${1-} != --help ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' tools/imports.sh; exit; }

# The packages of this repository that a manifest depends on, tests left out.
packages() {
    awk -v from="$1" '/^\[/ { on = /^\[dependencies/ }
        on && match($0, /^(app|berth|harness|assets|bench|e2e|fixture|loadgen|platform-check)[. =]/) { sub(/[. =].*/, ""); print from, $0 }' "$2"
}

# Every path that begins with crate:: or super::, as "FILE crate::a::b", one line for each name in braces.
paths() {
    awk '
        function expand(prefix, text,    depth, i, c, part) { # text: the inside of braces, or one path
            for (i = 1; i <= length(text) + 1; i++) {
                c = substr(text, i, 1)
                if (c == "{") depth++
                if (c == "}") depth--
                if (depth == 0 && (c == "," || i > length(text))) { tree(prefix, part); part = "" } else part = part c
            }
        }
        function tree(prefix, text,    at) {
            gsub(/[ \n]/, "", text)
            at = index(text, "{")
            if (at) expand(prefix substr(text, 1, at - 1), substr(text, at + 1, length(text) - at - 1))
            else if (text != "") print FILENAME, prefix text
        }
        function use(text,    i, depth, c) { # the path at the start of text, to its end
            for (i = 1; i <= length(text); i++) {
                c = substr(text, i, 1)
                if (c == "{") depth++
                else if (c == "}" && --depth == 0) { i++; break }
                else if (!depth && c !~ /[A-Za-z0-9_:]/) break
            }
            expand("", substr(text, 1, i - 1))
        }
        function scan(text) { while (match(text, /(^|[^$A-Za-z0-9_])(crate|super)::/)) {
            text = substr(text, RSTART); sub(/^[^a-z]/, "", text); use(text); text = substr(text, 8) } }
        FNR == 1 && all != "" { scan_file() }
        function scan_file(    name) { name = FILENAME; FILENAME = last; scan(all); FILENAME = name; all = "" }
        { last = FILENAME; sub(/\/\/.*/, ""); all = all $0 "\n" }
        END { scan_file() }' "$@"
}

cd crates/berth/src
mapfile -t sources < <(find . -name '*.rs' ! -name lib.rs | sed 's,^\./,,' | sort)
# "FILE FILE": the module of each path is its longest part that is a file; `super` is the folder of the file.
files=$(paths "${sources[@]}" | awk -v all=" ${sources[*]} " '{
    from = $1; path = $2; folder = from; sub(/\/?[^\/]*$/, "", folder); sub(/^crate::/, "", path)
    while (sub(/^super::super::/, "super::", path)) sub(/\/?[^\/]*$/, "", folder)
    if (sub(/^super::/, "", path)) path = (folder == "" ? "" : folder "/") path
    gsub(/::/, "/", path)
    while (path != "" && !index(all, " " path ".rs ")) if (!sub(/\/[^\/]*$/, "", path)) path = ""
    if (path != "" && path ".rs" != from) print from, path ".rs" }' | sort -u)
cd ../../..

edges=$({
    packages app Cargo.toml
    for package in crates/* tools/*/; do
        [[ ! -f $package/Cargo.toml ]] || packages "$(basename "$package")" "$package/Cargo.toml"
    done
    sed -E 's,[./][^ ]*,,g' <<<"$files" | awk '$1 != $2 { print "berth/" $1, "berth/" $2 }'
} | sort -u)
echo "${edges// / → }"
echo "$(wc -l <<<"$files") imports between $(printf '%s\n' "${sources[@]}" | wc -l) files of crates/berth"

wrong=$(awk 'BEGIN { split("berth/http 0 berth/log 0 berth/middleware 1 berth/settings 1 berth/process 2 berth/nginx 3 berth/apache 4" \
        " harness 0 berth 1 app 2 assets 3 fixture 3 loadgen 3 platform-check 3 bench 4 e2e 4", words, " ")
        for (i = 1; words[i] != ""; i += 2) rank[words[i]] = words[i + 1] }
    !($1 in rank) || !($2 in rank) || rank[$1] <= rank[$2] { print "    " $1 " → " $2 }' <<<"$edges")
[[ ! $wrong ]] || { printf 'berth: These imports run back up, or a package or folder is unknown:\n%s\n' "$wrong" >&2; exit 1; }
circle=$(tsort <<<"$files" 2>&1 >/dev/null) || { printf 'berth: These files import each other in a circle:\n%s\n' "$circle" >&2; exit 1; }
