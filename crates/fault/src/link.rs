//! One stream of a connection: what is read from its sender passes the stages of its toxics, in the
//! order in which the toxics were added, and waits to be written to its receiver. Toxics come, change
//! and go while bytes are in it; none is lost or overtaken by that. No sockets: the connection brings
//! the bytes and takes them away.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use bytes::Bytes;

use crate::{
    live::Live,
    toxics::{Behaviour, Ending, Item, Moment, Queue, ROOM, Step, pace::Pace},
};

pub(crate) struct Link {
    stages: Vec<Stage>,
    output: VecDeque<Bytes>,
    output_bytes: usize,
    ending: Option<Ending>,
}

struct Stage {
    /// None: the first one, which paces.
    live: Option<Arc<Live>>,
    behaviour: Box<dyn Behaviour>,
    queue: Queue,
    since: Instant,
    passed: u64,
}

impl Stage {
    fn number(&self) -> Option<u64> {
        self.live.as_ref().map(|live| live.number)
    }

    fn pull(&mut self, now: Instant) -> Step {
        let moment = Moment { now, since: self.since, passed: self.passed };
        let step = self.behaviour.pull(&mut self.queue, &moment);
        if let Step::Emit(Item::Data(data)) = &step {
            self.passed += data.len() as u64;
        }
        step
    }
}

impl Link {
    pub(crate) fn new(now: Instant) -> Link {
        let behaviour = Box::new(Pace::default());
        let pace = Stage { live: None, behaviour, queue: Queue::default(), since: now, passed: 0 };
        Link { stages: vec![pace], output: VecDeque::new(), output_bytes: 0, ending: None }
    }

    pub(crate) fn push(&mut self, item: Item, now: Instant) {
        self.stages[0].queue.push(item, now);
    }

    /// Moves what is due, and says when something will be due next.
    pub(crate) fn advance(&mut self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for at in 0..self.stages.len() {
            loop {
                match self.stages[at].pull(now) {
                    Step::Emit(item) => self.deliver(at + 1, item, now),
                    Step::Wait(due) => {
                        next = [next, due].into_iter().flatten().min();
                        break;
                    }
                }
                if self.ending.is_some() {
                    return None;
                }
            }
        }
        next
    }

    fn deliver(&mut self, at: usize, item: Item, now: Instant) {
        if let Some(stage) = self.stages.get_mut(at) {
            return stage.queue.push(item, now);
        }
        match item {
            // An ending is the last of a stream, whatever a stage lets go of after it.
            _ if self.ending.is_some() => {}
            Item::Data(data) => {
                self.output_bytes += data.len();
                self.output.push_back(data);
            }
            Item::Hold { .. } => {}
            Item::End(ending) => self.ending = Some(ending),
        }
    }

    /// Puts the list in force: `touching` are the toxics of this stream that touch this connection.
    /// Returns those that are new to it. Those of HTTP have no stage.
    pub(crate) fn apply(&mut self, touching: &[Arc<Live>], now: Instant) -> Vec<Arc<Live>> {
        let mut new = Vec::new();
        let gone = |stage: &Stage| {
            stage.number().is_some_and(|number| touching.iter().all(|live| live.number != number))
        };
        while let Some(at) = self.stages.iter().position(gone) {
            self.remove(at, now);
        }
        for live in touching {
            let Some(behaviour) = live.toxic.kind.behaviour() else { continue };
            let stage = self.stages.iter_mut().find(|stage| stage.number() == Some(live.number));
            let Some(stage) = stage else {
                let (queue, since) = (Queue::default(), now);
                let stage =
                    Stage { live: Some(Arc::clone(live)), behaviour, queue, since, passed: 0 };
                self.stages.push(stage);
                new.push(Arc::clone(live));
                continue;
            };
            if !stage.live.as_ref().is_some_and(|old| Arc::ptr_eq(old, live)) {
                stage.behaviour = behaviour;
                stage.live = Some(Arc::clone(live));
            }
        }
        new
    }

    /// What the stage holds came before what the stages to its left hold, and after what those to its
    /// right do.
    fn remove(&mut self, at: usize, now: Instant) {
        let mut stage = self.stages.remove(at);
        while let Some(item) = stage.queue.pop() {
            self.deliver(at, item, now);
        }
        if let Some(ending) = stage.behaviour.ending_when_removed() {
            self.deliver(at, Item::End(ending), now);
        }
    }

    /// Ends the pauses of toxics that are gone.
    pub(crate) fn release(&mut self, still_there: impl Fn(u64) -> bool) {
        self.stages[0].queue.retain(|item| match item {
            Item::Hold { toxic, .. } => still_there(*toxic),
            _ => true,
        });
    }

    /// Whether there is room for more from the sender.
    pub(crate) fn has_room(&self) -> bool {
        let held = self.stages.iter().map(|stage| stage.queue.bytes()).sum::<usize>();
        let room = self.stages.iter().map(|stage| stage.behaviour.room()).max().unwrap_or(ROOM);
        held + self.output_bytes < room && self.ending.is_none()
    }

    pub(crate) fn leaves_unread(&self) -> bool {
        self.stages.iter().any(|stage| stage.behaviour.leaves_unread())
    }

    pub(crate) fn unread_data(&mut self, now: Instant) {
        for stage in &mut self.stages {
            stage.behaviour.unread_data(now);
        }
    }

    pub(crate) fn output(&self) -> Option<&Bytes> {
        self.output.front()
    }

    pub(crate) fn written(&mut self, count: usize) {
        let Some(front) = self.output.front_mut() else { return };
        let _ = front.split_to(count.min(front.len()));
        self.output_bytes -= count;
        if front.is_empty() {
            self.output.pop_front();
        }
    }

    /// How the stream ends, when all before its end has been written. RST waits for nothing.
    pub(crate) fn ended(&self) -> Option<Ending> {
        self.ending.filter(|ending| self.output.is_empty() || *ending == Ending::Reset)
    }
}
