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

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicU64, time::Duration};

    use proptest::prelude::*;

    use super::*;
    use crate::{Bandwidth, Kind, Latency, Slicer, SlowClose, Toxic};

    fn live(number: u64, kind: Kind) -> Arc<Live> {
        let toxic = Toxic::new(kind).named(&number.to_string());
        Arc::new(Live { number, toxic, taken: AtomicU64::new(0) })
    }

    /// What has come out, taken as a receiver takes it.
    fn received(link: &mut Link) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(data) = link.output() {
            all.extend_from_slice(data);
            let count = data.len();
            link.written(count);
        }
        all
    }

    /// How many bytes have come out at each of these milliseconds, of so many pushed at 0.
    #[track_caller]
    fn check(kind: Kind, pushed: usize, expected: &[(u64, usize)]) {
        let begun = Instant::now();
        let mut link = Link::new(begun);
        link.apply(&[live(1, kind)], begun);
        link.push(Item::Data(vec![0; pushed].into()), begun);
        let mut total = 0;
        let mut now = begun;
        for (at, bytes) in expected {
            let until = begun + Duration::from_millis(*at);
            // As the connection does it: at each moment the link asks for.
            while let Some(next) = link.advance(now).filter(|next| *next <= until) {
                now = next;
            }
            now = until;
            link.advance(now);
            total += received(&mut link).len();
            assert_eq!(total, *bytes, "after {at} ms");
        }
    }

    #[test]
    fn bandwidth_is_what_it_says() {
        let rate = |rate| Kind::Bandwidth(Bandwidth { rate });
        check(rate(1), 100, &[(0, 0), (20, 20), (60, 60), (99, 80), (100, 100)]);
        check(
            rate(1000),
            50_000,
            &[(19, 0), (20, 20_000), (40, 40_000), (49, 40_000), (50, 50_000)],
        );
        check(rate(0), 1, &[(1_000_000, 0)]);
    }

    #[test]
    fn latency_is_what_it_says() {
        let latency = |latency, jitter| Kind::Latency(Latency { latency, jitter });
        check(latency(100, 0), 5, &[(99, 0), (100, 5)]);
        check(latency(100, 30), 5, &[(69, 0), (130, 5)]);
        check(latency(10, 500), 5, &[(510, 5)]);
        check(latency(u64::MAX, u64::MAX), 5, &[(0, 0)]);
    }

    #[test]
    fn pieces_are_as_large_and_as_far_apart_as_they_should_be() {
        let slicer = |size_variation, delay| {
            Kind::Slicer(Slicer { average_size: 10, size_variation, delay })
        };
        check(slicer(0, 5000), 25, &[(0, 10), (4, 10), (5, 20), (10, 25)]);
        let begun = Instant::now();
        let mut link = Link::new(begun);
        link.apply(&[live(1, slicer(4, 0))], begun);
        link.push(Item::Data(vec![0; 1000].into()), begun);
        link.advance(begun);
        let sizes: Vec<usize> = link.output.iter().map(Bytes::len).collect();
        let (last, others) = sizes.split_last().unwrap();
        assert!(others.iter().all(|size| (6..=14).contains(size)) && *last <= 14, "{sizes:?}");
    }

    #[derive(Clone, Debug)]
    enum Order {
        Push(usize),
        Pass(u64),
        Add(Kind),
        Change(usize, Kind),
        Remove(usize),
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        let delay = 0..2000_u64;
        prop_oneof![
            (delay.clone(), 0..200_u64)
                .prop_map(|(latency, jitter)| Kind::Latency(Latency { latency, jitter })),
            (0..50_u64).prop_map(|rate| Kind::Bandwidth(Bandwidth { rate })),
            (1..50_u64, delay.clone()).prop_map(|(average_size, delay)| {
                Kind::Slicer(Slicer { average_size, delay, ..Slicer::default() })
            }),
            delay.prop_map(|delay| Kind::SlowClose(SlowClose { delay })),
        ]
    }

    fn orders() -> impl Strategy<Value = Order> {
        prop_oneof![
            (1..500_usize).prop_map(Order::Push),
            (0..1000_u64).prop_map(Order::Pass),
            kinds().prop_map(Order::Add),
            (any::<usize>(), kinds()).prop_map(|(at, kind)| Order::Change(at, kind)),
            any::<usize>().prop_map(Order::Remove),
        ]
    }

    proptest! {
        /// Whatever toxics that lose nothing come, change and go.
        #[test]
        fn no_byte_is_lost_or_overtaken(orders in prop::collection::vec(orders(), 0..60)) {
            let mut now = Instant::now();
            let mut link = Link::new(now);
            let mut toxics: Vec<Arc<Live>> = Vec::new();
            let (mut sent, mut came, mut numbers) = (Vec::new(), Vec::new(), 0..);
            for order in orders {
                match order {
                    Order::Push(count) => {
                        let data: Vec<u8> = (0..count).map(|_| fastrand::u8(..)).collect();
                        sent.extend_from_slice(&data);
                        link.push(Item::Data(data.into()), now);
                    }
                    Order::Pass(time) => now += Duration::from_millis(time),
                    Order::Add(kind) => toxics.extend(numbers.next().map(|number| live(number, kind))),
                    Order::Change(at, kind) if !toxics.is_empty() => {
                        let at = at % toxics.len();
                        toxics[at] = live(toxics[at].number, kind);
                    }
                    Order::Remove(at) if !toxics.is_empty() => {
                        toxics.remove(at % toxics.len());
                    }
                    Order::Change(..) | Order::Remove(_) => {}
                }
                link.apply(&toxics, now);
                link.advance(now);
                came.extend(received(&mut link));
            }
            link.push(Item::End(Ending::Eof), now);
            link.apply(&[], now);
            prop_assert_eq!(link.advance(now), None);
            came.extend(received(&mut link));
            prop_assert_eq!(came, sent);
            prop_assert_eq!(link.ended(), Some(Ending::Eof));
        }
    }
}
