hello() { echo hello; }
world ()
{
  local a=1 b
  echo world
}
function both { one; two; }
function parens() (
  cd /; pwd
)
one() if true; then false; fi
