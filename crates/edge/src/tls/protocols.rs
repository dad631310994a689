//! `ssl_protocols`: which versions of TLS are spoken. Those before 1.2 are not, here.

use rustls::{
    SupportedProtocolVersion,
    version::{TLS12, TLS13},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    tls12: bool,
    tls13: bool,
}

impl Default for Protocols {
    fn default() -> Protocols {
        Protocols { tls12: true, tls13: true }
    }
}

/// What a list of versions comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Listed {
    All(Protocols),
    /// With others that the list names, too.
    Some(Protocols),
    /// Only such others.
    None,
    Unknown(String),
}

impl Protocols {
    pub fn read<'a>(words: impl Iterator<Item = &'a str>) -> Listed {
        let (mut known, mut old) = (Protocols { tls12: false, tls13: false }, false);
        for word in words {
            match word {
                "TLSv1.3" => known.tls13 = true,
                "TLSv1.2" => known.tls12 = true,
                "TLSv1.1" | "TLSv1" | "SSLv3" | "SSLv2" => old = true,
                word => return Listed::Unknown(word.to_owned()),
            }
        }
        match (known.tls12 || known.tls13, old) {
            (true, false) => Listed::All(known),
            (true, true) => Listed::Some(known),
            (false, _) => Listed::None,
        }
    }

    pub fn has_tls12(self) -> bool {
        self.tls12
    }

    pub(super) fn versions(self) -> Vec<&'static SupportedProtocolVersion> {
        let both = [(self.tls13, &TLS13), (self.tls12, &TLS12)];
        both.into_iter().filter_map(|(spoken, version)| spoken.then_some(version)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_told_from_unknown_ones() {
        let check = |words: &str, expected| {
            assert_eq!(Protocols::read(words.split(' ')), expected, "{words}");
        };
        let (tls12, tls13) = (true, true);
        check("TLSv1.2 TLSv1.3", Listed::All(Protocols { tls12, tls13 }));
        check("TLSv1 TLSv1.1 TLSv1.2", Listed::Some(Protocols { tls12, tls13: false }));
        check("TLSv1 SSLv3", Listed::None);
        check("TLSv1.3 TLSv1.4", Listed::Unknown("TLSv1.4".to_owned()));
    }
}
