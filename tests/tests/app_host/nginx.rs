//! A real nginx in front, over `fastcgi_pass`, with the parameters Debian's nginx comes with.
