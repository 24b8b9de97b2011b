if a
then b
fi
cat <<E
x
E
echo "a\
b"
