a=`date`
b="`echo \"quoted\" \`echo inner\``"
c=$(cat file | sort)
d=$(
  one
  two
)
e=$(one
two)
f=$(case x in (x) echo y ;; esac)
diff <(sort a) <(sort b) > >(cat)
g=${ echo in-place; }
h=$(# only a comment
echo i)
