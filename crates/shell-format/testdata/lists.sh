make && make check || exit 1
tar -cf - . |
  gzip -9 | # squeeze
  cat > out.tgz
a &&
  b ||
    c && d
server & client; wait
! grep -q x f | wc -l
one |& two
a && {
  b
} || (
  c
)
x | while read -r y; do echo "$y"; done | sort &&
  z
