echo 'single	tab' "double \"$x\" \$y" $'ansi\tc\'s' $"locale"
echo "one
two" 'three
  four'
echo "a \
b"
echo "nested $(echo "inner ${x:-"deep"}") end"
echo a"b"'c'$d${e}f\ g
printf '%s\n' "$@" $# $? $$ $! $- $0 $10 "cost: 5$"
echo $foo#bar x#y # comment
