//! `Accept-Encoding`, as far as gzip is concerned (RFC 9110 §12.5.3).

/// Whether `Accept-Encoding` has `gzip` with a weight above zero.
pub(super) fn accepts_gzip(list: &[u8]) -> bool {
    for part in list.split(|byte| *byte == b',') {
        let mut words = part.splitn(2, |byte| *byte == b';');
        let name = words.next().unwrap_or_default().trim_ascii();
        if !name.eq_ignore_ascii_case(b"gzip") {
            continue;
        }
        let Some(weight) = words.next() else { return true };
        let weight = weight.trim_ascii();
        let Some((b'q' | b'Q', weight)) = weight.split_first() else { return false };
        let Some((b'=', digits)) = weight.split_first() else { return false };
        return is_positive_weight(digits);
    }
    false
}

/// `0.001` to `1.000`.
fn is_positive_weight(digits: &[u8]) -> bool {
    let (whole, fraction) = match digits.iter().position(|byte| *byte == b'.') {
        Some(dot) => (&digits[..dot], &digits[dot + 1..]),
        None => (digits, &b""[..]),
    };
    if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let has_some = fraction.iter().any(|digit| *digit != b'0');
    match whole {
        b"1" => !has_some,
        b"0" => has_some,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights() {
        let check = |list: &str, expected| {
            assert_eq!(accepts_gzip(list.as_bytes()), expected, "{list}");
        };
        check("gzip", true);
        check("deflate, GZIP;q=0.5", true);
        check("gzip;q=1.000", true);
        check("gzip; q=0.001", true);
        check("gzip;q=0", false);
        check("gzip;q=0.000", false);
        check("gzip;q=2", false);
        check("gzip;q=1.001", false);
        check("gzip;q=0.0001", false);
        check("x-gzip", false);
        check("identity", false);
        check("", false);
        check("*", false);
    }
}
