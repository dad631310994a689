//! Who asks for what while it soaks: people who look at pages, upload, take their time, or leave. Each of
//! them does one thing again and again, with a pause, and everything that comes is counted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::sync::watch;
use tokio::task::JoinSet;
use xtask::wire::{Answer, Wire};

pub(super) struct Visitors {
    tasks: JoinSet<()>,
    count: Arc<Mutex<Count>>,
    stop: watch::Sender<bool>,
}

/// What was asked for, what came, and how often.
#[derive(Clone, Debug, Default)]
pub(super) struct Count {
    pub(super) outcomes: BTreeMap<&'static str, BTreeMap<String, usize>>,
}

/// What one visitor does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Habit {
    Pages,
    Uploads,
    Trickles,
    Streams,
    Raises,
    /// Leaves in the middle of sending, of waiting, of reading.
    Leaves,
}

/// Who, how many, and their pause.
const VISITORS: [(Habit, usize, u64); 6] = [
    (Habit::Pages, 4, 40),
    (Habit::Uploads, 2, 250),
    (Habit::Trickles, 20, 100),
    (Habit::Streams, 3, 20),
    (Habit::Raises, 1, 500),
    (Habit::Leaves, 2, 50),
];

/// Larger than what the gateway keeps in memory.
const UPLOAD: usize = 3 << 20;

/// An answer, or its beginning.
const BROKEN_OFF: &str = "broken off";

const OF_A_STREAM: usize = 100 * 1024;

impl Visitors {
    pub(super) fn start(address: SocketAddr) -> Visitors {
        let count = Arc::new(Mutex::new(Count::default()));
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for (habit, how_many, pause) in VISITORS {
            for _ in 0..how_many {
                let pause = Duration::from_millis(pause);
                tasks.spawn(visit(habit, address, pause, Arc::clone(&count), stopped.clone()));
            }
        }
        Visitors { tasks, count, stop }
    }

    /// Lets each finish what it has begun.
    pub(super) async fn stop(self) -> Count {
        self.stop.send_replace(true);
        self.tasks.join_all().await;
        let count = self.count.lock().expect("no visitor panics");
        count.clone()
    }
}

async fn visit(
    habit: Habit,
    address: SocketAddr,
    pause: Duration,
    count: Arc<Mutex<Count>>,
    stopped: watch::Receiver<bool>,
) {
    let mut kept = None;
    let mut turn = 0;
    while !*stopped.borrow() {
        let outcome = match habit.once(address, &mut kept, turn).await {
            Ok(outcome) => outcome,
            Err(error) => {
                kept = None;
                let reason = format!("{error:#}");
                // With what had come until then, which differs each time.
                let broken = reason.starts_with("the connection ended too early");
                if broken { BROKEN_OFF.to_owned() } else { format!("lost: {reason}") }
            }
        };
        {
            let mut count = count.lock().expect("no visitor panics");
            *count.outcomes.entry(habit.name()).or_default().entry(outcome).or_default() += 1;
        }
        turn += 1;
        tokio::time::sleep(pause).await;
    }
}

impl Habit {
    fn name(self) -> &'static str {
        match self {
            Habit::Pages => "a page, connection kept",
            Habit::Uploads => "an upload of 3 MiB",
            Habit::Trickles => "a body trickled in 2 s",
            Habit::Streams => "a stream of 100 KiB",
            Habit::Raises => "an exception",
            Habit::Leaves => "nothing: they leave",
        }
    }

    async fn once(
        self,
        address: SocketAddr,
        kept: &mut Option<Wire>,
        turn: usize,
    ) -> Result<String> {
        match self {
            Habit::Pages => {
                if kept.as_mut().is_none_or(Wire::was_closed) {
                    *kept = Some(Wire::tcp(address).await?);
                }
                let wire = kept.as_mut().expect("connected above");
                let answer = wire.get(&format!("/pybo/?page={}", 1 + turn % 30)).await?;
                if answer.field("connection").is_some_and(|value| value == "close") {
                    *kept = None;
                }
                outcome(&answer, answer.text().contains("Question number"))
            }
            Habit::Uploads => {
                let mut wire = Wire::tcp(address).await?;
                wire.send(post(UPLOAD)).await?;
                wire.send(vec![b'u'; UPLOAD]).await?;
                let answer = wire.answer("POST").await?;
                outcome(&answer, answer.body.len() == UPLOAD)
            }
            Habit::Trickles => {
                let mut wire = Wire::tcp(address).await?;
                wire.send(post(40 * 64)).await?;
                let mut tick = tokio::time::interval(Duration::from_millis(50));
                for _ in 0..40 {
                    tick.tick().await;
                    wire.send([b't'; 64]).await?;
                }
                let answer = wire.answer("POST").await?;
                outcome(&answer, answer.body.len() == 40 * 64)
            }
            Habit::Streams => {
                let answer = Wire::tcp(address).await?.get("/soak/stream").await?;
                outcome(&answer, answer.body.len() == OF_A_STREAM)
            }
            Habit::Raises => {
                let answer = Wire::tcp(address).await?.get("/soak/raises").await?;
                Ok(answer.status().to_string())
            }
            Habit::Leaves => {
                let mut wire = Wire::tcp(address).await?;
                match turn % 3 {
                    0 => {
                        wire.send(post(UPLOAD)).await?;
                        wire.send(vec![b'l'; UPLOAD / 2]).await?;
                    }
                    1 => wire.send("GET /pybo/ HTTP/1.1\r\nHost: leaves\r\n\r\n").await?,
                    _ => {
                        wire.send("GET /soak/stream HTTP/1.1\r\nHost: leaves\r\n\r\n").await?;
                        wire.head().await?;
                    }
                }
                Ok("left".to_owned())
            }
        }
    }
}

fn post(length: usize) -> String {
    format!(
        "POST /soak/echo HTTP/1.1\r\nHost: soak\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    )
}

fn outcome(answer: &Answer, is_right: bool) -> Result<String> {
    ensure!(answer.status() != 200 || is_right, "a wrong answer: {:?}", answer.head);
    Ok(answer.status().to_string())
}

impl Count {
    pub(super) fn add(&mut self, other: Count) {
        for (kind, outcomes) in other.outcomes {
            for (outcome, times) in outcomes {
                *self.outcomes.entry(kind).or_default().entry(outcome).or_default() += times;
            }
        }
    }

    /// Answers nobody should have got. Of those in hand when a worker is killed there are at most
    /// `in_hand`: each is a 502, or an answer that breaks off.
    pub(super) fn complaints(&self, in_hand: usize) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut hit = 0;
        for (kind, outcomes) in &self.outcomes {
            let mut right = 0;
            for (outcome, times) in outcomes {
                match outcome.as_str() {
                    "500" if *kind == Habit::Raises.name() => right += times,
                    "left" => right += times,
                    "200" if *kind != Habit::Raises.name() => right += times,
                    "502" | BROKEN_OFF => hit += times,
                    other => complaints.push(format!("{kind}: {times} times {other}")),
                }
            }
            if right == 0 {
                complaints.push(format!("{kind}: never right"));
            }
        }
        if hit > in_hand {
            complaints
                .push(format!("{hit} answers failed, and killed workers had {in_hand} in hand"));
        }
        complaints
    }
}
