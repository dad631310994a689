//! Workers take each other's place: on reload, when they have served their time, when there are to be
//! fewer. New ones come first; and a reload whose workers do not stand changes nothing.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{Fleet, Member, Order, State};
use crate::listen::Doors;

impl Fleet {
    pub(super) fn reload(&mut self, target: usize, graceful: Duration) {
        self.latest = self.next_generation();
        self.generation = self.latest;
        (self.target, self.graceful) = (target, graceful);
        self.withdrawing = None;
        self.started = true;
        self.not_before = None;
    }

    pub(super) fn give_up_reload(&mut self, reason: String, now: Instant, orders: &mut Vec<Order>) {
        let generation = self.generation;
        for worker in self.of(|it| it.generation == generation) {
            match self.members[&worker].state {
                State::Ready => self.retire(worker, now, orders),
                State::Booting => self.tell(worker, Signal::SIGTERM, now, orders),
                State::Retiring | State::Stuck | State::Leaving | State::Aborted => (),
            }
        }
        self.generation = self.proven;
        (self.target, self.graceful) = (self.proven_target, self.proven_graceful);
        self.given_up = Some((generation, reason));
        orders.push(Order::Abandon);
    }

    pub(super) fn retire_surplus(&mut self, now: Instant, orders: &mut Vec<Order>) {
        let generation = self.generation;
        let ready = |it: &Member| it.state == State::Ready;
        let current = self.of(|it| ready(it) && it.generation == generation);
        if current.len() >= self.target {
            if self.proven != generation {
                self.proven = generation;
                orders.push(Order::Adopt);
                self.set_doors(Doors::Open, orders);
            }
            (self.proven_target, self.proven_graceful) = (self.target, self.graceful);
            for old in self.of(|it| it.generation != generation) {
                match self.members[&old].state {
                    State::Ready => self.retire(old, now, orders),
                    State::Booting => self.tell(old, Signal::SIGTERM, now, orders),
                    State::Retiring | State::Stuck | State::Leaving | State::Aborted => (),
                }
            }
        }
        let mut surplus = current;
        // Those that have served their time go first, then the oldest.
        surplus.sort_by_key(|worker| (!self.members[worker].used, *worker));
        let excess = surplus.len().saturating_sub(self.target);
        for worker in surplus.into_iter().take(excess) {
            self.retire(worker, now, orders);
        }
    }
}
