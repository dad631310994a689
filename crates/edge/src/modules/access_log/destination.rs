//! Where a line goes: a file, a file whose name is made for each line, or a syslog daemon.

use std::{os::unix::ffi::OsStrExt, path::PathBuf, sync::Arc};

use crate::{
    conf::{ConfError, errno},
    exchange::Exchange,
    load::Args,
    log::{Buffering, Level, LogCache, LogFile, Syslog},
    vars::Template,
};

#[derive(Clone)]
pub(super) enum Destination {
    File(Arc<LogFile>),
    Named { prefix: PathBuf, name: Template },
    Syslog(Arc<Syslog>),
}

impl Destination {
    pub(super) fn read(
        args: &mut Args<'_>,
        buffering: Option<Buffering>,
    ) -> Result<Destination, ConfError> {
        let path = args.word(0);
        if let Some(words) = path.strip_prefix("syslog:") {
            if buffering.is_some() {
                return Err(args.complain("logs to syslog cannot be buffered"));
            }
            let syslog = Syslog::read(words).map_err(|message| args.complain(message))?;
            return Ok(Destination::Syslog(Arc::new(syslog)));
        }
        if path == "stderr" {
            return Ok(Destination::File(args.loader.files.stderr()));
        }
        if path.contains('$') {
            if buffering.is_some() {
                return Err(args.complain("buffered logs cannot have variables in name"));
            }
            let prefix = args.loader.prefix.clone();
            return Ok(Destination::Named { prefix, name: args.template(0)? });
        }
        let file = args.loader.files.file(&args.path(0));
        if buffering.is_some_and(|buffering| !file.buffer(buffering)) {
            let message =
                format!("access_log \"{path}\" already defined with conflicting parameters");
            return Err(args.complain(message));
        }
        Ok(Destination::File(file))
    }

    /// `line` ends in a newline.
    pub(super) fn write(&self, exchange: &Exchange, line: &[u8], cache: Option<&LogCache>) {
        match self {
            Destination::File(file) => {
                if let Err(error) = file.write(line)
                    && file.tells_failure()
                {
                    let message =
                        format!("write() to \"{}\" failed ({})", file.name(), errno(&error));
                    exchange.log(Level::Alert, &message);
                }
            }
            Destination::Syslog(syslog) => {
                if syslog.send(&line[..line.len() - 1]).is_err() {
                    exchange.log(Level::Warn, "send() to syslog failed");
                }
            }
            Destination::Named { prefix, name } => {
                let name = name.render(exchange);
                // Nobody writes `..` after a variable: it came with the request.
                if name.split(|byte| *byte == b'/').any(|segment| segment == b"..") {
                    return;
                }
                let path = prefix.join(std::ffi::OsStr::from_bytes(&name));
                let root = exchange.location.core.document_root(exchange);
                // A name that a client has a say in makes logs only where there is a site.
                if !root.is_dir() {
                    let message = format!("testing \"{}\" existence failed", root.display());
                    return exchange.log(Level::Error, &message);
                }
                let written = match cache {
                    Some(cache) => cache.append(&path, line),
                    None => LogFile::append(&path, line),
                };
                if let Err(error) = written {
                    let message =
                        format!("open() \"{}\" failed ({})", path.display(), errno(&error));
                    exchange.log(Level::Crit, &message);
                }
            }
        }
    }
}
