//! What a file that does not name its logs, or the folder of its clients' bodies, is taken to say:
//! as if it were written there, so that it is inherited by the same rules, and a log that every
//! server turns off is never opened.

use super::Options;
use crate::{
    conf::{Node, Span, Word},
    defaults::{ACCESS_LOG, CLIENT_BODY_TEMP_PATH, ERROR_LOG},
};

pub(super) fn add(nodes: &mut Vec<Node>, options: &Options) {
    if nodes.iter().all(|node| node.name.text != "error_log") {
        let path = options.error_log.as_deref().unwrap_or(ERROR_LOG);
        nodes.push(directive("error_log", path));
    }
    let http = nodes.iter_mut().find(|node| node.name.text == "http");
    let Some(inside) = http.and_then(|http| http.block.as_mut()) else { return };
    let unsaid = [("access_log", ACCESS_LOG), ("client_body_temp_path", CLIENT_BODY_TEMP_PATH)];
    for (name, value) in unsaid {
        if inside.iter().all(|node| node.name.text != name) {
            inside.push(directive(name, value));
        }
    }
}

fn directive(name: &str, value: &str) -> Node {
    let word = |text: &str| Word { text: text.to_owned(), span: Span::new(&"default".into(), 0) };
    Node { name: word(name), words: vec![word(value)], block: None }
}
