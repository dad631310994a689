//! What a stage holds: items in order, each with the moment it arrived, and how many bytes they are.

use std::{collections::VecDeque, time::Instant};

use bytes::Bytes;

use super::Item;

#[derive(Debug, Default)]
pub(crate) struct Queue {
    items: VecDeque<(Item, Instant)>,
    bytes: usize,
}

impl Queue {
    pub(crate) fn push(&mut self, item: Item, now: Instant) {
        if let Item::Data(data) = &item {
            self.bytes += data.len();
        }
        self.items.push_back((item, now));
    }

    pub(crate) fn front(&self) -> Option<(&Item, Instant)> {
        self.items.front().map(|(item, arrived)| (item, *arrived))
    }

    pub(crate) fn pop(&mut self) -> Option<Item> {
        let (item, _) = self.items.pop_front()?;
        if let Item::Data(data) = &item {
            self.bytes -= data.len();
        }
        Some(item)
    }

    /// The first `most` bytes of the data in front; the rest of it stays in front.
    pub(crate) fn pop_data(&mut self, most: usize) -> Option<Bytes> {
        let (Item::Data(data), _) = self.items.front_mut()? else { return None };
        let taken = data.split_to(most.min(data.len()));
        self.bytes -= taken.len();
        if data.is_empty() {
            self.items.pop_front();
        }
        Some(taken)
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&Item) -> bool) {
        self.items.retain(|(item, _)| keep(item));
        let data = self.items.iter().map(|(item, _)| match item {
            Item::Data(data) => data.len(),
            _ => 0,
        });
        self.bytes = data.sum();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
