//! Workers that have more memory than they may.

use crate::stack::{Habit, Listens, Load, assert_none_lost, start, start_on};

const REPLACED: &str = " and is replaced";

#[test]
fn those_that_grow_are_replaced_one_at_a_time_and_nothing_is_lost() {
    let gateway = start_on(Listens::Unix, &["--workers", "2", "--max-worker-memory", "40M"]);
    let load = Load::start(gateway.place(), 4, Habit::KeepAlive, "/grow?bytes=40000");
    gateway.log.wait_for_nth(REPLACED, 3);
    assert_none_lost(&load.finish(), &gateway.log);
    let line = gateway.log.wait_for(REPLACED);
    assert!(line.contains(" MiB of memory after "), "{line}");
    assert!(line.contains(" requests, more than --max-worker-memory, 40.0 MiB,"), "{line}");
    // The next is chosen when the last has gone, and that goes when its replacement is there.
    let mut is_leaving = false;
    let mut ready = 0;
    for line in gateway.log.lines() {
        if line.contains(REPLACED) {
            assert!(!is_leaving, "{line}\n{}", gateway.log.text());
            (is_leaving, ready) = (true, 0);
        } else if line.contains("Worker ready") {
            ready += 1;
        } else if line.contains("Worker exiting") {
            assert_eq!((is_leaving, ready), (true, 1), "{line}\n{}", gateway.log.text());
            is_leaving = false;
        }
    }
}

#[test]
fn without_a_limit_nobody_is_replaced_for_it() {
    let gateway = start(&["--workers", "1"]);
    let worker = gateway.worker();
    assert_eq!(gateway.get("/grow?bytes=100000000").status, 200);
    assert_eq!(gateway.worker(), worker);
}
