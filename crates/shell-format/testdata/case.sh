case $arch in
  x86_64) bits=64;;
  (i?86|arm*)
    # 32 bits
    bits=32
    ;;
  "a b" | c) ;;
  d) one; two ;;&
  e)
  three;&

  *) exit 1
esac
case x in esac
case "$1" in a) echo a ;; esac
