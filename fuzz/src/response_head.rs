//! The head of an upstream's response, as HTTP has it and as a uwsgi application may say it.

use causeway_edge::upstream::{Protocol, fuzzing};

pub(crate) fn run(data: &[u8]) {
    let Some((whole, part, rest)) = crate::cut(data) else { return };
    for protocol in [Protocol::Http, Protocol::Uwsgi] {
        let at_once = fuzzing::answer(&protocol, &[whole]);
        assert_eq!(at_once, fuzzing::answer(&protocol, &[part, rest]), "cut at {}", part.len());
    }
}
