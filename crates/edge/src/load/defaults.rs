//! What a file that does not name its logs is taken to say: as if it were written there, so that it
//! is inherited by the same rules, and a log that every server turns off is never opened.

use super::Options;
use crate::{
    conf::{Node, Span, Word},
    defaults::{ACCESS_LOG, ERROR_LOG},
};

pub(super) fn add(nodes: &mut Vec<Node>, options: &Options) {
    if nodes.iter().all(|node| node.name.text != "error_log") {
        let path = options.error_log.as_deref().unwrap_or(ERROR_LOG);
        nodes.push(directive("error_log", path));
    }
    let http = nodes.iter_mut().find(|node| node.name.text == "http");
    if let Some(inside) = http.and_then(|http| http.block.as_mut())
        && inside.iter().all(|node| node.name.text != "access_log")
    {
        inside.push(directive("access_log", ACCESS_LOG));
    }
}

fn directive(name: &str, value: &str) -> Node {
    let word = |text: &str| Word { text: text.to_owned(), span: Span::new(&"default".into(), 0) };
    Node { name: word(name), words: vec![word(value)], block: None }
}
