//! One Python process running one WSGI application (PEP 3333), spoken to in FastCGI.
//!
//! A cdylib on Python's stable ABI, loaded by the very interpreter of the application's virtual
//! environment: `PYTHON -c BOOT LIBRARY OPTIONS`. So its packages, its version and its build are the
//! right ones by construction, and nothing of ours is linked to a libpython. The same crate as an
//! ordinary Rust library is what starts such a process: see `command`.
//!
//! One request: a thread of `worker` accepts a connection; `protocol` reads records off it; `environ`
//! turns parameters into a dict; `call` calls the application; what it sends goes through
//! `start_response` to `response`, which writes records. `input` is the body, `errors` the log the
//! application may write to. `fault` is where anything that goes wrong ends up. The interpreter is
//! held from the environ to the last chunk, and let go for every wait.
//!
//! Must not know HTTP: methods, framing, keep-alive and limits are the gateway's. No async runtime,
//! no queue: a thread serves one connection, and the kernel holds what waits.
//!
//! # Alone, behind nginx
//!
//! ```text
//! cargo run -p causeway-app-host --example standalone -- \
//!     --python venv/bin/python --bind unix:/run/app.sock --chdir app wsgi:application
//! ```
//! and `include fastcgi_params; fastcgi_pass unix:/run/app.sock;` in nginx.conf. Or have `spawn-fcgi`
//! (or systemd) hand over the listening socket as standard input, as FastCGI has it.

mod launch; // how such a process is started: no Python on this side
mod options;

mod nursery; // gunicorn.conf.py is read, workers are forked
mod boot; // the application is imported, signals and pipes are set up
mod control; // what the gateway is told, and how it tells us to stop
mod worker; // threads: accept, serve, drain

mod hooks; // what gunicorn.conf.py wants to hear of

mod call; // the application, its iterable, close()
mod environ; // parameters to environ
mod errors; // wsgi.errors
mod fault; // exceptions to 500 or a broken connection
mod file_wrapper; // wsgi.file_wrapper
mod input; // wsgi.input
mod log; // gunicorn's log lines
mod protocol; // records off the socket, one request after the other
mod response; // heads and bodies as records
mod start_response; // start_response and write
mod story; // what is told of one request: timings, trace id
mod sys; // the few system calls that need unsafe

pub use launch::{command, library, library_for, logger_command, nursery_command};
pub use options::{HostOptions, OptionsError};

#[pyo3::pymodule(name = "causeway_app_host")]
mod causeway_app_host {
    #[pymodule_export]
    use crate::boot::run;
}
