//! `types`, `default_type`: which content type a name's ending means.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;

use crate::{
    conf::ConfError,
    engine::plan::Plan,
    exchange::Exchange,
    load::{Args, Arity::Exactly, Block, Body, Directive, Module, Setting, Site, block, directive},
};

#[derive(Clone, Default)]
pub struct Types {
    /// By the ending in lower case. `None` until a `types` block is seen, which may be empty.
    endings: Option<HashMap<Vec<u8>, Bytes>>,
    default: Setting<Bytes>,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location];

impl Module for Types {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        block("types", BLOCKS, Exactly(0), Body::Own, Types::read),
        directive("default_type", BLOCKS, Exactly(1), |types, args| {
            types.default.set(Bytes::copy_from_slice(args.word(0).as_bytes()), args)
        }),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        if self.endings.is_none() {
            self.endings.clone_from(&outer.endings);
        }
        self.default.inherit(&outer.default);
    }

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

impl Types {
    /// The type of what the exchange's URI names; `None` where `default_type` is empty.
    pub fn of(exchange: &Exchange) -> Option<Bytes> {
        exchange.location.types.of_uri(&exchange.uri)
    }

    fn of_uri(&self, uri: &[u8]) -> Option<Bytes> {
        let found = ending(uri).and_then(|ending| self.by_ending(ending));
        let found = found.or_else(|| self.default.said().cloned());
        Some(found.unwrap_or(Bytes::from_static(b"text/plain"))).filter(|kind| !kind.is_empty())
    }

    fn by_ending(&self, ending: &[u8]) -> Option<Bytes> {
        match &self.endings {
            Some(endings) if ending.iter().any(u8::is_ascii_uppercase) => {
                endings.get(&ending.to_ascii_lowercase()).cloned()
            }
            Some(endings) => endings.get(ending).cloned(),
            // What nginx knows without being told.
            None => Some(Bytes::from_static(match ending.to_ascii_lowercase().as_slice() {
                b"html" => b"text/html",
                b"gif" => b"image/gif",
                b"jpg" => b"image/jpeg",
                _ => return None,
            })),
        }
    }

    fn read(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let endings = self.endings.get_or_insert_default();
        for row in args.node.block.as_deref().unwrap_or_default() {
            if row.block.is_some() {
                let name = &row.name;
                return Err(name.span.error(format!("unexpected \"{{\" after \"{}\"", name.text)));
            }
            let kind = Bytes::copy_from_slice(row.name.text.as_bytes());
            for word in &row.words {
                let ending = word.text.to_ascii_lowercase().into_bytes();
                let Some(before) = endings.insert(ending, kind.clone()) else { continue };
                if before != kind {
                    let message = format!(
                        "duplicate extension \"{}\", content type: \"{}\", previous content type: \"{}\"",
                        word.text,
                        row.name.text,
                        String::from_utf8_lossy(&before),
                    );
                    args.loader.warnings.push(word.span.error(message));
                }
            }
        }
        Ok(())
    }
}

/// What follows the last dot of the last segment, which must not begin with it: `.profile` has none.
fn ending(uri: &[u8]) -> Option<&[u8]> {
    let segment = uri.rsplit(|byte| *byte == b'/').next()?;
    let dot = segment.iter().rposition(|byte| *byte == b'.')?;
    (dot > 0 && dot + 1 < segment.len()).then(|| &segment[dot + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings() {
        let check = |uri: &str, expected: Option<&str>| {
            assert_eq!(ending(uri.as_bytes()), expected.map(str::as_bytes), "{uri}");
        };
        check("/a.css", Some("css"));
        check("/a.b/c.min.js", Some("js"));
        check("/.profile", None);
        check("/a.b/c", None);
        check("/a.", None);
        check("/", None);
        check("", None);
    }

    #[test]
    fn without_a_types_block_there_are_three() {
        let types = Types::default();
        let check = |uri: &str, kind: &str| {
            assert_eq!(types.of_uri(uri.as_bytes()).unwrap(), kind, "{uri}");
        };
        check("/a.HTML", "text/html");
        check("/a.gif", "image/gif");
        check("/a.jpg", "image/jpeg");
        check("/a.css", "text/plain");
    }
}
