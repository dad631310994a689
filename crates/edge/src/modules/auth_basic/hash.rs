//! The ways in which a password may be written down, told apart by how they begin: nginx's own
//! (`{PLAIN}`, `{SHA}`, `{SSHA}`, `$apr1$`), and those of crypt(3). By crates and not by the system's
//! libcrypt, so that what is taken does not hang on the machine.

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{Context, SHA1_FOR_LEGACY_USE_ONLY},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha_crypt::{PasswordVerifier, ShaCrypt};
use yescrypt::Yescrypt;

use super::{des_crypt, md5_crypt};

/// A password, as it is written down.
pub(super) enum Hash {
    Plain(Vec<u8>),
    /// The digest, and the salt behind it; `{SHA}` has none.
    Sha {
        digest: [u8; 20],
        salt: Vec<u8>,
    },
    Md5(String),
    Sha2(String),
    Bcrypt(String),
    Yescrypt(String),
    Des(String),
    /// Nobody's.
    Unknown,
}

impl Hash {
    pub(super) fn parse(stored: &[u8]) -> Hash {
        if let Some(plain) = stored.strip_prefix(b"{PLAIN}") {
            return Hash::Plain(plain.to_vec());
        }
        if let Some(encoded) = stored.strip_prefix(b"{SHA}") {
            return Hash::sha(encoded).filter(|hash| !hash.is_salted()).unwrap_or(Hash::Unknown);
        }
        if let Some(encoded) = stored.strip_prefix(b"{SSHA}") {
            return Hash::sha(encoded).unwrap_or(Hash::Unknown);
        }
        let Ok(text) = std::str::from_utf8(stored).map(str::to_owned) else { return Hash::Unknown };
        let Some(rest) = text.strip_prefix('$') else { return Hash::Des(text) };
        match rest.split('$').next() {
            Some("apr1" | "1") => Hash::Md5(text),
            Some("2a" | "2b" | "2x" | "2y") => Hash::Bcrypt(text),
            Some("5" | "6") => Hash::Sha2(text),
            // A digest that is cut short would be a password for everybody.
            Some("y") if text.rsplit('$').next().is_some_and(|digest| digest.len() == 43) => {
                Hash::Yescrypt(text)
            }
            _ => Hash::Unknown,
        }
    }

    fn sha(encoded: &[u8]) -> Option<Hash> {
        let decoded = STANDARD.decode(encoded).ok()?;
        let (digest, salt) = decoded.split_first_chunk()?;
        Some(Hash::Sha { digest: *digest, salt: salt.to_vec() })
    }

    fn is_salted(&self) -> bool {
        matches!(self, Hash::Sha { salt, .. } if !salt.is_empty())
    }

    /// Whether comparing takes so long that others would have to wait.
    pub(super) fn is_slow(&self) -> bool {
        !matches!(self, Hash::Plain(_) | Hash::Sha { .. } | Hash::Unknown)
    }

    pub(super) fn fits(&self, password: &[u8]) -> bool {
        // To crypt(3) it would end there, and it takes none that is longer: some kinds take a time
        // that grows with the length's square.
        if password.contains(&0) || self.is_slow() && password.len() > LONGEST {
            return false;
        }
        match self {
            Hash::Plain(plain) => same(plain, password),
            Hash::Sha { digest, salt } => {
                let mut made = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
                made.update(password);
                made.update(salt);
                same(made.finish().as_ref(), digest)
            }
            Hash::Md5(text) => md5_crypt::made_by(text, password)
                .is_some_and(|made| same(made.as_bytes(), text.as_bytes())),
            Hash::Sha2(text) => {
                ShaCrypt::default().verify_password(password, text.as_str()).is_ok()
            }
            Hash::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
            Hash::Yescrypt(text) => {
                Yescrypt::default().verify_password(password, text.as_str()).is_ok()
            }
            Hash::Des(text) => des_crypt::made_by(text, password)
                .is_some_and(|made| same(made.as_bytes(), text.as_bytes())),
            Hash::Unknown => false,
        }
    }
}

/// libxcrypt's `CRYPT_MAX_PASSPHRASE_SIZE`.
const LONGEST: usize = 512;

/// In the same time, wherever they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    verify_slices_are_equal(one, other).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by crypt(3) of libxcrypt, by htpasswd, and as nginx documents its own.
    const KINDS: [&str; 15] = [
        "{PLAIN}password",
        "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "{SSHA}yI6cZwQadOA1e+/f+T+H3eCQQhRzYWx0",
        "$apr1$salt$Xxd1irWT9ycqoYxGFn4cb.",
        "$apr1$longsalt$l.ixpUD1Nt03B36qgikgr.",
        "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
        "$1$$I2o9Z7NcvQAKp7wyCTlia0",
        "$5$saltstring$OH4IDuTlsuTYPdED1gsuiRMyTAwNlRWyA6Xr3I4/dQ5",
        "$5$rounds=1400$anotherlongsalt$8xcn2X2rbDr1tYcoslOOgcBwjCIRAOJUrz7e9nxWMrA",
        "$6$saltstring$adDbXsJjcDlq2662QPgd.tkSOVmnG9Tt3oXl4HR60SusC3AGjirnDenVZp3DGwLwqy6iYKCzannhaX9DR72nN1",
        "$2a$04$abcdefghijklmnopqrstuughE8Ev8uGFaUgY2cNEySvxngrb/Jzdm",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.aDV7CQarKHMuNfh2oJkFzsHZya4whFe",
        "$2y$05$abcdefghijklmnopqrstuuWG29KuyeAicPCJODk1zjyGvyQUU2awu",
        "$y$j75$F5Jx5fExrKuPp53xLKQ..1$6Ttv8PR0mzms/.RLVEgTO2JmLY0FDC7Cfd.UUAxsEO8",
        "zzXUHfURnGg8I",
    ];

    #[test]
    fn right_and_wrong() {
        for stored in KINDS {
            let hash = Hash::parse(stored.as_bytes());
            assert!(hash.fits(b"password"), "{stored}");
            for wrong in ["", "Password", "passwor", "password\0"] {
                assert!(!hash.fits(wrong.as_bytes()), "{stored} {wrong:?}");
            }
        }
    }

    #[test]
    fn nobody_has_a_password_of_a_page() {
        let long = vec![b'x'; LONGEST + 1];
        assert!(!Hash::parse(b"$1$salt$qJH7.N4xYta3aEG/dfqo/0").fits(&long));
        let plain = [b"{PLAIN}", &long[..]].concat();
        assert!(Hash::parse(&plain).fits(&long));
    }

    #[test]
    fn of_the_oldest_kind_eight_letters_count() {
        for stored in ["sa3tHJ3/KuYvI", "./xZjzHv5vzVE"] {
            assert!(Hash::parse(stored.as_bytes()).fits(b"password and more"), "{stored}");
        }
    }

    #[test]
    fn what_is_broken_is_nobodys() {
        for broken in [
            "",
            "x",
            "$",
            "$1$",
            "$1",
            "$apr1$",
            "$apr1$salt",
            "$5$",
            "$6$salt$",
            "$2y$",
            "$2y$05$short",
            "$y$",
            "$y$j9T$",
            "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$",
            "$9$salt$hash",
            "{SHA}",
            "{SSHA}",
            "{SHA}Zm9vCg==",
            "{SSHA}Zm9vCg==",
            "{SHA}_____Mm5Pz8GgiULbPgzG37mj9g=",
            "{MD5}x",
            "saltsaltsalts\u{e9}",
            "!!aaaaaaaaaaa",
        ] {
            let hash = Hash::parse(broken.as_bytes());
            for password in ["", "password", "1", broken] {
                assert!(!hash.fits(password.as_bytes()), "{broken} {password}");
            }
        }
        assert!(!Hash::parse(&[0xff, 0xfe]).fits(&[0xff, 0xfe]));
    }
}
