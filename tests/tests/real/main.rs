//! What needs a real nginx, gunicorn or Chromium: `cargo xtask test --real`. A program that is missing
//! fails the test, with the command that installs it.

mod app_host_alone;
mod chromium;
mod mixed_chains;
mod tutorial_conf;
