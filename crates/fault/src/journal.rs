//! Where the proxy tells what it does: one line for each toxic that touches a connection, so that a
//! failure somewhere in the chain can be traced to the fault that was meant. Whoever runs the proxy
//! inside its own process takes the lines and puts them where its other lines are.

use std::{
    fmt,
    io::{self, Write as _},
    sync::Arc,
};

#[derive(Clone)]
pub struct Journal(Arc<dyn Fn(&str) + Send + Sync>);

impl Journal {
    pub fn new(take: impl Fn(&str) + Send + Sync + 'static) -> Journal {
        Journal(Arc::new(take))
    }

    /// Lines with the time before them.
    pub fn stderr() -> Journal {
        Journal::new(|line| {
            // In one write, so that the lines of several threads do not mix. And nobody is left to
            // tell when standard error itself is gone.
            let line = format!("{:.3} {line}\n", jiff::Timestamp::now());
            let _ = io::stderr().write_all(line.as_bytes());
        })
    }

    pub fn write(&self, line: fmt::Arguments<'_>) {
        (self.0)(&line.to_string());
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Journal")
    }
}
