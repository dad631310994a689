//! Going on with an earlier session: what the client keeps (tickets), and what is kept here.

use std::{
    collections::{HashMap, VecDeque},
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest, rand,
};
use rustls::server::{ProducesTickets, StoresServerSessions};

use crate::{clock, conf::errno};

/// Sessions of all threads, in memory. The oldest make room for new ones.
pub struct SessionCache {
    capacity: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    sessions: HashMap<Vec<u8>, Session>,
    /// By age. Some may be gone already.
    order: VecDeque<Vec<u8>>,
}

struct Session {
    secret: Vec<u8>,
    made: Duration,
}

/// What nginx reckons one session to take of `shared:NAME:SIZE`: "one megabyte can store about 4000".
const SESSION_SIZE: u64 = 256;

impl SessionCache {
    /// As many as nginx would keep in so many bytes.
    pub fn of_size(size: u64) -> SessionCache {
        SessionCache::of(usize::try_from(size / SESSION_SIZE).unwrap_or(usize::MAX))
    }

    pub fn of(capacity: usize) -> SessionCache {
        SessionCache { capacity: capacity.max(1), kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cache as one server uses it: with its timeout, and apart from the sessions of servers that show
/// other certificates or trust other clients.
pub(super) struct Resumption {
    pub(super) cache: Arc<SessionCache>,
    pub(super) timeout: Duration,
    pub(super) context: Vec<u8>,
}

impl Resumption {
    fn key(&self, id: &[u8]) -> Vec<u8> {
        [&self.context[..], id].concat()
    }

    fn is_fresh(&self, session: &Session) -> bool {
        clock::tick().saturating_sub(session.made) <= self.timeout
    }
}

impl StoresServerSessions for Resumption {
    fn put(&self, id: Vec<u8>, secret: Vec<u8>) -> bool {
        let (key, session) = (self.key(&id), Session { secret, made: clock::tick() });
        let mut kept = self.cache.kept();
        if kept.sessions.insert(key.clone(), session).is_none() {
            kept.order.push_back(key);
        }
        while kept.order.len() > self.cache.capacity {
            if let Some(oldest) = kept.order.pop_front() {
                kept.sessions.remove(&oldest);
            }
        }
        true
    }

    fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        let kept = self.cache.kept();
        let session = kept.sessions.get(&self.key(id)).filter(|session| self.is_fresh(session));
        session.map(|session| session.secret.clone())
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        let session = self.cache.kept().sessions.remove(&self.key(id))?;
        self.is_fresh(&session).then_some(session.secret)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl fmt::Debug for Resumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resumption").finish_non_exhaustive()
    }
}

/// What tickets are sealed with.
pub enum TicketKeys {
    /// `ssl_session_ticket_key`: the same for several servers. The first seals, the others open what
    /// was sealed before.
    Given(Vec<TicketKey>),
    /// Nobody else's, and of no use to anybody before long.
    Own(RwLock<Ring>),
}

pub struct Ring {
    current: TicketKey,
    previous: Option<TicketKey>,
    since: Duration,
}

pub struct TicketKey {
    name: [u8; NAME],
    cipher: LessSafeKey,
}

const NAME: usize = 16;

impl TicketKeys {
    pub fn own() -> TicketKeys {
        let (current, since) = (TicketKey::random(), clock::tick());
        TicketKeys::Own(RwLock::new(Ring { current, previous: None, since }))
    }

    /// Files of 48 or 80 random bytes, as OpenSSL takes them.
    pub fn read(files: &[PathBuf]) -> Result<TicketKeys, String> {
        files
            .iter()
            .map(|path| TicketKey::read(path))
            .collect::<Result<_, _>>()
            .map(TicketKeys::Given)
    }

    /// The key to seal with, which is another one after as long as a ticket is good for.
    fn with_current<T>(&self, period: Duration, seal: impl FnOnce(&TicketKey) -> T) -> Option<T> {
        let ring = match self {
            TicketKeys::Given(keys) => return keys.first().map(seal),
            TicketKeys::Own(ring) => ring,
        };
        let is_due = |ring: &Ring| clock::tick().saturating_sub(ring.since) > period;
        let known = ring.read().unwrap_or_else(PoisonError::into_inner);
        if !is_due(&known) {
            return Some(seal(&known.current));
        }
        drop(known);
        let mut known = ring.write().unwrap_or_else(PoisonError::into_inner);
        // Unless another thread was faster.
        if is_due(&known) {
            let previous = std::mem::replace(&mut known.current, TicketKey::random());
            known.previous = Some(previous);
            known.since = clock::tick();
        }
        Some(seal(&known.current))
    }

    /// The key of this name, to open with.
    fn with<T>(&self, name: &[u8], open: impl FnOnce(&TicketKey) -> Option<T>) -> Option<T> {
        match self {
            TicketKeys::Given(keys) => keys.iter().find(|key| key.name == name).and_then(open),
            TicketKeys::Own(ring) => {
                let ring = ring.read().unwrap_or_else(PoisonError::into_inner);
                let keys = std::iter::once(&ring.current).chain(&ring.previous);
                keys.into_iter().find(|key| key.name == name).and_then(open)
            }
        }
    }
}

impl TicketKey {
    fn random() -> TicketKey {
        let mut bytes = [0; NAME + 32];
        rand::fill(&mut bytes).expect("the system has random numbers");
        TicketKey::of(&bytes)
    }

    fn read(path: &Path) -> Result<TicketKey, String> {
        let name = path.display();
        let bytes = fs::read(path)
            .map_err(|error| format!("open() \"{name}\" failed ({})", errno(&error)))?;
        if !matches!(bytes.len(), 48 | 80) {
            return Err(format!("\"{name}\" must be 48 or 80 bytes"));
        }
        Ok(TicketKey::of(&bytes))
    }

    /// The name is the first bytes; what follows is the secret, whatever its length.
    fn of(bytes: &[u8]) -> TicketKey {
        let (first, rest) = bytes.split_at(NAME);
        let mut name = [0; NAME];
        name.copy_from_slice(first);
        let secret = digest::digest(&digest::SHA256, rest);
        let key = UnboundKey::new(&AES_256_GCM, secret.as_ref());
        TicketKey { name, cipher: LessSafeKey::new(key.expect("a sum is as long as a key")) }
    }
}

/// Tickets of one server: name of the key, nonce, time and session sealed. The context is sealed with
/// them, so that a ticket opens only where the same certificates are shown and clients are trusted.
pub(super) struct Tickets {
    pub(super) keys: TicketKeys,
    pub(super) timeout: Duration,
    pub(super) context: Vec<u8>,
}

const TIME: usize = 8;

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(self.timeout.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        self.keys.with_current(self.timeout, |key| self.seal(key, session))?
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, sealed) = ticket.split_at_checked(NAME)?;
        self.keys.with(name, |key| self.open(key, sealed))
    }
}

impl Tickets {
    fn seal(&self, key: &TicketKey, session: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let now = clock::now().0.to_be_bytes();
        let mut ticket = [&key.name[..], &nonce, &now, session].concat();
        let sealed = &mut ticket[NAME + NONCE_LEN..];
        let nonce = Nonce::assume_unique_for_key(nonce);
        let context = Aad::from(&self.context);
        let tag = key.cipher.seal_in_place_separate_tag(nonce, context, sealed).ok()?;
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    fn open(&self, key: &TicketKey, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = sealed.to_vec();
        let context = Aad::from(&self.context);
        let opened = key.cipher.open_in_place(nonce, context, &mut opened).ok()?;
        let (made, session) = opened.split_at_checked(TIME)?;
        let age = clock::now().0.checked_sub(u64::from_be_bytes(made.try_into().ok()?))?;
        (age <= self.timeout.as_secs()).then(|| session.to_vec())
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickets(keys: TicketKeys, context: &[u8], timeout: Duration) -> Tickets {
        Tickets { keys, timeout, context: context.to_vec() }
    }

    fn given() -> TicketKeys {
        let keys: [&[u8]; 2] = [&[1; 48], &[2; 80]];
        TicketKeys::Given(keys.iter().map(|bytes| TicketKey::of(bytes)).collect())
    }

    #[test]
    fn a_ticket_opens_where_it_was_sealed() {
        let hour = Duration::from_hours(1);
        let here = tickets(given(), b"here", hour);
        let ticket = here.encrypt(b"session").unwrap();
        assert_eq!(here.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        // Another server with the same keys.
        assert!(tickets(given(), b"here", hour).decrypt(&ticket).is_some());
        // One that shows other certificates, and one with keys of its own.
        assert!(tickets(given(), b"there", hour).decrypt(&ticket).is_none());
        assert!(tickets(TicketKeys::own(), b"here", hour).decrypt(&ticket).is_none());
        for end in 0..ticket.len() {
            assert!(here.decrypt(&ticket[..end]).is_none());
        }
        for place in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[place] ^= 1;
            assert!(here.decrypt(&changed).is_none(), "{place}");
        }
    }

    #[test]
    fn the_oldest_session_makes_room_and_is_nobody_elses() {
        let cache = Arc::new(SessionCache::of(2));
        let of = |context: &[u8], timeout| Resumption {
            cache: Arc::clone(&cache),
            timeout,
            context: context.to_vec(),
        };
        let here = of(b"here", Duration::from_mins(1));
        for id in [b"1", b"2", b"3"] {
            assert!(here.put(id.to_vec(), b"secret".to_vec()));
        }
        assert!(here.get(b"1").is_none());
        assert!(here.get(b"2").is_some());
        assert!(of(b"there", Duration::from_mins(1)).get(b"2").is_none());
        assert!(here.take(b"3").is_some());
        assert!(here.take(b"3").is_none());
    }
}
