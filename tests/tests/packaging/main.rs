//! What a deployer gets: `pip install ./` in a fresh virtual environment, and then the lines that stand in
//! gunicorn's place in his units, with only the program's name changed. Builds for release, so it is a
//! suite of its own: `cargo xtask test --packaging`.

mod site; // an environment with the wheel in it, and Pybo to serve

mod deployment;
mod export;
mod install;
mod plugin;
mod units;
