//! What the pages of one request know together: a page and all it includes. A page may come from an
//! upstream, so that all of it has its bounds.

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;

pub(super) type Knowledge = Rc<RefCell<Shared>>;

#[derive(Default)]
pub(super) struct Shared {
    /// By `set`, in lower case.
    variables: Vec<(String, Bytes)>,
    blocks: Vec<(Bytes, Vec<u8>)>,
    /// `$0` to `$9`, of the last `if` with a pattern.
    pub(super) captures: Vec<Option<Bytes>>,
}

/// So many of each, and so many bytes in all of them.
const MOST: usize = 1000;
const MOST_BYTES: usize = 1 << 20;

impl Shared {
    pub(super) fn variable(&self, name: &str) -> Option<Bytes> {
        if let [digit @ b'0'..=b'9'] = name.as_bytes()
            && let Some(capture) = self.captures.get(usize::from(digit - b'0'))
        {
            return Some(capture.clone().unwrap_or_default());
        }
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    pub(super) fn set(&mut self, name: String, value: Bytes) -> Result<(), String> {
        self.variables.retain(|(known, _)| *known != name);
        let held: usize = self.variables.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.variables.len() == MOST || held + value.len() > MOST_BYTES {
            return Err("too many SSI variables".to_owned());
        }
        self.variables.push((name, value));
        Ok(())
    }

    pub(super) fn begin_block(&mut self, name: Bytes) -> Result<(), String> {
        if self.blocks.len() == MOST {
            return Err("too many SSI blocks".to_owned());
        }
        self.blocks.push((name, Vec::new()));
        Ok(())
    }

    pub(super) fn add_to_block(&mut self, text: &[u8]) -> Result<(), String> {
        let held: usize = self.blocks.iter().map(|(name, text)| name.len() + text.len()).sum();
        if held + text.len() > MOST_BYTES {
            return Err("too large SSI blocks".to_owned());
        }
        if let Some((_, block)) = self.blocks.last_mut() {
            block.extend_from_slice(text);
        }
        Ok(())
    }

    pub(super) fn block(&self, name: &[u8]) -> Option<Bytes> {
        let found = self.blocks.iter().find(|(known, _)| known == name);
        found.map(|(_, text)| Bytes::copy_from_slice(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_can_not_fill_the_memory() {
        let mut shared = Shared::default();
        let long = Bytes::from(vec![b'x'; 64 << 10]);
        let set = (0..100).take_while(|n| shared.set(n.to_string(), long.clone()).is_ok());
        assert_eq!(set.count(), 15);
        assert_eq!(shared.variable("3").unwrap().len(), 64 << 10);
        assert!(shared.set("3".to_owned(), Bytes::new()).is_ok());
        shared.begin_block("b".into()).unwrap();
        let added = (0..100).take_while(|_| shared.add_to_block(&long).is_ok()).count();
        assert_eq!(added, 15);
    }
}
