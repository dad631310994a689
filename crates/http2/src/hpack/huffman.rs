//! Text to codes of five to thirty bits, and back, RFC 7541 §5.2.
//!
//! Decoding goes by half bytes: no code is shorter than five bits, so four of them complete at most
//! one letter, and a table of what each state does with each half byte needs no look at single bits.

use std::sync::LazyLock;

use super::codes::CODES;

/// Not a code, or padded with something else than the beginning of the end's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadCode;

/// How many bytes the codes of a text take.
pub(super) fn encoded_length(text: &[u8]) -> usize {
    let bits: usize = text.iter().map(|byte| usize::from(CODES[usize::from(*byte)].1)).sum();
    bits.div_ceil(8)
}

pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    let (mut held, mut bits) = (0_u64, 0_u32);
    for byte in text {
        let (code, length) = CODES[usize::from(*byte)];
        held = held << length | u64::from(code);
        bits += u32::from(length);
        while bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
        }
    }
    if bits > 0 {
        // The end's code is nothing but ones.
        out.push((held << (8 - bits)) as u8 | 0xff >> bits);
    }
}

/// What a half byte does in a state.
#[derive(Clone, Copy)]
struct Step {
    next: u8,
    letter: Option<u8>,
    /// The text may end here.
    may_end: bool,
    /// Nothing begins like this.
    bad: bool,
}

/// A state is how far a code has been read: one for each inner node of the tree of codes.
static STEPS: LazyLock<Vec<[Step; 16]>> = LazyLock::new(steps);

pub(super) fn decode(codes: &[u8], mut take: impl FnMut(u8)) -> Result<(), BadCode> {
    let steps = &**STEPS;
    let (mut state, mut may_end) = (0_u8, true);
    for byte in codes {
        for half in [byte >> 4, byte & 0xf] {
            let step = steps[usize::from(state)][usize::from(half)];
            if step.bad {
                return Err(BadCode);
            }
            if let Some(letter) = step.letter {
                take(letter);
            }
            (state, may_end) = (step.next, step.may_end);
        }
    }
    if may_end { Ok(()) } else { Err(BadCode) }
}

#[derive(Clone, Copy)]
enum Node {
    Inner(u8),
    Letter(u8),
    /// The end's code, which may not be written out.
    End,
}

fn steps() -> Vec<[Step; 16]> {
    let tree = tree();
    // What may stand at the end of a text: up to seven ones, and, as nginx takes it, a byte of them
    // too many.
    let mut padding = [false; 256];
    let mut node = 0;
    for _ in 0..=15 {
        padding[usize::from(node)] = true;
        match tree[usize::from(node)][1] {
            Node::Inner(next) => node = next,
            Node::Letter(_) | Node::End => break,
        }
    }
    let step = |state: usize, half: u8| {
        let (mut at, mut letter) = (state as u8, None);
        for shift in (0..4).rev() {
            match tree[usize::from(at)][usize::from(half >> shift & 1)] {
                Node::Inner(next) => at = next,
                Node::Letter(found) => (at, letter) = (0, Some(found)),
                Node::End => return Step { next: 0, letter: None, may_end: false, bad: true },
            }
        }
        Step { next: at, letter, may_end: padding[usize::from(at)], bad: false }
    };
    (0..tree.len()).map(|state| std::array::from_fn(|half| step(state, half as u8))).collect()
}

fn tree() -> Vec<[Node; 2]> {
    let mut tree = vec![[Node::End; 2]];
    for (letter, (code, length)) in CODES.iter().enumerate() {
        let mut at = 0;
        for shift in (1..*length).rev() {
            let bit = (code >> shift & 1) as usize;
            at = match tree[at][bit] {
                Node::Inner(next) => usize::from(next),
                Node::Letter(_) | Node::End => {
                    let next = tree.len();
                    tree[at][bit] = Node::Inner(next as u8);
                    tree.push([Node::End; 2]);
                    next
                }
            };
        }
        tree[at][(code & 1) as usize] = Node::Letter(letter as u8);
    }
    tree
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(codes: &[u8]) -> Result<Vec<u8>, BadCode> {
        let mut text = Vec::new();
        decode(codes, |letter| text.push(letter)).map(|()| text)
    }

    #[test]
    fn the_examples_of_the_standard() {
        let check = |text: &str, codes: &[u8]| {
            let mut out = Vec::new();
            encode(text.as_bytes(), &mut out);
            assert_eq!(out, codes, "{text}");
            assert_eq!(encoded_length(text.as_bytes()), codes.len());
            assert_eq!(decoded(codes).unwrap(), text.as_bytes());
        };
        check("", b"");
        check("www.example.com", b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff");
        check("no-cache", b"\xa8\xeb\x10\x64\x9c\xbf");
        check("custom-key", b"\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f");
        check("custom-value", b"\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf");
        check("302", b"\x64\x02");
        check("private", b"\xae\xc3\x77\x1a\x4b");
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(decoded(b"\x64\x02\xff").unwrap(), b"302");
        // Padded by two whole bytes, padded by zeros, the end's code.
        assert_eq!(decoded(b"\x64\x02\xff\xff"), Err(BadCode));
        assert_eq!(decoded(b"\x00"), Err(BadCode));
        assert_eq!(decoded(b"\xff\xff\xff\xff"), Err(BadCode));
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text: Vec<u8>) {
            let mut codes = Vec::new();
            encode(&text, &mut codes);
            prop_assert_eq!(codes.len(), encoded_length(&text));
            prop_assert_eq!(decoded(&codes), Ok(text));
        }

        #[test]
        fn no_codes_panic(codes: Vec<u8>) {
            let _text = decoded(&codes);
        }
    }
}
