//! A thread that carries what may have to wait: to a syslog that is connected to first, to a process
//! that is still writing. The gateway's own thread puts a batch into a queue of bounded length and goes
//! on; where the queue is full the batch is lost, counted, and the count is said.
//!
//! It starts with the first batch: until then this process may still fork, which a thread would not
//! live through.

use std::{
    cell::{Cell, RefCell},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

/// Batches that may wait. A batch is a line, or what gathered of them.
const MOST_WAITING: usize = 2048;
/// How long the last of it may take when this process ends.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// What the thread does with a batch. Its troubles are told, and are lines of the error log.
pub(super) trait Carry: Send + 'static {
    fn carry(&mut self, batch: &[u8], tell: &dyn Fn(String));
    /// There will be no more.
    fn finish(&mut self, tell: &dyn Fn(String));
}

pub(super) struct Courier {
    name: &'static str,
    /// Until there is something to carry.
    idle: RefCell<Option<Box<dyn Carry>>>,
    running: RefCell<Option<Running>>,
    lost: Cell<u64>,
}

struct Running {
    queue: SyncSender<Vec<u8>>,
    /// Closed when the thread has ended.
    troubles: Receiver<String>,
}

impl Courier {
    pub(super) fn new(name: &'static str, carry: impl Carry) -> Courier {
        Courier {
            name,
            idle: RefCell::new(Some(Box::new(carry))),
            running: RefCell::default(),
            lost: Cell::new(0),
        }
    }

    pub(super) fn send(&self, batch: Vec<u8>) {
        if let Some(carry) = self.idle.take() {
            self.running.replace(start(self.name, carry));
        }
        let running = self.running.borrow();
        let sent = running.as_ref().map(|running| running.queue.try_send(batch));
        if !matches!(sent, Some(Ok(()))) {
            self.lost.set(self.lost.get() + 1);
        }
    }

    /// What is to be said of it since the last time this was asked.
    pub(super) fn troubles(&self) -> Vec<String> {
        let running = self.running.borrow();
        let mut troubles: Vec<String> =
            running.iter().flat_map(|running| running.troubles.try_iter()).collect();
        let lost = self.lost.take();
        if lost > 0 {
            troubles.push(format!(
                "{}: {lost} batches of lines were lost, its queue is full",
                self.name
            ));
        }
        troubles
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        if let Some(Running { queue, troubles }) = self.running.take() {
            drop(queue);
            // What it still tells, nobody is left to hear.
            while troubles.recv_timeout(LAST_PATIENCE).is_ok() {}
        }
    }
}

fn start(name: &'static str, mut carry: Box<dyn Carry>) -> Option<Running> {
    let (queue, batches) = sync_channel::<Vec<u8>>(MOST_WAITING);
    let (told, troubles) = sync_channel::<String>(16);
    let body = move || {
        // Where nobody listens, or has listened for long, there is nobody to tell.
        let tell = |trouble: String| drop(told.try_send(trouble));
        for batch in batches {
            carry.carry(&batch, &tell);
        }
        carry.finish(&tell);
    };
    // Without a thread everything is lost, and counted.
    thread::Builder::new().name(name.to_owned()).spawn(body).ok()?;
    Some(Running { queue, troubles })
}
