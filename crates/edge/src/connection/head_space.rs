//! How large a head may be: nginx reads it into one buffer of `client_header_buffer_size` and up to
//! so many of `large_client_header_buffers`, and a line never lies in two. Here one buffer grows; this
//! counts as if it were those, so that the same heads are refused.

use crate::modules::core::HeaderBuffers;

pub(super) struct HeadSpace {
    /// Room in the buffer that is being filled.
    left: usize,
    large: usize,
}

/// The line has no room.
pub(super) struct Full;

impl HeadSpace {
    pub(super) fn new(first: u64) -> HeadSpace {
        HeadSpace { left: usize::try_from(first).unwrap_or(usize::MAX), large: 0 }
    }

    /// A line that is here with its end.
    pub(super) fn take(
        &mut self,
        length: usize,
        limits: impl FnOnce() -> HeaderBuffers,
    ) -> Result<(), Full> {
        if length > self.left {
            let limits = limits();
            if self.large >= limits.number || length > limits.size {
                return Err(Full);
            }
            self.large += 1;
            self.left = limits.size;
        }
        self.left -= length;
        Ok(())
    }

    /// Whether there is room for more of a line, of which this much is here.
    pub(super) fn has_room(
        &self,
        length: usize,
        limits: impl FnOnce() -> HeaderBuffers,
    ) -> Result<(), Full> {
        if length < self.left {
            return Ok(());
        }
        let limits = limits();
        if self.large < limits.number && length < limits.size { Ok(()) } else { Err(Full) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_lies_in_one_buffer() {
        let limits = || HeaderBuffers { number: 2, size: 10 };
        let mut space = HeadSpace::new(4);
        assert!(space.take(4, limits).is_ok());
        assert!(space.take(6, limits).is_ok());
        // Four are left, and are not enough.
        assert!(space.has_room(9, limits).is_ok() && space.has_room(10, limits).is_err());
        assert!(space.take(5, limits).is_ok());
        assert!(space.take(5, limits).is_ok());
        assert!(space.has_room(0, limits).is_err());
        assert!(space.take(1, limits).is_err());
    }

    #[test]
    fn no_line_is_longer_than_a_buffer() {
        let limits = || HeaderBuffers { number: 2, size: 10 };
        assert!(HeadSpace::new(4).take(11, limits).is_err());
        assert!(HeadSpace::new(20).take(11, limits).is_ok());
        assert!(HeadSpace::new(20).has_room(19, limits).is_ok());
    }
}
