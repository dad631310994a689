//! Every target on its seeds and on what is a few changes away from them: seconds of what
//! `cargo xtask fuzz` does for minutes, on any toolchain, the same each time.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{TARGETS, Target};

/// Changed inputs for each target.
const CHANGED: usize = 1500;

/// One input takes microseconds; a machine that is busy with other things may take its time.
const HANGS: Duration = Duration::from_mins(1);

fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target.name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|_| panic!("{}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// One or more changes of the kinds that parsers fall over.
fn change(random: &mut fastrand::Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = seeds[random.usize(..seeds.len())].clone();
    for _ in 0..random.usize(1..5) {
        let at = random.usize(..=input.len());
        let end = random.usize(at..=input.len());
        match random.u8(..6) {
            0 if at < input.len() => input[at] ^= 1 << random.u8(..8),
            1 if at < input.len() => input[at] = *random.choice(b"\0\r\n /.:%;{}\"$\xff").unwrap(),
            2 => input.insert(at, random.u8(..)),
            3 => drop(input.drain(at..end.min(at + 16))),
            4 => {
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            _ => {
                let other = &seeds[random.usize(..seeds.len())];
                input.truncate(at);
                input.extend_from_slice(&other[random.usize(..=other.len())..]);
            }
        }
        input.truncate(4096);
    }
    input
}

fn check(target: &'static Target) {
    let current = Arc::new(Mutex::new(Vec::new()));
    let (done, finished) = sync_channel(0);
    let shown = Arc::clone(&current);
    let worker = std::thread::spawn(move || {
        let seeds = seeds(target);
        let mut random = fastrand::Rng::with_seed(7);
        for number in 0..seeds.len() + CHANGED {
            let input = match seeds.get(number) {
                Some(seed) => seed.clone(),
                None => change(&mut random, &seeds),
            };
            shown.lock().unwrap().clone_from(&input);
            (target.run)(&input);
            done.send(()).unwrap();
        }
    });
    let told = |what: &str| {
        let input = current.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        format!("{} {what} on \"{}\"", target.name, input.escape_ascii())
    };
    loop {
        match finished.recv_timeout(HANGS) {
            Ok(()) => (),
            Err(RecvTimeoutError::Timeout) => panic!("{}", told("hangs")),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    assert!(worker.join().is_ok(), "{}", told("panics"));
}

#[test]
fn nothing_panics_or_hangs_near_the_seeds() {
    // The edge lives through a panic of one request; here it counts.
    static PANICS: AtomicU32 = AtomicU32::new(0);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        usual(info);
    }));
    for target in TARGETS {
        check(target);
        assert_eq!(PANICS.load(Ordering::Relaxed), 0, "{} panics", target.name);
    }
}
