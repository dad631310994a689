//! `zone=name:size`: what the threads of every worker know of a key together, kept through reloads
//! for as long as the name and the size stay.
//!
//! Shared memory and not a map behind an `Arc`, because a reload starts another process. A key is
//! known by its hash under a seed nobody knows, which makes all entries alike: the memory is cut
//! into pages, a page has a lock and a row of entries, and the hash says which page. Nothing points
//! anywhere, so a worker that is killed in the middle leaves nothing that could lead another astray,
//! and its lock is taken from it.

mod sys; // the memory itself

use std::{
    hash::{BuildHasher, RandomState},
    io,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};

pub(crate) use sys::Memory;

pub struct Zone {
    purpose: &'static str,
    name: String,
    /// As the file writes it.
    key: String,
    memory: Memory,
    seed: RandomState,
}

/// Words of a page: 4 KB, so that a page is the kernel's as well.
const PAGE: usize = 512;

/// A page's words: its lock, how many entries it has, and the entries.
const LOCK: usize = 0;
const USED: usize = 1;
const FIRST: usize = 2;

/// An entry's words: the hash of its key, and two values of its family's.
const ENTRY: usize = 3;

const ENTRIES: usize = (PAGE - FIRST) / ENTRY;

/// Zones that are in use, for the configuration that is read next.
static KNOWN: Mutex<Vec<Weak<Zone>>> = Mutex::new(Vec::new());

#[derive(Debug, thiserror::Error)]
pub enum ZoneError {
    #[error(
        "{purpose} \"{name}\" uses the \"{key}\" key while previously it used the \"{old}\" key"
    )]
    OtherKey { purpose: &'static str, name: String, key: String, old: String },
    #[error("mmap() of zone \"{name}\" failed ({})", crate::conf::errno(.error))]
    Memory { name: String, error: io::Error },
}

impl Zone {
    /// The smallest zone, as in nginx.
    pub const SMALLEST: u64 = 32 << 10;

    /// The zone of this name and size, if the configuration before this one had it, or a new one.
    pub fn open(
        purpose: &'static str,
        name: &str,
        size: u64,
        key: &str,
    ) -> Result<Arc<Zone>, ZoneError> {
        let words = usize::try_from(size).unwrap_or(usize::MAX) / size_of::<AtomicU64>();
        let words = words.max(PAGE) / PAGE * PAGE;
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|zone| zone.strong_count() > 0);
        let same = |zone: &Arc<Zone>| {
            zone.purpose == purpose && zone.name == name && zone.memory.len() == words
        };
        if let Some(zone) = known.iter().filter_map(Weak::upgrade).find(same) {
            if zone.key == key {
                return Ok(zone);
            }
            let (name, key, old) = (name.to_owned(), key.to_owned(), zone.key.clone());
            return Err(ZoneError::OtherKey { purpose, name, key, old });
        }
        let memory = Memory::new(words);
        let memory = memory.map_err(|error| ZoneError::Memory { name: name.to_owned(), error })?;
        let (name, key, seed) = (name.to_owned(), key.to_owned(), RandomState::new());
        let zone = Arc::new(Zone { purpose, name, key, memory, seed });
        known.push(Arc::downgrade(&zone));
        Ok(zone)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key as the file writes it.
    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn hash(&self, key: &[u8]) -> u64 {
        self.seed.hash_one(key)
    }

    /// Everything that is known of a hash, and nobody else's while this lives: not across an await.
    pub fn page(&self, hash: u64) -> Page<'_> {
        let pages = (self.memory.len() / PAGE) as u64;
        let place = (((hash >> 32) * pages) >> 32) as usize * PAGE;
        let words = &self.memory[place..place + PAGE];
        lock(&words[LOCK]);
        Page { words, hash }
    }
}

/// A page under its lock.
pub struct Page<'z> {
    words: &'z [AtomicU64],
    hash: u64,
}

/// An entry's place in its page.
#[derive(Clone, Copy, Debug)]
pub struct Place(usize);

impl Page<'_> {
    /// The entries of the page's own hash, among which a family finds its own.
    pub fn find(&self, fits: impl Fn([u64; 2]) -> bool) -> Option<Place> {
        let same = |place: &Place| self.hash_at(*place) == self.hash && fits(self.get(*place));
        self.places().find(same)
    }

    pub fn places(&self) -> impl DoubleEndedIterator<Item = Place> + use<> {
        // A worker that died may have left any number there.
        (0..(self.words[USED].load(Relaxed) as usize).min(ENTRIES)).map(Place)
    }

    pub fn is_of_key(&self, place: Place) -> bool {
        self.hash_at(place) == self.hash
    }

    pub fn get(&self, place: Place) -> [u64; 2] {
        [1, 2].map(|word| self.words[FIRST + place.0 * ENTRY + word].load(Relaxed))
    }

    pub fn set(&mut self, place: Place, values: [u64; 2]) {
        self.write(place, self.hash_at(place), values);
    }

    /// An entry of the key's own. `false`: the page is full.
    pub fn insert(&mut self, values: [u64; 2]) -> bool {
        let used = self.places().count();
        if used == ENTRIES {
            return false;
        }
        self.write(Place(used), self.hash, values);
        self.words[USED].store(used as u64 + 1, Relaxed);
        true
    }

    /// The key's own entry, in the place of another.
    pub fn replace(&mut self, place: Place, values: [u64; 2]) {
        self.write(place, self.hash, values);
    }

    /// Takes an entry out; the last one takes its place.
    pub fn remove(&mut self, place: Place) {
        let Some(last) = self.places().next_back() else { return };
        self.write(place, self.hash_at(last), self.get(last));
        self.words[USED].store(last.0 as u64, Relaxed);
    }

    fn hash_at(&self, place: Place) -> u64 {
        self.words[FIRST + place.0 * ENTRY].load(Relaxed)
    }

    fn write(&mut self, place: Place, hash: u64, values: [u64; 2]) {
        let entry = &self.words[FIRST + place.0 * ENTRY..][..ENTRY];
        entry.iter().zip([hash, values[0], values[1]]).for_each(|(word, value)| {
            word.store(value, Relaxed);
        });
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        self.words[LOCK].store(0, Release);
    }
}

/// How often a lock is tried before the processor is given to others, and how often before its
/// holder is looked for.
const TURNS: u32 = 64;
const PATIENCE: u32 = 4096;

/// Takes a lock, which is held for a few dozen instructions. In it stands who has it: one that was
/// killed will not give it back.
fn lock(word: &AtomicU64) {
    let own = u64::from(own_id());
    let mut turn: u32 = 0;
    while let Err(holder) = word.compare_exchange_weak(0, own, Acquire, Relaxed) {
        turn = turn.wrapping_add(1);
        std::hint::spin_loop();
        if turn.is_multiple_of(TURNS) {
            std::thread::yield_now();
        }
        if turn.is_multiple_of(PATIENCE) && holder != 0 && !is_alive(holder as u32) {
            let _taken_meanwhile = word.compare_exchange(holder, 0, Relaxed, Relaxed);
        }
    }
}

thread_local! {
    /// Asked for once a thread: a worker's threads begin after its fork.
    static OWN: u32 = std::process::id();
}

/// This process, as an entry may name its owner.
pub fn own_id() -> u32 {
    OWN.with(|own| *own)
}

pub fn is_alive(process: u32) -> bool {
    kill(Pid::from_raw(process as i32), None) != Err(Errno::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str, size: u64, key: &str) -> Result<Arc<Zone>, ZoneError> {
        Zone::open("test", name, size, key)
    }

    #[test]
    fn a_zone_outlives_the_configuration_before() {
        let first = zone("kept", 32 << 10, "$a").unwrap();
        assert!(Arc::ptr_eq(&first, &zone("kept", 32 << 10, "$a").unwrap()));
        assert!(!Arc::ptr_eq(&first, &zone("kept", 64 << 10, "$a").unwrap()));
        assert!(!Arc::ptr_eq(&first, &zone("other", 32 << 10, "$a").unwrap()));
        let error = zone("kept", 32 << 10, "$b").err().unwrap().to_string();
        let expected = "test \"kept\" uses the \"$b\" key while previously it used the \"$a\" key";
        assert_eq!(error, expected);
        let hash = first.hash(b"x");
        assert!(first.page(hash).insert([1, 2]));
        drop(first);
        let next = zone("kept", 32 << 10, "$a").unwrap();
        assert!(next.page(hash).find(|_| true).is_none());
    }

    #[test]
    fn entries_come_and_go() {
        let zone = zone("entries", 4 << 10, "").unwrap();
        for number in 0..ENTRIES as u64 {
            assert!(zone.page(number).insert([number, 0]));
        }
        assert!(!zone.page(7 << 40).insert([0, 0]));
        for number in (0..ENTRIES as u64).rev() {
            let mut page = zone.page(number);
            let place = page.find(|_| true).unwrap();
            assert_eq!(page.get(place), [number, 0]);
            page.remove(place);
            assert!(page.find(|_| true).is_none());
        }
        assert_eq!(zone.page(0).places().count(), 0);
    }

    #[test]
    fn a_lock_is_taken_from_the_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let word = AtomicU64::new(u64::from(child.id()));
        lock(&word);
        assert_eq!(word.load(Relaxed), u64::from(own_id()));
    }

    #[test]
    fn threads_take_turns() {
        let zone = zone("turns", 4 << 10, "").unwrap();
        zone.page(1).insert([0, 0]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let mut page = zone.page(1);
                        let place = page.find(|_| true).unwrap();
                        let [count, _] = page.get(place);
                        page.set(place, [count + 1, 0]);
                    }
                });
            }
        });
        let page = zone.page(1);
        assert_eq!(page.get(page.find(|_| true).unwrap()), [4000, 0]);
    }
}
