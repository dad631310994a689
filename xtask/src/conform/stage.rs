//! One file of the suite, run where it can do no harm: as nobody, in a network of its own that has
//! nothing but loopback in it, and with process numbers of its own, so that whatever it leaves behind
//! ends with it.

use std::fs::{self, File, Permissions};
use std::future::Future;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::unistd::User;
use tempfile::TempDir;
use xtask::{sys, workspace};

use super::suite::Suite;
use super::tap::{self, Ended, Outcome, Why};

/// Run as the first process of its kind: `$1` and `$2` are who the test is, `$3` is the test.
///
/// The device swallows what is sent to it: to the suite 192.0.2.1 is a peer that never answers, and
/// without a way there it would be one that is unreachable at once. Nothing of it leaves the machine.
const INSIDE: &str = r#"
ip link set lo up || exit 125
for kind in dummy ifb veth; do ip link add void type $kind && break; done 2>/dev/null
{ ip addr add 192.0.2.254/24 dev void && ip link set void up && ip route add default dev void; } 2>/dev/null
setpriv --reuid="$1" --regid="$2" --clear-groups perl "$3"
exit $?
"#;

/// What all files share: the program, where all can read it.
pub(super) struct Stage {
    suite: Suite,
    folder: TempDir,
    logs: PathBuf,
    nobody: User,
    limit: Duration,
}

impl Stage {
    pub(super) fn set(suite: &Suite, edge: &Path, limit: Duration) -> Result<Stage> {
        // A short name in a place that is open to all: paths of unix sockets are limited to 107 bytes.
        let folder = tempfile::Builder::new().prefix("conform").tempdir_in("/tmp")?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o711))?;
        let program = folder.path().join("edge");
        fs::copy(edge, &program).with_context(|| format!("cannot read \"{}\"", edge.display()))?;
        fs::set_permissions(&program, Permissions::from_mode(0o755))?;
        let logs = workspace::target().join("conform");
        fs::create_dir_all(&logs)?;
        let nobody = User::from_name("nobody")?.context("there is no user \"nobody\"")?;
        let stage = Stage { suite: suite.clone(), folder, logs, nobody, limit };
        stage.check()?;
        Ok(stage)
    }

    /// What would make every file fail is told before the first.
    fn check(&self) -> Result<()> {
        let unshare =
            Command::new("unshare").args(["--net", "--pid", "--fork", "true"]).output()?;
        let said = String::from_utf8_lossy(&unshare.stderr);
        ensure!(unshare.status.success(), "no network of its own for a test: {}", said.trim());
        let mut read = Command::new("setpriv");
        read.args(self.identity()).args(["--clear-groups", "test", "-r"]);
        let readable = read.arg(self.suite.folder().join("lib/Test/Nginx.pm")).status()?;
        let folder = self.suite.folder().display();
        ensure!(readable.success(), "\"{folder}\" is closed to nobody: put it where all can read");
        Ok(())
    }

    fn identity(&self) -> [String; 2] {
        [format!("--reuid={}", self.nobody.uid), format!("--regid={}", self.nobody.gid)]
    }

    pub(super) fn logs(&self) -> &Path {
        &self.logs
    }

    /// The file's name again, what came of it, and how long it took.
    pub(super) fn play(
        &self,
        file: String,
    ) -> impl Future<Output = Result<(String, Outcome, Duration)>> + Send + 'static {
        let (suite, limit) = (self.suite.clone(), self.limit);
        let log = self.logs.join(format!("{file}.tap"));
        let prepared = self.command(&file, &log);
        async move {
            let (command, scratch) = prepared?;
            let begun = Instant::now();
            let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
            let ended = match tokio::time::timeout(limit, child.wait()).await {
                Ok(status) => {
                    let status = status?;
                    let killed = || Ended::Killed(Why::Signal);
                    status
                        .code()
                        .filter(|_| status.signal().is_none())
                        .map_or_else(killed, Ended::Code)
                }
                Err(_) => {
                    child.kill().await?;
                    Ended::Killed(Why::TooLate)
                }
            };
            drop(scratch);
            let said = fs::read(&log)?;
            let outcome = tap::read(&String::from_utf8_lossy(&said), ended, suite.planned(&file));
            Ok((file, outcome, begun.elapsed()))
        }
    }

    fn command(&self, file: &str, log: &Path) -> Result<(Command, TempDir)> {
        let (user, group) = (self.nobody.uid, self.nobody.gid);
        let scratch = tempfile::Builder::new().prefix("t").tempdir_in(self.folder.path())?;
        chown(scratch.path(), Some(user.as_raw()), Some(group.as_raw()))?;
        let output = File::create(log)?;
        let mut command = Command::new("unshare");
        command.args(["--net", "--pid", "--fork", "--kill-child", "sh", "-c", INSIDE, "conform"]);
        command.args([user.to_string(), group.to_string(), file.to_owned()]);
        command.current_dir(self.suite.folder());
        command.env("TEST_NGINX_BINARY", self.folder.path().join("edge"));
        command.env("TMPDIR", scratch.path()).env("HOME", scratch.path());
        for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NGINX", "PERL5OPT"]
        {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
        // The end of `unshare` is the end of its child, and that of all in there.
        sys::be_killed_with_parent(&mut command);
        Ok((command, scratch))
    }
}
