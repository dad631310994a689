//! What a thread knows of names: the answers that are still good, and the questions that are out.

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    net::IpAddr,
    rc::Rc,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::{
    Families, ResolveError, Resolver,
    message::{Answer, Kind},
    query::ask,
};
use crate::{clock, modules::error_log::ErrorLog};

/// As many names are kept of one resolver; then the oldest knowledge has to go.
const MOST_KNOWN: usize = 4096;
/// As many are asked for at once.
const MOST_ASKED: usize = 1024;
/// A name may stand for a name, which may stand for a name.
const MOST_ALIASES: usize = 16;

type Outcome = Result<Rc<[IpAddr]>, ResolveError>;

/// One resolver's names.
struct Names {
    resolver: Weak<Resolver>,
    known: HashMap<String, Known>,
    asked: HashMap<String, Rc<Lookup>>,
}

struct Known {
    addresses: Rc<[IpAddr]>,
    /// [`clock::tick`] of the moment from which on it is not good any more.
    until: Duration,
}

/// A question that is out, and those who wait for it.
#[derive(Default)]
struct Lookup {
    outcome: OnceCell<Outcome>,
    done: Notify,
}

thread_local! {
    static NAMES: RefCell<Vec<Names>> = const { RefCell::new(Vec::new()) };
}

/// What is known of the resolver's names.
fn with<T>(resolver: &Arc<Resolver>, take: impl FnOnce(&mut Names) -> T) -> T {
    NAMES.with_borrow_mut(|all| {
        let same = |names: &Names| std::ptr::eq(names.resolver.as_ptr(), Arc::as_ptr(resolver));
        let place = all.iter().position(same).unwrap_or_else(|| {
            // A configuration that is gone takes its names along.
            all.retain(|names| names.resolver.strong_count() > 0);
            all.push(Names {
                resolver: Arc::downgrade(resolver),
                known: HashMap::new(),
                asked: HashMap::new(),
            });
            all.len() - 1
        });
        take(&mut all[place])
    })
}

pub(super) async fn addresses(
    resolver: &Arc<Resolver>,
    name: &str,
    timeout: Duration,
    log: &Arc<ErrorLog>,
) -> Result<Vec<IpAddr>, ResolveError> {
    let deadline = Instant::now() + timeout;
    loop {
        let lookup = with(resolver, |names| {
            if let Some(known) = names.known.get(name) {
                if clock::tick() < known.until {
                    return Ok(Err(spread(&known.addresses)));
                }
                names.known.remove(name);
            }
            if let Some(lookup) = names.asked.get(name) {
                return Ok(Ok(Rc::clone(lookup)));
            }
            if names.asked.len() >= MOST_ASKED {
                return Err(ResolveError::Busy);
            }
            let lookup = Rc::<Lookup>::default();
            names.asked.insert(name.to_owned(), Rc::clone(&lookup));
            let run = run(Arc::clone(resolver), name.to_owned(), deadline, Arc::clone(log));
            tokio::task::spawn_local(run);
            Ok(Ok(lookup))
        })?;
        let lookup = match lookup {
            Ok(lookup) => lookup,
            Err(addresses) => return Ok(addresses),
        };
        let done = lookup.done.notified();
        if lookup.outcome.get().is_none() && timeout_at(deadline, done).await.is_err() {
            return Err(ResolveError::Timeout);
        }
        match lookup.outcome.get() {
            // Who began it had less time than is left here.
            Some(Err(ResolveError::Timeout)) if Instant::now() < deadline => (),
            Some(outcome) => return outcome.clone().map(|addresses| addresses.to_vec()),
            None => return Err(ResolveError::Timeout),
        }
    }
}

/// One request begins with this address, the next with another: whoever asks first, with the first.
fn spread(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let (end, start) = addresses.split_at(fastrand::usize(..addresses.len()));
    [start, end].concat()
}

/// Asks, remembers, and wakes who waits. Goes on when the request that began it has left: others
/// may wait, and the next one will be glad of the answer.
async fn run(resolver: Arc<Resolver>, name: String, deadline: Instant, log: Arc<ErrorLog>) {
    let answer = timeout_at(deadline, follow(&resolver, &name, &log)).await;
    let answer = answer.unwrap_or(Err(ResolveError::Timeout));
    let lookup = with(&resolver, |names| names.asked.remove(&name));
    let Some(lookup) = lookup else { return };
    let outcome = answer.map(|answer| {
        let addresses: Rc<[IpAddr]> = answer.addresses.into();
        let life = resolver.valid.or(answer.life).unwrap_or_default();
        with(&resolver, |names| names.keep(name, Rc::clone(&addresses), life));
        addresses
    });
    let _only_once = lookup.outcome.set(outcome);
    lookup.done.notify_waiters();
}

/// The name's addresses, or those of the name it stands for.
async fn follow(resolver: &Resolver, name: &str, log: &ErrorLog) -> Result<Answer, ResolveError> {
    let mut name = name.to_owned();
    let mut life = None;
    for _ in 0..MOST_ALIASES {
        let mut answer = both(resolver, &name, log).await?;
        if let Some(life) = life {
            answer.lives(life);
        }
        if !answer.addresses.is_empty() {
            return Ok(answer);
        }
        name = answer.alias.ok_or(ResolveError::NotFound)?;
        life = answer.life;
    }
    Err(ResolveError::NotFound)
}

/// Both families at once, of the same server. What one of them refuses, the other can not mend:
/// half the addresses would be kept for as long as the answer lives.
async fn both(resolver: &Resolver, name: &str, log: &ErrorLog) -> Result<Answer, ResolveError> {
    let servers = resolver.rotation();
    let one = |kind| ask(servers.clone(), name, kind, log);
    let (v4, v6) = match resolver.families {
        Families::Ipv4 => return one(Kind::A).await,
        Families::Ipv6 => return one(Kind::Aaaa).await,
        Families::Both => tokio::join!(one(Kind::A), one(Kind::Aaaa)),
    };
    let (mut answer, v6) = (v4?, v6?);
    answer.addresses.extend(v6.addresses);
    // A name stands for the same name in both families, or the last word counts, as in nginx.
    answer.alias = v6.alias;
    if let Some(life) = v6.life {
        answer.lives(life);
    }
    Ok(answer)
}

impl Names {
    fn keep(&mut self, name: String, addresses: Rc<[IpAddr]>, life: Duration) {
        if life.is_zero() {
            return;
        }
        let now = clock::tick();
        if self.known.len() >= MOST_KNOWN {
            self.known.retain(|_, known| now < known.until);
        }
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(name, Known { addresses, until: now + life });
    }
}
