if [ -f a ]; then echo a; fi
if [ -f a ]
then
   echo a   # found

   # nothing between
   echo b


   echo c
elif test -d b; then echo d; else
echo e
fi > log
if a; b; then c; d; fi
