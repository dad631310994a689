//! `Server-Timing`, when it is asked for.

use crate::host::Host;

#[test]
fn shares_of_the_time_are_told_when_they_are_asked_for() {
    let host = Host::start("environ");
    let answer = host.connect().request("/", &[("CAUSEWAY_SERVER_TIMING", "on")], b"");
    let value = answer.field("Server-Timing").unwrap();
    let parts: Vec<&str> = value.split(", ").collect();
    let [application, app_host] = parts[..] else { panic!("{value}") };
    let milliseconds = |part: &str, name: &str| -> f64 {
        part.strip_prefix(&format!("{name};dur=")).unwrap().parse().unwrap()
    };
    let application = milliseconds(application, "application");
    assert!(application <= milliseconds(app_host, "app-host"), "{value}");
}

#[test]
fn and_only_then() {
    let host = Host::start("environ");
    assert_eq!(host.get("/").field("Server-Timing"), None);
    let answer = host.connect().request("/", &[("CAUSEWAY_SERVER_TIMING", "off")], b"");
    assert_eq!(answer.field("Server-Timing"), None);
}
