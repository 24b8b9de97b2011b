rm -f *.[ch] file?.txt {a,b}/c ~/x @(a|b)*.o !(keep|me) +([0-9]) ?(x)y *(z)
