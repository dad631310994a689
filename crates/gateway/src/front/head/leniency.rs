//! What gunicorn lets an operator permit although RFC 9112 forbids it.
//!
//! Each turns bytes, where they lie, into what the strict reader takes: it stays the only reader, and
//! nobody pays for a leniency that is off.

use std::ops::Range;

use http1::is_field_value;

use super::{Refusal, bad};

/// `--strip-header-spaces`: the colon of a complete line moves to the end of the name, and the blanks
/// that were before it become blanks before the value.
pub(super) fn close_up_name(rest: &mut [u8]) {
    let Some(end) = memchr::memchr(b'\n', rest) else { return };
    let Some(colon) = memchr::memchr(b':', &rest[..end]) else { return };
    let blanks = rest[..colon].iter().rev().take_while(|byte| is_blank(**byte)).count();
    if blanks > 0 && blanks < colon {
        rest[colon - blanks] = b':';
        rest[colon] = b' ';
    }
}

/// `--permit-obsolete-folding`: the line at `at` goes on with `value`, behind one space. Returns where
/// the next line begins; `None`: this one is not complete.
pub(super) fn unfold(
    buffer: &mut [u8],
    value: &mut Range<usize>,
    at: usize,
) -> Result<Option<usize>, Refusal> {
    let Some(length) = memchr::memchr(b'\n', &buffer[at..]) else { return Ok(None) };
    let next = at + length + 1;
    if buffer[next - 2] != b'\r' {
        return Err(bad("Invalid HTTP Header: 'bare LF as line terminator'"));
    }
    let line = &buffer[at..next - 2];
    let start = at + line.iter().take_while(|byte| is_blank(**byte)).count();
    let blanks_behind = line.iter().rev().take_while(|byte| is_blank(**byte)).count();
    let text = start..(next - 2 - blanks_behind).max(start);
    if !is_field_value(&buffer[text.clone()]) {
        return Err(bad("Invalid HTTP Header: 'a control character in a folded line'"));
    }
    // A line end and a blank lie between the two, so this never overtakes what it copies.
    buffer[value.end] = b' ';
    buffer.copy_within(text.clone(), value.end + 1);
    value.end += 1 + text.len();
    Ok(Some(next))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
