//! A head as the gateway reads it, strictly and as leniently as its settings allow, with what a proxy
//! says before it: what comes in two pieces is what comes at once.

use std::cell::RefCell;

use causeway_gateway::measure::{Bench, introduction};

thread_local! {
    static READERS: RefCell<[Bench; 2]> = RefCell::new([Bench::default(), Bench::lenient()]);
}

pub(crate) fn run(data: &[u8]) {
    let Some((whole, part, rest)) = crate::cut(data) else { return };
    if let Some(said) = introduction(part) {
        assert_eq!(introduction(whole), Some(said));
    }
    READERS.with_borrow(|readers| {
        for reader in readers {
            let at_once = reader.read_pieces(&[whole]);
            match reader.read_pieces(&[part, rest]) {
                Ok(read) => assert_eq!(Ok(read), at_once),
                Err(reason) => assert!(at_once.is_err(), "{reason}, and at once {at_once:?}"),
            }
        }
    });
}
