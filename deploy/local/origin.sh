#!/usr/bin/env bash
# Where an image comes from. To be sourced after lib.sh; sets
#   $tags                the git revision, with -dirty if something is not as it was committed; none if it is unknown
#   $labels              name=value: version, licence, source and revision, as far as they are known
#   SOURCE_DATE_EPOCH    the time of the commit, unless it is set

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# The version is no tag: it changes by hand, and would be moved from one release to the next.
# shellcheck disable=SC2034 # for the script that sources this
tags=() labels=("version=$version" "licenses=$(sed -n 's/^license = "\(.*\)"/\1/p' Cargo.toml)")

# Nothing of the address that could be secret, and no path of this machine.
from=$(git config --get remote.origin.url 2>/dev/null | sed -nE 's,\.git$,,; s,^ssh://([^@/]*@)?([^:/]+)(:[0-9]+)?/,https://\2/,
    s,^[^@/]+@([^:/]+):,https://\1/,; s,^(https?://)([^/]*@)?,\1,p') || true
if [[ $from ]]; then
    labels+=("source=$from")
else
    say "The source is unknown: git's remote \`origin\` is no address that others can open, so no label tells it"
fi

if revision=$(git rev-parse --verify --quiet HEAD 2>/dev/null); then
    dirty=''
    if [[ $(git status --porcelain .) ]]; then
        dirty=-dirty
        say "Some files are not as they were committed: the revision gets the mark $dirty"
    fi
    tags+=("${revision:0:12}$dirty") labels+=("revision=$revision$dirty")
    export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
else
    say "The revision is unknown: git, or a commit, is missing here, so neither tag nor label tells it"
fi
