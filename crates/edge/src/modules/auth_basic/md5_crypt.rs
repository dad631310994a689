//! The crypt of FreeBSD, a thousand rounds of MD5: `$1$salt$hash`, and Apache's `$apr1$salt$hash`,
//! which is the same with another name in it.

use md5::{Digest, Md5};

const ROUNDS: usize = 1000;

/// The longest salt; what is beyond it means nothing.
const SALT: usize = 8;

/// What is written down for this password with the kind and the salt of `stored`.
pub(super) fn made_by(stored: &str, password: &[u8]) -> Option<String> {
    let magic = ["$1$", "$apr1$"].into_iter().find(|magic| stored.starts_with(magic))?;
    let salt = stored[magic.len()..].split('$').next()?;
    let salt = &salt[..salt.floor_char_boundary(SALT)];
    let digest = digest(password, magic.as_bytes(), salt.as_bytes());
    let mut made = format!("{magic}{salt}$");
    for [high, middle, low] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        let bits = [digest[high], digest[middle], digest[low]].map(u32::from);
        write(bits[0] << 16 | bits[1] << 8 | bits[2], 4, &mut made);
    }
    write(u32::from(digest[11]), 2, &mut made);
    Some(made)
}

fn digest(password: &[u8], magic: &[u8], salt: &[u8]) -> [u8; 16] {
    let parts = [password, salt, password];
    let inner = parts.iter().fold(Md5::new(), Md5::chain_update).finalize();
    let mut outer = Md5::new().chain_update(password).chain_update(magic).chain_update(salt);
    for piece in password.chunks(inner.len()) {
        outer.update(&inner[..piece.len()]);
    }
    // The bits of the length: a known quirk, kept by everybody since.
    let mut length = password.len();
    while length > 0 {
        outer.update(if length & 1 == 1 { &[0] } else { &password[..1] });
        length >>= 1;
    }
    let mut known: [u8; 16] = outer.finalize().into();
    for round in 0..ROUNDS {
        let odd = round % 2 == 1;
        let mut next = Md5::new();
        next.update(if odd { password } else { &known });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if odd { &known } else { password });
        known = next.finalize().into();
    }
    known
}

/// Six bits a letter, the lowest first.
fn write(mut bits: u32, letters: usize, text: &mut String) {
    const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for _ in 0..letters {
        text.push(LETTERS[(bits & 63) as usize] as char);
        bits >>= 6;
    }
}
