#!/usr/bin/env bash
# The labels and tags of an image: its source, revision, version and licence. To be sourced after lib.sh; sets
#   $tags                the git revision, with -dirty if there are uncommitted changes; empty without a revision
#   $labels              name=value: version, licence, and, where they are known, source and revision
#   SOURCE_DATE_EPOCH    the time of the commit, unless it is set

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# The version is not a tag: it is changed by hand, so several commits have the same one.
# shellcheck disable=SC2034 # for the script that sources this
tags=() labels=("version=$version" "licenses=$(sed -n 's/^license = "\(.*\)"/\1/p' Cargo.toml)")

# Without credentials; a path on this machine does not count.
from=$(git config --get remote.origin.url 2>/dev/null | sed -nE 's,\.git$,,; s,^ssh://([^@/]*@)?([^:/]+)(:[0-9]+)?/,https://\2/,
    s,^[^@/]+@([^:/]+):,https://\1/,; s,^(https?://)([^/]*@)?,\1,p') || true
if [[ $from ]]; then
    labels+=("source=$from")
else
    say "The source is unknown: git's remote \`origin\` is not a public address. The image gets no label for it"
fi

if revision=$(git rev-parse --verify --quiet HEAD 2>/dev/null); then
    dirty=''
    if [[ $(git status --porcelain .) ]]; then
        dirty=-dirty
        say "Some files are not as they were committed: the revision gets the suffix $dirty"
    fi
    tags+=("${revision:0:12}$dirty") labels+=("revision=$revision$dirty")
    export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
else
    say "The revision is unknown: there is no git, or no commit. The image gets no tag and no label for it"
fi
