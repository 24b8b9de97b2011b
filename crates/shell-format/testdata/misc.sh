time make
time -p a | b
time
coproc worker { cat; }
coproc cat
x=1 y=2 env
x=1
z=
test "$x" = 1 && echo yes; echo no
