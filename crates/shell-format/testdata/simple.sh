# Builds and installs.
./configure   --prefix=/usr  --sysconfdir=/etc   # where it goes
make  -j"$(nproc)" ;  make install DESTDIR="$DEST"


strip  $DEST/usr/bin/*  2>/dev/null  ||   true
