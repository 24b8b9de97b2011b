a=()
b=(one two   three)
c=(
  one # first
  two

  "three four"
)
d+=(x) e[1]=y f[i+1]+=z
g=([0]=a [key]="b" $(c))
declare -A map=([x]=1 [y]=2) plain
local one="two" three
export PATH="$PATH:/opt/bin" -f func
readonly -a list
typeset x
