//! Memory that the processes of one server share: made by the master, and the same in every worker
//! that is forked from it.
#![expect(unsafe_code, reason = "only the owner of a mapping knows how long it lives")]

use std::{io, num::NonZeroUsize, ops::Deref, ptr::NonNull, sync::atomic::AtomicU64};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Words that begin as 0. The kernel gives a page of it when something is written there.
pub(crate) struct Memory {
    start: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: the mapping belongs to this value alone, is nowhere written but through atomics, and is
// bound to no thread.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub(crate) fn new(words: usize) -> io::Result<Memory> {
        let bytes = words.checked_mul(WORD).and_then(NonZeroUsize::new);
        let bytes = bytes.ok_or(io::ErrorKind::InvalidInput)?;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping, at a place of the kernel's choice, aliases nothing.
        let start = unsafe {
            mmap_anonymous(None, bytes, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags)
        }?;
        Ok(Memory { start: start.cast(), words })
    }
}

const WORD: usize = size_of::<AtomicU64>();

impl Deref for Memory {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is this long, aligned to a page, lives as long as `self`, and any
        // bytes are an `AtomicU64`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped; every borrow of it has ended with `self`.
        // It can not fail for a mapping that is there.
        let _unmapped = unsafe { munmap(self.start.cast(), self.words * WORD) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn memory_is_blank_and_keeps_what_is_written() {
        let memory = Memory::new(1 << 16).unwrap();
        assert_eq!(memory.len(), 1 << 16);
        assert!(memory.iter().all(|word| word.load(Relaxed) == 0));
        memory[65_535].store(7, Relaxed);
        assert_eq!(memory[65_535].load(Relaxed), 7);
    }
}
