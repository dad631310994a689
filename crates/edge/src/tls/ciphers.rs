//! OpenSSL's lists of ciphers, for the ones there are here: six of TLS 1.2, all of them with forward
//! secrecy and authenticated encryption. The three of TLS 1.3 are in no such list, as in OpenSSL.

use rustls::{
    CipherSuite, SupportedCipherSuite,
    crypto::aws_lc_rs::cipher_suite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    },
};

/// The ciphers of a list, the preferred ones first.
#[derive(Clone, Debug)]
pub struct Ciphers(Vec<SupportedCipherSuite>);

/// A cipher of TLS 1.2, and the words that mean it besides its own name.
struct Known {
    name: &'static str,
    words: &'static [&'static str],
    suite: SupportedCipherSuite,
}

const fn known(
    name: &'static str,
    words: &'static [&'static str],
    suite: SupportedCipherSuite,
) -> Known {
    Known { name, words, suite }
}

/// In OpenSSL's order of preference.
static KNOWN: [Known; 6] = [
    known(
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        &["aECDSA", "ECDSA", "AES", "AES256", "AESGCM", "FIPS"],
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    known(
        "ECDHE-RSA-AES256-GCM-SHA384",
        &["aRSA", "AES", "AES256", "AESGCM", "FIPS"],
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    known(
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        &["aECDSA", "ECDSA", "CHACHA20"],
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    known(
        "ECDHE-RSA-CHACHA20-POLY1305",
        &["aRSA", "CHACHA20"],
        TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    known(
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        &["aECDSA", "ECDSA", "AES", "AES128", "AESGCM", "FIPS"],
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    known(
        "ECDHE-RSA-AES128-GCM-SHA256",
        &["aRSA", "AES", "AES128", "AESGCM", "FIPS"],
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
];

/// Words that mean every one of them.
const ALL: [&str; 8] = ["ALL", "DEFAULT", "HIGH", "TLSv1.2", "ECDHE", "EECDH", "kECDHE", "kEECDH"];

const TLS13: [SupportedCipherSuite; 3] =
    [TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256, TLS13_AES_128_GCM_SHA256];

impl Known {
    /// Whether a word means it: a name, or several that all must (`ECDHE+AESGCM`).
    fn is_meant(&self, words: &str) -> bool {
        words.split('+').all(|word| {
            // `SUITEB128` and the like are lists of their own; nobody writes them.
            self.name == word || ALL.contains(&word) || self.words.contains(&word)
        })
    }
}

impl Ciphers {
    /// `None`: nothing is left. Words that mean no cipher of here are passed over, as OpenSSL passes
    /// over those it does not know.
    pub fn read(list: &str) -> Option<Ciphers> {
        let mut chosen: Vec<&Known> = Vec::new();
        let mut banned: Vec<&str> = Vec::new();
        let words = list.split([':', ',', ' ', ';']).filter(|word| !word.is_empty());
        for word in words {
            let (sign, rest) = word.split_at(word.len() - word.trim_start_matches(SIGNS).len());
            let meant = |known: &&Known| known.is_meant(rest);
            match sign {
                // `@STRENGTH`, `@SECLEVEL=2`: all that is left is strong.
                _ if rest.starts_with('@') => (),
                "!" => {
                    chosen.retain(|known| !known.is_meant(rest));
                    banned.extend(KNOWN.iter().filter(meant).map(|known| known.name));
                }
                "-" => chosen.retain(|known| !known.is_meant(rest)),
                // To the end, those that are there.
                "+" => chosen.sort_by_key(|known| known.is_meant(rest)),
                _ => {
                    for known in KNOWN.iter().filter(meant) {
                        let name = known.name;
                        if !banned.contains(&name) && chosen.iter().all(|it| it.name != name) {
                            chosen.push(known);
                        }
                    }
                }
            }
        }
        let chosen: Vec<_> = chosen.into_iter().map(|known| known.suite).collect();
        (!chosen.is_empty()).then_some(Ciphers(chosen))
    }

    /// With those of TLS 1.3 before them.
    pub(super) fn suites(&self) -> Vec<SupportedCipherSuite> {
        TLS13.into_iter().chain(self.0.iter().copied()).collect()
    }
}

impl Default for Ciphers {
    fn default() -> Ciphers {
        Ciphers(KNOWN.iter().map(|known| known.suite).collect())
    }
}

const SIGNS: [char; 3] = ['!', '-', '+'];

/// OpenSSL's name of a cipher, of whatever kind: clients offer many that are not spoken here.
pub fn cipher_name(suite: CipherSuite) -> String {
    let number = u16::from(suite);
    match NAMES.binary_search_by_key(&number, |(number, _)| *number) {
        Ok(place) => NAMES[place].1.to_owned(),
        Err(_) => format!("0x{number:04x}"),
    }
}

/// By number.
const NAMES: &[(u16, &str)] = &[
    (0x002f, "AES128-SHA"),
    (0x0033, "DHE-RSA-AES128-SHA"),
    (0x0035, "AES256-SHA"),
    (0x0039, "DHE-RSA-AES256-SHA"),
    (0x003c, "AES128-SHA256"),
    (0x003d, "AES256-SHA256"),
    (0x0067, "DHE-RSA-AES128-SHA256"),
    (0x006b, "DHE-RSA-AES256-SHA256"),
    (0x009c, "AES128-GCM-SHA256"),
    (0x009d, "AES256-GCM-SHA384"),
    (0x009e, "DHE-RSA-AES128-GCM-SHA256"),
    (0x009f, "DHE-RSA-AES256-GCM-SHA384"),
    (0x00ff, "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"),
    (0x1301, "TLS_AES_128_GCM_SHA256"),
    (0x1302, "TLS_AES_256_GCM_SHA384"),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
    (0x1304, "TLS_AES_128_CCM_SHA256"),
    (0xc009, "ECDHE-ECDSA-AES128-SHA"),
    (0xc00a, "ECDHE-ECDSA-AES256-SHA"),
    (0xc013, "ECDHE-RSA-AES128-SHA"),
    (0xc014, "ECDHE-RSA-AES256-SHA"),
    (0xc023, "ECDHE-ECDSA-AES128-SHA256"),
    (0xc024, "ECDHE-ECDSA-AES256-SHA384"),
    (0xc027, "ECDHE-RSA-AES128-SHA256"),
    (0xc028, "ECDHE-RSA-AES256-SHA384"),
    (0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (0xc02f, "ECDHE-RSA-AES128-GCM-SHA256"),
    (0xc030, "ECDHE-RSA-AES256-GCM-SHA384"),
    (0xcca8, "ECDHE-RSA-CHACHA20-POLY1305"),
    (0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305"),
    (0xccaa, "DHE-RSA-CHACHA20-POLY1305"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &str, expected: &str) {
        let names = Ciphers::read(list).map(|Ciphers(suites)| {
            let names: Vec<_> = suites.iter().map(|suite| cipher_name(suite.suite())).collect();
            names
                .join(" ")
                .replace("ECDHE-", "")
                .replace("-GCM-SHA384", "")
                .replace("-GCM-SHA256", "")
        });
        assert_eq!(names.as_deref().unwrap_or(""), expected, "{list}");
    }

    #[test]
    fn lists() {
        let all = "ECDSA-AES256 RSA-AES256 ECDSA-CHACHA20-POLY1305 RSA-CHACHA20-POLY1305 \
                   ECDSA-AES128 RSA-AES128";
        check("HIGH:!aNULL:!MD5", all);
        check("DEFAULT:ECCdraft", all);
        check("ALL:!ADH:!LOW:!EXP:!MD5:@STRENGTH", all);
        check("EECDH+AESGCM:EDH+AESGCM", "ECDSA-AES256 RSA-AES256 ECDSA-AES128 RSA-AES128");
        check("ECDHE+AESGCM+AES128+aRSA", "RSA-AES128");
        check("ECDHE-RSA-AES128-GCM-SHA256,AES128-SHA", "RSA-AES128");
        check("HIGH:!CHACHA20:+aECDSA", "RSA-AES256 RSA-AES128 ECDSA-AES256 ECDSA-AES128");
        check("AES256:-ECDSA:ECDSA+AES128", "RSA-AES256 ECDSA-AES128");
        check("!AES:HIGH:AES", "ECDSA-CHACHA20-POLY1305 RSA-CHACHA20-POLY1305");
        check("RC4:MD5", "");
        check("AES128-SHA:DHE-RSA-AES128-GCM-SHA256", "");
    }

    #[test]
    fn names_are_sorted_for_the_search() {
        assert!(NAMES.is_sorted_by_key(|(number, _)| *number));
        assert_eq!(cipher_name(CipherSuite::TLS13_AES_256_GCM_SHA384), "TLS_AES_256_GCM_SHA384");
        assert_eq!(cipher_name(CipherSuite::Unknown(0x1a1a)), "0x1a1a");
    }
}
