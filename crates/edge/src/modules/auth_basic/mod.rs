//! `auth_basic`: who knows a name's password may enter (RFC 7617).

mod users; // the file of names
mod hash; // whether a password is the one
mod md5_crypt; // $1$ and $apr1$
mod des_crypt; // the oldest kind

use std::{
    io::ErrorKind,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::{
    conf::{ConfError, errno},
    engine::plan::{self, Plan, Verdict, Work},
    exchange::Exchange,
    headers::one_line,
    load::{Args, Arity::Exactly, Block, Directive, Module, Setting, Site, directive},
    log::Level,
    vars::{Template, basic_credentials},
};
use hash::Hash;

#[derive(Clone, Default)]
pub struct AuthBasic {
    realm: Setting<Template>,
    user_file: Setting<UserFile>,
    auth_delay: Setting<Duration>,
}

#[derive(Clone)]
enum UserFile {
    Known(PathBuf),
    /// Relative to the configuration's folder.
    Asked {
        folder: PathBuf,
        name: Template,
    },
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location, Block::LimitExcept];
const LOCATIONS: &[Block] = &[Block::Http, Block::Server, Block::Location];

impl Module for AuthBasic {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("auth_basic", BLOCKS, Exactly(1), |auth, args| {
            auth.realm.set(args.template(0)?, args)
        }),
        directive("auth_basic_user_file", BLOCKS, Exactly(1), |auth, args| {
            auth.user_file.set(UserFile::read(args)?, args)
        }),
        directive("auth_delay", LOCATIONS, Exactly(1), |auth, args| {
            auth.auth_delay.set(args.time(0)?, args)
        }),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.realm.inherit(&outer.realm);
        self.user_file.inherit(&outer.user_file);
        self.auth_delay.inherit(&outer.auth_delay);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        // Whoever says 401: it is no business of this family alone.
        plan.auth_delay = self.auth_delay.or(Duration::ZERO);
        if let (Some(realm), Some(file)) = (self.realm.said(), self.user_file.said())
            && realm.as_literal().is_none_or(|text| text != OFF)
        {
            plan.access.push(Arc::new(Door { realm: realm.clone(), file: file.clone() }));
        }
        Ok(())
    }
}

const OFF: &str = "off";

impl UserFile {
    fn read(args: &mut Args<'_>) -> Result<UserFile, ConfError> {
        let name = args.template(0)?;
        if name.as_literal().is_some() {
            return Ok(UserFile::Known(args.conf_path(0)));
        }
        Ok(UserFile::Asked { folder: args.loader.folder.clone(), name })
    }

    fn path(&self, exchange: &Exchange) -> PathBuf {
        match self {
            UserFile::Known(path) => path.clone(),
            UserFile::Asked { folder, name } => {
                folder.join(Path::new(std::ffi::OsStr::from_bytes(&name.render(exchange))))
            }
        }
    }
}

/// What is asked of whoever comes to a location.
struct Door {
    realm: Template,
    file: UserFile,
}

impl plan::Access for Door {
    fn check<'x>(&'x self, exchange: &'x mut Exchange) -> Work<'x, Verdict> {
        let realm = one_line(self.realm.render(exchange));
        if realm == OFF {
            return Work::Now(Verdict::Abstain);
        }
        let Some((user, password)) = basic_credentials(exchange) else {
            let line = "no user/password was provided for basic authentication";
            exchange.log(Level::Info, line);
            return Work::Now(ask(exchange, &realm));
        };
        let path = self.file.path(exchange);
        let stored = match users::password_of(&path, &user) {
            Ok(Some(stored)) => stored,
            Ok(None) => {
                let (user, path) = (String::from_utf8_lossy(&user), path.display());
                let line = format!("user \"{user}\" was not found in \"{path}\"");
                exchange.log(Level::Error, &line);
                return Work::Now(ask(exchange, &realm));
            }
            Err(error) => {
                let (level, status) = match error.kind() {
                    ErrorKind::NotFound => (Level::Error, 403),
                    _ => (Level::Crit, 500),
                };
                let line = format!("open() \"{}\" failed ({})", path.display(), errno(&error));
                exchange.log(level, &line);
                return Work::Now(Verdict::Deny(status));
            }
        };
        let hash = Hash::parse(&stored);
        if !hash.is_slow() {
            let right = hash.fits(&password);
            return Work::Now(judge(exchange, right, &user, &realm));
        }
        Work::later(async move {
            let right = compare_elsewhere(hash, password).await;
            judge(exchange, right, &user, &realm)
        })
    }
}

/// What is slow on purpose is done by threads that serve nobody, and by no more of them than there
/// are processors: guessing passwords must not cost the others theirs.
static ELSEWHERE: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));

async fn compare_elsewhere(hash: Hash, password: Vec<u8>) -> bool {
    // Nobody closes it.
    let _turn = ELSEWHERE.acquire().await.ok();
    // One that panicked has found nothing.
    tokio::task::spawn_blocking(move || hash.fits(&password)).await.unwrap_or(false)
}

fn judge(exchange: &mut Exchange, right: bool, user: &[u8], realm: &Bytes) -> Verdict {
    if right {
        return Verdict::Allow;
    }
    let line = format!("user \"{}\": password mismatch", String::from_utf8_lossy(user));
    exchange.log(Level::Error, &line);
    ask(exchange, realm)
}

/// The question goes with whatever answers: a page of the server's own, or one of `error_page`.
fn ask(exchange: &mut Exchange, realm: &Bytes) -> Verdict {
    // A realm that hangs on the request must not begin another field.
    let realm: Vec<u8> = realm.iter().copied().filter(|byte| !byte.is_ascii_control()).collect();
    let question = [b"Basic realm=\"", &realm[..], b"\""].concat();
    exchange.carry_question(question);
    Verdict::Deny(401)
}
