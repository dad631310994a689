//! gunicorn's job: keeps workers alive, and turns HTTP into FastCGI for them.
//!
//! One thread does everything: it supervises, accepts, reads, dispatches and answers, and no lock or
//! atomic stands anywhere. The application's Python is what a machine runs out of, so one thread is
//! enough; and one thread always knows exactly which worker is idle. A worker only ever sees a
//! complete request, so a slow client costs a buffer here and nothing there.
//!
//! To follow one request, read the modules in this order.

#![deny(unsafe_code)]

pub mod settings; // what the operator decided

mod gateway; // what everything below shares
mod supervisor; // who should live, and the loop around it

mod dispatch; // one request: admit, lease, send, respond
mod front; // one client connection: requests in, complete
mod listen; // where connections come from
mod pool; // the workers' connections, and who waits for one

mod clock; // dates, once a second
mod control_socket; // gunicornc's questions and orders
mod daemon; // to the background
mod log; // everything that is said, of requests too
mod pid_file;
mod privileges; // from root to whoever answers requests
mod reloader; // new workers for changed files
mod story; // what happened to one request, and when
mod sys; // the system calls nobody wraps
mod systemd; // sockets from it, news for it

#[doc(hidden)]
pub mod measure; // what the benches reach of all this

pub use supervisor::run;
