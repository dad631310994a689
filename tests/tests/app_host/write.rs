//! The write callable.

use crate::host::Host;

#[test]
fn what_is_written_comes_before_what_is_returned() {
    let answer = Host::start("write").get("/");
    assert_eq!((answer.text(), answer.app_status()), ("one two three", 0));
}

#[test]
fn only_bytes_are_written() {
    let host = Host::start("write");
    assert_eq!(host.get("/text").status(), 500);
    let reason = "TypeError: a response body is made of bytes, not str";
    assert!(host.log().contains(reason), "{}", host.log());
}

#[test]
fn what_was_written_is_sent_already() {
    let answer = Host::start("write").get("/fails");
    assert_eq!((answer.status(), answer.text(), answer.app_status()), (200, "some", 1));
}
