//! OpenSSL's lists of curves and other groups, for the key exchange.

use rustls::{
    NamedGroup,
    crypto::{
        SupportedKxGroup,
        aws_lc_rs::kx_group::{
            MLKEM768, SECP256R1, SECP256R1MLKEM768, SECP384R1, X25519, X25519MLKEM768,
        },
    },
};

/// The groups of a list, the preferred ones first.
#[derive(Clone, Debug)]
pub struct Curves(Vec<&'static dyn SupportedKxGroup>);

/// Why a list is none.
#[derive(Debug, PartialEq, Eq)]
pub enum BadList {
    /// No such name.
    Unknown(String),
    /// Names enough, but of nothing that is there.
    Empty,
}

/// What OpenSSL calls each of them first, and otherwise.
const NAMES: &[(NamedGroup, &[&str])] = &[
    (NamedGroup::X25519, &["X25519"]),
    (NamedGroup::secp256r1, &["prime256v1", "P-256", "secp256r1"]),
    (NamedGroup::secp384r1, &["secp384r1", "P-384"]),
    (NamedGroup::secp521r1, &["secp521r1", "P-521"]),
    (NamedGroup::X448, &["X448"]),
    (NamedGroup::X25519MLKEM768, &["X25519MLKEM768"]),
    (NamedGroup::secp256r1MLKEM768, &["SecP256r1MLKEM768"]),
    (NamedGroup::MLKEM768, &["MLKEM768"]),
    (NamedGroup::FFDHE2048, &["ffdhe2048"]),
    (NamedGroup::FFDHE3072, &["ffdhe3072"]),
    (NamedGroup::FFDHE4096, &["ffdhe4096"]),
    (NamedGroup::FFDHE6144, &["ffdhe6144"]),
    (NamedGroup::FFDHE8192, &["ffdhe8192"]),
];

impl Curves {
    /// `auto`, or names between colons. What OpenSSL has and rustls has not is passed over.
    pub fn read(list: &str) -> Result<Curves, BadList> {
        if list == "auto" {
            return Ok(Curves::default());
        }
        let mut curves = Vec::new();
        for name in list.split(':').map(|name| name.trim_start_matches('?')) {
            let same = |known: &&str| known.eq_ignore_ascii_case(name);
            let known = NAMES.iter().find(|(_, names)| names.iter().any(same));
            let (group, _) = known.ok_or_else(|| BadList::Unknown(name.to_owned()))?;
            curves.extend(supported(*group));
        }
        if curves.is_empty() { Err(BadList::Empty) } else { Ok(Curves(curves)) }
    }

    pub(super) fn groups(&self) -> Vec<&'static dyn SupportedKxGroup> {
        self.0.clone()
    }
}

/// The hybrid first: what is recorded today is not to be read when there are larger computers.
impl Default for Curves {
    fn default() -> Curves {
        Curves(vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1])
    }
}

fn supported(group: NamedGroup) -> Option<&'static dyn SupportedKxGroup> {
    let all = [X25519MLKEM768, X25519, SECP256R1, SECP384R1, SECP256R1MLKEM768, MLKEM768];
    all.into_iter().find(|known| known.name() == group)
}

/// OpenSSL's name of a group, of whatever kind.
pub fn curve_name(group: NamedGroup) -> String {
    match NAMES.iter().find(|(known, _)| *known == group) {
        Some((_, names)) => names[0].to_owned(),
        None => format!("0x{:04x}", u16::from(group)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let check = |list: &str, expected: Result<&str, BadList>| {
            let names = Curves::read(list).map(|Curves(groups)| {
                let names: Vec<_> = groups.iter().map(|group| curve_name(group.name())).collect();
                names.join(" ")
            });
            assert_eq!(names, expected.map(str::to_owned), "{list}");
        };
        check("auto", Ok("X25519MLKEM768 X25519 prime256v1 secp384r1"));
        check("secp384r1", Ok("secp384r1"));
        check("X25519:P-256:X448:secp521r1", Ok("X25519 prime256v1"));
        check("X448", Err(BadList::Empty));
        check("X25519:nonsense", Err(BadList::Unknown("nonsense".to_owned())));
    }
}
