//! `wsgi.errors`.

use crate::host::Host;

#[test]
fn lines_are_written_whole() {
    let host = Host::start("errors");
    assert_eq!(host.get("/").text(), "ok", "{}", host.log());
    let expected =
        "half a line\nand a second\na third\nprinted 1\ncaf\u{e9} \\udc80\nbytes refused\n";
    assert_eq!(host.log(), expected);
}
