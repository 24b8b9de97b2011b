cmake -B out \
      -DCMAKE_BUILD_TYPE=Release   \
  -DTESTS=OFF \
  # -DDOCS=ON \
  -DEXAMPLES=OFF
cc -o tool \
  main.c \
    > log.txt 2>&1 \
 < /dev/null
word=one\
two
echo three \

echo four
