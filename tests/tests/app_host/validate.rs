//! The standard library's validator, which checks both sides of every call.

use crate::host::Host;

#[test]
fn wsgiref_validate_passes() {
    let host = Host::start("validate");
    let mut client = host.connect();
    for body in [&b""[..], b"one line", b"abc\nline two\nline three\nline four\n"] {
        let answer = client.request("/", &[("REQUEST_METHOD", "POST")], body);
        let text = [b"read: ", body].concat();
        assert_eq!((answer.body.clone(), answer.app_status()), (text, 0), "{}", host.log());
    }
    assert_eq!(host.log(), "validated\nvalidated\nvalidated\n");
}
