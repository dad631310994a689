//! The head of an upstream's HTTP response.

use causeway_edge::upstream::fuzzing;

pub(crate) fn run(data: &[u8]) {
    let Some((whole, part, rest)) = crate::cut(data) else { return };
    let at_once = fuzzing::response_head(&[whole]);
    assert_eq!(at_once, fuzzing::response_head(&[part, rest]), "cut at {}", part.len());
}
