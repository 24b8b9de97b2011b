#!/bin/sh
# Makes versions.tsv: what apk-tools 3 says of pairs of the versions in versions.txt, each with the twelve after it.
# The columns are the first version, `<`, `=` or `>` (`?` where one of them is not valid), and the second version.
#
#     testdata/versions.sh [APK]        (APK: the command of apk-tools 3)
set -eu
cd "$(dirname "$0")"
apk=${1:-apk}
{
    echo "# Made by versions.sh of versions.txt and apk-tools 3; see there."
    grep -v '^#' versions.txt >list.tmp
    trap 'rm -f list.tmp' EXIT
    count=$(wc -l <list.tmp)
    first=1
    while [ "$first" -le "$count" ]; do
        a=$(sed -n "${first}p" list.tmp)
        step=0
        while [ "$step" -le 12 ]; do
            second=$(((first - 1 + step) % count + 1))
            b=$(sed -n "${second}p" list.tmp)
            order=$("$apk" version -t "$a" "$b") || order='?'
            printf '%s\t%s\t%s\n' "$a" "${order:-?}" "$b"
            step=$((step + 1))
        done
        first=$((first + 1))
    done
} >versions.tsv.new
mv versions.tsv.new versions.tsv
