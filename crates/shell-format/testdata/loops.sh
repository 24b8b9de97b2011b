for f in *.c *.h; do echo $f; done
for f
do
  echo $f
done
for f in one two \
  three; do echo "$f"
done
for f in a; { echo $f; }
for ((i = 0; i<10 ;i++)); do echo $i; done
for ((;;)); do break; done
while read -r line; do echo $line; done < file
until false
do sleep 1; done
select x in a b; do break; done
