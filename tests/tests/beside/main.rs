//! Every "better than gunicorn" of ours, as a scenario that is played twice: on our gateway, where it
//! must hold, and on gunicorn itself, where it must not. A claim that gunicorn meets as well is no
//! claim, and its test fails; so does one that gunicorn misses for another reason than the one stated.

mod stage; // one server of either kind, with the same flags

mod boot;
mod killed;
mod losses;
mod memory;
mod queue;
mod reload;
mod slow_clients;
mod stop;
mod timeout;
