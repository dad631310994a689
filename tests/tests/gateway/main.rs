//! The gateway from outside: the real program, the real app-host, a real interpreter.

mod stack; // starts it, talks to it, reads its log

mod boot;
mod failures;
mod reading;
mod serving;
mod signals;
mod sockets;
mod timing;
