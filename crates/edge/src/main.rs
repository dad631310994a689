//! The process: what the command line asks for, in nginx's order.

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

use causeway_edge::{
    allocator::Allocator,
    body,
    command_line::CommandLine,
    conf::ConfError,
    listen,
    load::{self, Config, Options},
    log::Level,
    process::{self, Detached, Generation, Identity, Master, Waiting},
    startup::Startup,
};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    let line = match CommandLine::read(std::env::args().skip(1)) {
        Ok(line) => line,
        Err(message) => {
            eprintln!("nginx: {message}");
            return ExitCode::FAILURE;
        }
    };
    if line.version {
        eprint!("{}", line.about());
        if !line.test {
            return ExitCode::SUCCESS;
        }
    }
    let options = line.options();
    let mut startup = Startup::begin(&options);
    let done = match (line.test, line.signal) {
        (true, _) => test(&line, &options, &mut startup),
        (false, Some(signal)) => {
            startup.tell(Level::Notice, "signal process started");
            let config = load::load(&options);
            config.map_err(|error| (Level::Emerg, error)).and_then(|config| {
                process::tell(&config.main.pid(), signal).map(|()| ExitCode::SUCCESS)
            })
        }
        (false, None) => start(options, &mut startup).map_err(|error| (Level::Emerg, error)),
    };
    done.unwrap_or_else(|(level, error)| {
        startup.tell(level, &error.to_string());
        if line.test {
            eprintln!("nginx: configuration file {} test failed", line.options().file.display());
        }
        ExitCode::FAILURE
    })
}

/// `-t` and `-T`: everything but serving.
fn test(
    line: &CommandLine,
    options: &Options,
    startup: &mut Startup,
) -> Result<ExitCode, (Level, ConfError)> {
    let fail = |error| (Level::Emerg, error);
    let config = load::load(options).map_err(fail)?;
    let file = options.file.display();
    startup.warn(&config);
    if !line.quiet {
        eprintln!("nginx: the configuration file {file} syntax is ok");
    }
    config.files.open(None).map_err(fail)?;
    let tell = |level, message: &str| startup.tell(level, message);
    listen::open(&config, &[], listen::For::Testing, &tell).map_err(fail)?;
    if !line.quiet {
        eprintln!("nginx: configuration file {file} test is successful");
    }
    if line.dump {
        dump(&config).map_err(|error| fail(ConfError::io("write()", "to stdout", &error)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn dump(config: &Config) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for source in &config.sources {
        write!(out, "# configuration file {}:\n{}\n", source.path, source.text)?;
    }
    out.flush()
}

fn start(options: Options, startup: &mut Startup) -> Result<ExitCode, ConfError> {
    let config = Arc::new(load::load(&options)?);
    // Before anything asks for the time zone.
    process::set_environment(config.main.environment())
        .map_err(|error| ConfError::io("setenv()", "of the server", &error.into()))?;
    startup.warn(&config);
    let owner = Identity::of(&config.main).map(|user| user.owner());
    config.files.open(owner)?;
    body::prepare(&config.folders, owner);
    startup.continue_in(&config);
    let tell = |level, message: &str| startup.tell(level, message);
    let sockets = listen::open(&config, &[], listen::For::Serving, &tell)?;
    let io_error = |error| ConfError::io("fork()", "of the server", &error);
    let waiting = if config.main.daemon() {
        match process::detach(config.error_log.file()).map_err(io_error)? {
            Detached::Command(code) => return Ok(code),
            Detached::Server(waiting) => waiting,
        }
    } else {
        Waiting::nobody()
    };
    let master_process = config.main.master_process();
    let first = Generation::first(config, sockets);
    if !master_process {
        return Ok(process::alone(first, waiting));
    }
    Ok(Master::new(options, first, waiting).map_err(io_error)?.run())
}
