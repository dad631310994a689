//! Name-value pairs, §3.4: lengths below 128 take one byte, others four with the top bit set.

use bytes::Bytes;

/// The pairs of one request (or of GET_VALUES), checked when they came in, sliced when asked for.
///
/// One block rather than a list of pairs: a request has some thirty of them, and each is looked at
/// once, by a reader that copies it anyway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    block: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// A length that points beyond the end of the stream.
    #[error("parameters end in the middle of a pair")]
    Truncated,
}

impl Params {
    /// Reads a complete stream of pairs.
    pub fn parse(block: Bytes) -> Result<Params, ParamsError> {
        let mut rest = &block[..];
        while !rest.is_empty() {
            (_, rest) = split_pair(rest).ok_or(ParamsError::Truncated)?;
        }
        Ok(Params { block })
    }

    /// In the order they were sent; a name may come twice.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &self.block[..];
        std::iter::from_fn(move || {
            let (pair, after) = split_pair(rest)?;
            rest = after;
            Some(pair)
        })
    }

    /// The last value sent under a name.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().filter(|(candidate, _)| *candidate == name).last().map(|(_, value)| value)
    }

    pub fn is_empty(&self) -> bool {
        self.block.is_empty()
    }
}

/// Appends one pair.
pub fn write_pair(buffer: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    write_length(buffer, name.len());
    write_length(buffer, value.len());
    buffer.extend_from_slice(name);
    buffer.extend_from_slice(value);
}

fn write_length(buffer: &mut Vec<u8>, length: usize) {
    if let Ok(short @ 0..=0x7f) = u8::try_from(length) {
        buffer.push(short);
        return;
    }
    let long = u32::try_from(length).ok().filter(|length| *length <= LONGEST);
    let long = long.expect("every hop limits a head to far less than 2 GB");
    buffer.extend_from_slice(&(long | LONG_FORM).to_be_bytes());
}

const LONG_FORM: u32 = 1 << 31;
const LONGEST: u32 = LONG_FORM - 1;

type Pair<'a> = (&'a [u8], &'a [u8]);

/// The first pair, and what follows it.
fn split_pair(block: &[u8]) -> Option<(Pair<'_>, &[u8])> {
    let (name, rest) = split_length(block)?;
    let (value, rest) = split_length(rest)?;
    let (name, rest) = rest.split_at_checked(name)?;
    let (value, rest) = rest.split_at_checked(value)?;
    Some(((name, value), rest))
}

fn split_length(block: &[u8]) -> Option<(usize, &[u8])> {
    match block {
        [short @ 0..=0x7f, rest @ ..] => Some((usize::from(*short), rest)),
        [a, b, c, d, rest @ ..] => {
            let long = u32::from_be_bytes([*a, *b, *c, *d]) & LONGEST;
            Some((long as usize, rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in pairs {
            write_pair(&mut block, name, value);
        }
        let params = Params::parse(Bytes::copy_from_slice(&block)).unwrap();
        assert_eq!(params.iter().collect::<Vec<_>>(), pairs);
        block
    }

    #[test]
    fn lengths_take_one_byte_or_four() {
        assert_eq!(check(&[(b"A", b"bc")]), b"\x01\x02Abc");
        assert_eq!(check(&[(b"", b"")]), b"\0\0");
        assert_eq!(check(&[(&[b'n'; 127], b"")])[..2], [127, 0]);
        assert_eq!(check(&[(&[b'n'; 128], b"")])[..5], [0x80, 0, 0, 128, 0]);
        assert_eq!(check(&[(b"N", &vec![b'v'; 70_000])])[..5], [1, 0x80, 1, 0x11, 0x70]);
    }

    #[test]
    fn the_last_of_a_name_counts() {
        let params = Params::parse(Bytes::from_static(b"\x01\x01Aa\x01\x01Bb\x01\x01Ac")).unwrap();
        assert_eq!(params.get(b"A"), Some(&b"c"[..]));
        assert_eq!(params.get(b"C"), None);
    }

    #[test]
    fn a_block_cut_inside_a_pair_is_refused() {
        let block = check(&[(b"NAME", &[b'v'; 200]), (&[b'n'; 130], b"value")]);
        for cut in 1..block.len() {
            let whole = cut == 1 + 4 + 4 + 200;
            let parsed = Params::parse(Bytes::copy_from_slice(&block[..cut]));
            assert_eq!(parsed.is_ok(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_length_beyond_all_memory_is_refused() {
        let block = Bytes::from_static(b"\xff\xff\xff\xff\xff\xff\xff\xffAB");
        assert_eq!(Params::parse(block), Err(ParamsError::Truncated));
    }
}
