//! Which library a program loads: the one that was built with it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use causeway_app_host::library_for;

const LIBRARY: &str = "libcauseway_app_host.so";

/// Makes a library in each folder, built so many seconds after the first was.
fn build(target: &Path, libraries: &[(&str, u64)]) {
    for (folder, second) in libraries {
        let folder = target.join(folder);
        fs::create_dir_all(&folder).unwrap();
        let library = File::create(folder.join(LIBRARY)).unwrap();
        let built = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + second);
        library.set_modified(built).unwrap();
    }
}

#[track_caller]
fn check(program: &str, libraries: &[(&str, u64)], expected: Option<&str>) {
    let scratch = tempfile::tempdir().unwrap();
    build(scratch.path(), libraries);
    let expected: Option<PathBuf> =
        expected.map(|folder| scratch.path().join(folder).join(LIBRARY));
    assert_eq!(library_for(&scratch.path().join(program)), expected, "{program}: {libraries:?}");
}

#[test]
fn the_newest_is_loaded() {
    check("debug/gateway", &[("debug", 0), ("debug/deps", 5)], Some("debug/deps"));
    check("debug/gateway", &[("debug", 5), ("debug/deps", 0)], Some("debug"));
    check("debug/deps/test-1", &[("debug", 0), ("debug/deps", 5)], Some("debug/deps"));
    check("debug/deps/test-1", &[("debug", 5), ("debug/deps", 0)], Some("debug"));
    check("debug/examples/cost", &[("debug", 0), ("debug/deps", 5)], Some("debug/deps"));
}

#[test]
fn of_equals_the_nearest_is_loaded() {
    check("debug/gateway", &[("debug", 0), ("debug/deps", 0)], Some("debug"));
    check("debug/deps/test-1", &[("debug", 0), ("debug/deps", 0)], Some("debug/deps"));
}

#[test]
fn without_one_there_is_none() {
    check("debug/gateway", &[], None);
    let scratch = tempfile::tempdir().unwrap();
    // A folder of that name is no library.
    fs::create_dir_all(scratch.path().join("debug").join(LIBRARY)).unwrap();
    assert_eq!(library_for(&scratch.path().join("debug/gateway")), None);
}
