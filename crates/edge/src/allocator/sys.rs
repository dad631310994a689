//! mimalloc's functions as Rust's allocator.
#![expect(unsafe_code, reason = "an allocator's promises are its caller's, call by call")]

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc,
    mi_zalloc_aligned,
};

pub struct Allocator;

/// Every block is aligned like this, whatever its size.
const ALWAYS: usize = 8;

// SAFETY: each method hands on what it was promised to the function of mimalloc that does the same.
// Blocks are aligned to `ALWAYS` without being asked, and `mi_free` and `mi_realloc` take any block
// of mimalloc's, however it was asked for.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: the size is not 0, as the caller promises.
        let block = unsafe {
            if align <= ALWAYS { mi_malloc(size) } else { mi_malloc_aligned(size, align) }
        };
        block.cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: the size is not 0, as the caller promises.
        let block = unsafe {
            if align <= ALWAYS { mi_zalloc(size) } else { mi_zalloc_aligned(size, align) }
        };
        block.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the block came from here, as the caller promises.
        unsafe { mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (block, align) = (block.cast(), layout.align());
        // SAFETY: the block came from here and the size is not 0, as the caller promises.
        let block = unsafe {
            if align <= ALWAYS {
                mi_realloc(block, size)
            } else {
                mi_realloc_aligned(block, size, align)
            }
        };
        block.cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_and_keep_what_they_hold() {
        for align in [1, 2, 4, 8, 16, 64, 4096] {
            for size in [1, 7, 8, 24, 40, 100, 1000, 1025, 5000, 100_000, 3 << 20] {
                let layout = Layout::from_size_align(size, align).expect("a layout");
                // SAFETY: no size is 0, what is read was written or zeroed, and every block is freed
                // once, with the layout it has by then.
                unsafe {
                    let block = Allocator.alloc_zeroed(layout);
                    assert!(!block.is_null() && block.addr().is_multiple_of(align));
                    assert_eq!((block.read(), block.add(size - 1).read()), (0, 0));
                    block.add(size - 1).write(7);
                    let block = Allocator.realloc(block, layout, size * 2);
                    assert!(!block.is_null() && block.addr().is_multiple_of(align));
                    assert_eq!(block.add(size - 1).read(), 7);
                    let twice = Layout::from_size_align(size * 2, align).expect("a layout");
                    Allocator.dealloc(block, twice);
                    let block = Allocator.alloc(layout);
                    assert!(!block.is_null() && block.addr().is_multiple_of(align));
                    Allocator.dealloc(block, layout);
                }
            }
        }
    }
}
