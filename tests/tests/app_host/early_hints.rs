//! `wsgi.early_hints`: interim heads to the gateway, and nothing to a web server, which would take
//! them for the response.

use crate::host::{Answer, Client, Host};

const GATEWAY: &[(&str, &str)] = &[("CAUSEWAY_GATEWAY", "1")];

fn get(client: &mut Client, path: &str) -> Answer {
    client.request(path, GATEWAY, b"")
}

#[test]
fn each_call_is_an_interim_head() {
    let host = Host::start("early_hints");
    let answer = get(&mut host.connect(), "/two");
    assert_eq!((answer.status(), answer.text(), answer.app_status()), (200, "two", 0));
    let fields: Vec<Vec<(&[u8], &[u8])>> =
        answer.interim.iter().map(|head| head.fields().collect()).collect();
    let link = |value: &'static [u8]| (&b"Link"[..], value);
    assert_eq!(
        fields,
        [
            vec![link(b"</style.css>; rel=preload; as=style")],
            vec![link(b"</app.js>; rel=preload; as=script"), (b"X-More", b"caf\xe9")],
        ]
    );
    assert!(answer.interim.iter().all(|head| head.status == 103));
    assert_eq!(answer.interim[0].reason(), b"Early Hints");
}

#[test]
fn the_final_head_can_still_be_replaced() {
    let host = Host::start("early_hints");
    let answer = get(&mut host.connect(), "/replaced");
    assert_eq!((answer.interim.len(), answer.status(), answer.text()), (1, 503, "replaced"));
}

#[test]
fn what_fails_after_a_hint_is_a_500() {
    let host = Host::start("early_hints");
    let answer = get(&mut host.connect(), "/dies");
    assert_eq!((answer.interim.len(), answer.status(), answer.app_status()), (1, 500, 0));
}

#[test]
fn too_late_is_nothing() {
    let host = Host::start("early_hints");
    let mut client = host.connect();
    for (path, body) in [("/late", "late"), ("/keep", "kept"), ("/use_kept", "nothing happened")] {
        let answer = get(&mut client, path);
        assert_eq!((answer.interim.len(), answer.text(), answer.app_status()), (0, body, 0));
    }
    assert_eq!(host.log(), "");
}

#[test]
fn a_web_server_gets_none() {
    let answer = Host::start("early_hints").get("/two");
    assert_eq!((answer.interim.len(), answer.status(), answer.text()), (0, 200, "two"));
}

#[test]
fn what_is_no_field_is_refused() {
    let host = Host::start("early_hints");
    let answer = get(&mut host.connect(), "/invalid");
    assert_eq!(answer.interim.len(), 0);
    let expected = [
        "invalid header name \"X Y\"",
        "invalid value of header \"X\"",
        "invalid value of header \"X\"",
        "a header value is not a string",
        "a header is a pair of name and value",
    ];
    assert_eq!(answer.text(), expected.join("\n"));
}
