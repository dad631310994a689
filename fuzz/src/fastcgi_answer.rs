//! A FastCGI application's answer, as `fastcgi_pass` reads it: records to a head and a body.

use std::sync::Arc;

use bytes::Bytes;
use causeway_edge::upstream::{FastCgiRules, Protocol, fuzzing};

pub(crate) fn run(data: &[u8]) {
    let Some((whole, part, rest)) = crate::cut(data) else { return };
    let protocol = Protocol::FastCgi(FastCgiRules { keep: true, caught: Arc::new([]) });
    let at_once = fuzzing::answer(&protocol, &[whole]);
    assert_eq!(at_once, fuzzing::answer(&protocol, &[part, rest]), "cut at {}", part.len());

    // A word that is waited for may stand across two pieces, and then it is not heard.
    let caught = Arc::new([Bytes::from_static(b"Fatal")]);
    let protocol = Protocol::FastCgi(FastCgiRules { keep: false, caught });
    let _read = fuzzing::answer(&protocol, &[whole]);
}
