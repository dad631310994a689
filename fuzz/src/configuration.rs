//! A configuration, from text to settled blocks. It is given as the command line's directives, where
//! `include` means nothing, so that no file is opened that the text names.

use causeway_edge::load::{self, Options};

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let file = "/dev/null".into();
    let options = Options { globals: text.to_owned(), file, ..Options::default() };
    if let Err(error) = load::load(&options) {
        assert!(!error.to_string().is_empty(), "a refusal says why");
    }
}
