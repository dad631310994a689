//! `export`: writes a topology as the files of an engine that runs it on other machines.
#![expect(clippy::print_stdout, reason = "a command talks to the one who typed it")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::Topology;
use crate::export::{Format, export};

#[derive(Args, Debug)]
pub struct Export {
    /// For whom
    pub format: Format,
    /// The topology's file
    #[arg(long, value_name = "FILE")]
    pub topology: PathBuf,
    /// The folder to write to; made when it is missing
    #[arg(long, value_name = "FOLDER")]
    pub into: PathBuf,
    /// Where visitors come to; each engine has its usual one
    #[arg(long)]
    pub port: Option<u16>,
    /// Another application in it: a folder with an app.toml
    #[arg(long, value_name = "FOLDER")]
    pub application: Option<PathBuf>,
}

pub fn run(options: &Export) -> Result<ExitCode> {
    let mut topology = Topology::read(&options.topology)?;
    if let Some(folder) = &options.application {
        topology = topology.serving(folder)?;
    }
    for file in export(&topology, options.format, options.port, &options.into)? {
        println!("{}", options.into.join(file).display());
    }
    println!("what is left to do: {}", options.into.join("README.md").display());
    Ok(ExitCode::SUCCESS)
}
