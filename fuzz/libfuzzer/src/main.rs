//! libFuzzer's side: one program for all targets, which `CAUSEWAY_FUZZ_TARGET` chooses among.
#![no_main]

use std::sync::OnceLock;

use fuzz::Target;
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fn chosen() -> &'static Target {
    let name = std::env::var("CAUSEWAY_FUZZ_TARGET").unwrap_or_default();
    fuzz::TARGETS.iter().find(|target| target.name == name).expect("the name of a target")
}

fuzz_target!(|data: &[u8]| (TARGET.get_or_init(chosen).run)(data));
