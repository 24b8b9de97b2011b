echo a > file
echo b >> file 2> errors < input
cat <> both >| forced >& copy <& 3
exec 3>&1 4< in {log}> out
sort &> all &>> more
grep x <<< "$text"
> empty
> first cmd arg < second last
