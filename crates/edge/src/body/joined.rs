//! Pieces of a body put together, so that small ones do not go their way alone. Usually there is one,
//! and it is not copied.

use bytes::Bytes;

#[derive(Default)]
pub struct Joined {
    one: Bytes,
    several: Vec<u8>,
}

impl Joined {
    pub fn len(&self) -> usize {
        self.one.len() + self.several.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn add(&mut self, piece: Bytes) {
        if self.is_empty() {
            self.one = piece;
            return;
        }
        self.several.extend_from_slice(&std::mem::take(&mut self.one));
        self.several.extend_from_slice(&piece);
    }

    /// All of it; `None`: there is nothing.
    pub fn take(&mut self) -> Option<Bytes> {
        let Joined { one, several } = std::mem::take(self);
        let joined = if several.is_empty() { one } else { several.into() };
        (!joined.is_empty()).then_some(joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_taken_together() {
        let mut joined = Joined::default();
        assert_eq!(joined.take(), None);
        joined.add("one".into());
        assert_eq!(joined.take().unwrap(), "one");
        for piece in ["one", " and ", "two"] {
            joined.add(piece.into());
        }
        assert_eq!(joined.len(), 11);
        assert_eq!(joined.take().unwrap(), "one and two");
        assert!(joined.is_empty());
    }
}
