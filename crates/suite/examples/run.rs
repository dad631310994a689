//! Runs suites against a deployment: `cargo run -p suite --example run -- http://127.0.0.1:8000 suites/pybo`.
//! With `JUNIT`, `TAP` or `JSON` set to a file's name, that is written, too.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, error::Error, fs};

use suite::{Suite, Target, report};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let base = arguments.next().ok_or("give a base URL, then files or folders")?;
    let suite = Suite::load(&arguments.map(PathBuf::from).collect::<Vec<_>>())?;
    let mut target = Target::new(base.parse()?);
    target.ca = env::var_os("CA").map(PathBuf::from);
    let outcome = suite.run(&target).await?;
    eprint!("{}", report::human(&outcome));
    if let Some(file) = env::var_os("JUNIT") {
        fs::write(file, report::junit(&outcome))?;
    }
    if let Some(file) = env::var_os("TAP") {
        fs::write(file, report::tap(&outcome))?;
    }
    if let Some(file) = env::var_os("JSON") {
        fs::write(file, format!("{:#}\n", report::json(&outcome)))?;
    }
    Ok(ExitCode::from(u8::from(!outcome.passed())))
}
