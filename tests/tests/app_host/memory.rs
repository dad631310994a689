//! Nothing is kept of a request.

use crate::host::Host;

fn resident_kilobytes(host: &Host) -> u64 {
    let path = format!("/proc/{}/status", host.child.id());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn memory_does_not_grow_with_requests() {
    let host = Host::start("echo_body");
    let mut client = host.connect();
    let mut serve = |requests: u32| {
        for number in 0..requests {
            let id = number.to_string();
            let extra = [("HTTP_X_REQUEST_ID", id.as_str()), ("REQUEST_METHOD", "POST")];
            let path = ["/read", "/parts", "/lines", "/ignored"][number as usize % 4];
            let answer = client.request(path, &extra, &[b'x'; 3000]);
            let end = answer.end.map(|end| end.app_status);
            assert_eq!(end, Some(0), "{number} {path}: {}", host.log());
        }
    };
    serve(4000);
    let before = resident_kilobytes(&host);
    serve(20_000);
    let after = resident_kilobytes(&host);
    // One leaked object of a request would be megabytes by now.
    assert!(after < before + 512, "{before} kB, then {after} kB");
}
