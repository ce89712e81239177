#!/bin/sh
# Writes the files of the benchmark: text that compresses like prose, equal at each call.
# usage: files.sh FOLDER
#   4k.txt, 100k.txt          for the comparison with other servers
#   size/BYTES.txt            100 B to 10 MB; .bin is never compressed
#   many/0.bin … 9999.bin     1 KB each
set -eu
cd "$1"

text() { # BYTES SEED: words of one to nine letters, the short ones more often
    awk -v bytes="$1" -v seed="$2" 'BEGIN {
        srand(seed)
        for (word = 0; word < 500; word++) {
            for (letters = 1 + int(9 * rand() * rand()); letters > 0; letters--)
                words[word] = words[word] sprintf("%c", 97 + int(26 * rand()))
        }
        while (written < bytes) {
            line = words[int(500 * rand() * rand())] (rand() < 0.1 ? "\n" : " ")
            line = substr(line, 1, bytes - written)
            written += length(line)
            printf "%s", line
        }
    }'
}

text 4096 1 > 4k.txt
text 102400 2 > 100k.txt
mkdir size many
for bytes in 100 1000 10000 100000; do text "$bytes" 3 > "size/$bytes.txt"; done
for bytes in 1000000 10000000; do text "$bytes" 3 > "size/$bytes.bin"; done
text 1024 4 > many/0.bin
for file in $(seq 9999); do cp many/0.bin "many/$file.bin"; done
