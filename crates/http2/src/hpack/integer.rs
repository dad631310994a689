//! Numbers that begin inside of a byte, RFC 7541 §5.1.

/// A number takes no more bytes than this: no string or table here is longer than two million.
const MOST: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// The number that begins in the last `prefix` bits of the first byte, and how many bytes it takes.
/// `None`: it goes on in bytes that are not here.
pub(super) fn read(bytes: &[u8], prefix: u32) -> Result<Option<(usize, usize)>, TooLong> {
    let mask = (1_usize << prefix) - 1;
    let Some(first) = bytes.first() else { return Ok(None) };
    let mut value = usize::from(*first) & mask;
    if value != mask {
        return Ok(Some((value, 1)));
    }
    for (place, byte) in bytes.iter().enumerate().take(MOST).skip(1) {
        value += usize::from(byte & 0x7f) << (7 * (place - 1));
        if byte & 0x80 == 0 {
            return Ok(Some((value, place + 1)));
        }
    }
    if bytes.len() >= MOST { Err(TooLong) } else { Ok(None) }
}

/// `first` holds what the first byte says besides.
pub(super) fn write(value: usize, prefix: u32, first: u8, out: &mut Vec<u8>) {
    let mask = (1_usize << prefix) - 1;
    if value < mask {
        out.push(first | value as u8);
        return;
    }
    out.push(first | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard() {
        let check = |value, prefix, bytes: &[u8]| {
            let mut out = Vec::new();
            write(value, prefix, 0, &mut out);
            assert_eq!(out, bytes);
            assert_eq!(read(bytes, prefix), Ok(Some((value, bytes.len()))));
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes[..end], prefix), Ok(None));
            }
        };
        check(10, 5, &[0b0000_1010]);
        check(1337, 5, &[0b0001_1111, 0b1001_1010, 0b0000_1010]);
        check(42, 8, &[0b0010_1010]);
    }

    #[test]
    fn a_number_without_end_is_refused() {
        assert_eq!(read(&[0xff; 4], 7), Err(TooLong));
        assert_eq!(read(&[0xff; 3], 7), Ok(None));
    }
}
