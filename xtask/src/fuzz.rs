//! `fuzz [TARGET...]`: the targets of `fuzz/` under libFuzzer, coverage-guided, on the stable toolchain:
//! LLVM's instrumentation is asked for by flags that are stable, so that nothing but a C++ compiler is
//! needed besides.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Mutex, MutexGuard};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use xtask::workspace;

#[derive(Args)]
pub(crate) struct Options {
    /// Some of the folders in fuzz/seeds; all of them when left out
    targets: Vec<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many targets at once; as many as the machine has cores when left out
    #[arg(long)]
    jobs: Option<usize>,
    /// Run one input, as it was found, instead
    #[arg(long, requires = "targets", value_name = "FILE")]
    replay: Option<PathBuf>,
}

/// What cargo-fuzz asks of a nightly compiler, without the sanitizers: the code is safe Rust.
const INSTRUMENTED: [&str; 7] = [
    "--cfg=fuzzing",
    "-Ccodegen-units=1",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let known = targets()?;
    for target in &options.targets {
        ensure!(known.contains(target), "no target \"{target}\": there are {}", known.join(", "));
    }
    let targets = if options.targets.is_empty() { known } else { options.targets.clone() };
    let driver = build()?;
    if let Some(input) = &options.replay {
        let status = command(&driver, &targets[0]).arg(input).status()?;
        return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = options.jobs.unwrap_or_else(cores).max(1);
    let (waiting, broken) = (Mutex::new(targets.into_iter()), Mutex::new(Vec::new()));
    // Not in the loop's own head, where it would stay locked for as long as the target runs.
    let next = || locked(&waiting).next();
    let work = || -> Result<()> {
        while let Some(target) = next() {
            if !fuzz(&driver, &target, options.seconds)? {
                locked(&broken).push(target);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let done =
            workers.into_iter().map(|worker| worker.join().expect("a worker does not panic"));
        done.collect::<Result<()>>()
    })?;
    let broken = locked(&broken);
    if broken.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("found something: {}", broken.join(", "))
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().expect("nobody panics while it is locked")
}

fn seeds() -> PathBuf {
    workspace::root().join("fuzz/seeds")
}

fn targets() -> Result<Vec<String>> {
    let folders = fs::read_dir(seeds()).context("cannot read \"fuzz/seeds\"")?;
    let names = folders.map(|folder| Ok(folder?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}

/// Instrumented for the machine's own target by name: otherwise build scripts would be as well, and
/// would miss libFuzzer's side of it.
fn build() -> Result<PathBuf> {
    if Command::new("c++").arg("--version").output().is_err() {
        bail!("libFuzzer is C++ and there is no compiler for it: apt-get install g++");
    }
    let version = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not say for which machine it is")?;
    // The versions that the workspace is tested with; what libFuzzer needs besides is added.
    let lock = workspace::root().join("Cargo.lock");
    fs::copy(lock, workspace::root().join("fuzz/libfuzzer/Cargo.lock"))?;
    let folder = workspace::target().join("fuzz");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root()).args(["build", "--release", "--target", host]);
    cargo.args(["--manifest-path", "fuzz/libfuzzer/Cargo.toml", "--target-dir"]).arg(&folder);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTED.join("\x1f"));
    ensure!(cargo.status().context("cannot start cargo")?.success(), "the targets do not build");
    Ok(folder.join(host).join("release/fuzz-libfuzzer"))
}

fn command(driver: &Path, target: &str) -> Command {
    let mut command = Command::new(driver);
    command.env("CAUSEWAY_FUZZ_TARGET", target).current_dir(workspace::root());
    // An input that takes seconds, or memory in gigabytes, is found as well.
    command.args(["-timeout=5", "-rss_limit_mb=2048", "-max_len=4096"]);
    command
}

/// Whether nothing was found.
fn fuzz(driver: &Path, target: &str, seconds: u64) -> Result<bool> {
    let folder = workspace::state().join("fuzz").join(target);
    let corpus = folder.join("corpus");
    fs::create_dir_all(&corpus)?;
    let log = folder.join("log");
    let mut command = command(driver, target);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/found-", folder.display()));
    command.arg(format!("-dict={}", dictionary(&folder)?.display()));
    // What is new is kept in the first.
    command.args([corpus, seeds().join(target)]);
    command.stderr(File::create(&log)?);
    let status = command.status().context("cannot start the driver")?;
    let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    if status.success() {
        let last = said
            .lines()
            .rfind(|line| line.starts_with('#') && line.contains(" cov: "))
            .unwrap_or_default();
        println!("{target}: {}", last.split_whitespace().collect::<Vec<_>>().join(" "));
        return Ok(true);
    }
    let lines: Vec<&str> = said.lines().collect();
    println!(
        "{}\n{target}: found something, in {}; run it again: cargo xtask fuzz {target} --replay FILE",
        lines[lines.len().saturating_sub(60)..].join("\n"),
        folder.display()
    );
    Ok(false)
}

/// Words that chance does not find: the names of directives, and of what a head is made of.
fn dictionary(folder: &Path) -> Result<PathBuf> {
    let page = fs::read_to_string(workspace::root().join("docs/directives.md"))?;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let heads = [
        "HTTP/1.1",
        "HTTP/1.0",
        "Host: ",
        "Content-Length: ",
        "Transfer-Encoding: chunked",
        "Connection: ",
        "Expect: 100-continue",
        "Range: bytes=",
        "Accept-Encoding: ",
        "%2e%2e",
        "\\x0d\\x0a",
        "\\x0d\\x0a\\x0d\\x0a",
        "Status: ",
        "PROXY TCP6 ",
    ];
    let words: Vec<String> = rows.chain(heads).map(|word| format!("\"{word}\"\n")).collect();
    let file = folder.join("words");
    fs::write(&file, words.concat())?;
    Ok(file)
}
