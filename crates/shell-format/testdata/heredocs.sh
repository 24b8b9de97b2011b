cat > conf <<EOF
name = $name
	path = ${prefix:-/usr}/lib   # no comment here
$(date
echo more) and `uname`
EOF
cat <<'EOF' | sort
$verbatim \
`text`
EOF
write() {
  cat <<-END
	one
	  two
		three	four
	END
  cat <<A <<"B C" && finish
first
A
second $x
B C
}
cat <<EOF
joined \
line
EOF
if true; then cat <<X; fi
inner
X
cat <<E\OF
$plain
EOF
