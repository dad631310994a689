//! What a name server sends, or who pretends to be one.

pub(crate) fn run(data: &[u8]) {
    causeway_edge::resolver::fuzzing::reply(data);
}
