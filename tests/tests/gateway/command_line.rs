//! What can be said to it, and in which of four places: the same exit code as gunicorn 27 gives, which is
//! run beside it, or a refusal that names what is refused.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use xtask::workspace;

use crate::{
    real_gunicorn,
    stack::{binary, fixtures},
};

/// One way to start either.
pub(crate) struct Case<'a> {
    pub(crate) flags: &'a [&'a str],
    pub(crate) variables: &'a [(&'a str, &'a str)],
    /// gunicorn.conf.py, if there is one.
    pub(crate) file: &'a str,
}

impl Case<'_> {
    /// Our output and gunicorn's, from the same folder.
    pub(crate) fn run(&self) -> (Output, Output) {
        let folder = tempfile::tempdir().unwrap();
        if !self.file.is_empty() {
            fs::write(folder.path().join("gunicorn.conf.py"), self.file).unwrap();
        }
        fs::copy(fixtures().join("app.py"), folder.path().join("app.py")).unwrap();
        let run = |program: &Path| {
            let mut command = Command::new(program);
            for variable in ["GUNICORN_CMD_ARGS", "WEB_CONCURRENCY", "PORT", "SENDFILE"] {
                command.env_remove(variable);
            }
            command.current_dir(folder.path()).env("PWD", folder.path());
            command.args(self.flags).envs(self.variables.iter().copied());
            command.output().unwrap()
        };
        (run(binary()), run(&real_gunicorn::program()))
    }
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}

/// `--check-config` and the application are added.
#[track_caller]
fn check(flags: &[&str], variables: &[(&str, &str)], file: &str, code: i32) {
    let flags = [&["--check-config", "app:application"], flags].concat();
    let (ours, gunicorns) = Case { flags: &flags, variables, file }.run();
    let told =
        || format!("{flags:?} {variables:?} {file:?}\n{}\n{}", error(&ours), error(&gunicorns));
    assert_eq!(gunicorns.status.code(), Some(code), "gunicorn: {}", told());
    assert_eq!(ours.status.code(), Some(code), "ours: {}", told());
}

#[test]
fn flags_have_gunicorns_exit_codes() {
    let cases: &[(&[&str], i32)] = &[
        (&[], 0),
        (&["--version"], 0),
        (&["--help"], 0),
        (&["-w", "3", "--workers=2", "--reload", "--reload"], 0),
        (&["--graceful", "7", "-t0", "--umask", "0007", "-m", "0x1f"], 0),
        (&["--backlog", "0", "--threads", "0", "--workers", "0"], 0),
        (&["--reload-extra-file", "*.nothing", "--reload-extra-file", "app.py"], 0),
        (&["--http-protocols", "", "--proxy-protocol", "--http-parser", "FAST"], 0),
        (&["--forwarded-allow-ips", "10.0.0.0/8, *", "--header-map", "Refuse"], 0),
        (&["--capture-output", "--enable-stdio-inheritance"], 0),
        (&["--protocol", "http", "--logger-class", "gunicorn.glogging.Logger"], 0),
        (&["--worker-class", "gunicorn.workers.sync.SyncWorker"], 0),
        (&["--wrokers", "3"], 2),
        (&["--worker", "3"], 2),
        (&["--bind"], 2),
        (&["--bind", "--workers", "3"], 2),
        (&["-w", "x"], 2),
        (&["-w", "1.5"], 2),
        (&["--umask", "rw"], 2),
        (&["-w", "-1"], 1),
        (&["--chdir", "/nowhere/at/all"], 1),
        (&["--user", "nobody-at-all"], 1),
        (&["--group", "nobody-at-all"], 1),
        (&["--forwarded-allow-ips", "10.0.0.1/8"], 1),
        (&["--proxy-allow-from", "example.org"], 1),
        (&["--reload-extra-file", "nothing.py"], 1),
        (&["--reload-engine", "magic"], 1),
        (&["--header-map", "keep"], 1),
        (&["--http-protocols", "h1,h1"], 1),
        (&["--http-protocols", "h3"], 1),
        (&["--http2-max-frame-size", "1"], 1),
        (&["--http2-max-concurrent-streams", "0"], 1),
        (&["--proxy-protocol=v9"], 1),
        (&["--http-parser", "rust"], 1),
        (&["-c", "nothing.py"], 1),
    ];
    for (flags, code) in cases {
        check(flags, &[], "", *code);
    }
}

/// Variables, gunicorn.conf.py, exit code.
type Elsewhere<'a> = (&'a [(&'a str, &'a str)], &'a str, i32);

#[test]
fn variables_and_files_have_gunicorns_exit_codes() {
    let cases: &[Elsewhere<'_>] = &[
        (&[("GUNICORN_CMD_ARGS", "--workers 3 -e 'A=b c'")], "", 0),
        (&[("GUNICORN_CMD_ARGS", "--workers x")], "", 2),
        (&[("GUNICORN_CMD_ARGS", "--nonsense")], "", 2),
        (&[("GUNICORN_CMD_ARGS", "--chdir /nowhere")], "", 1),
        (&[("GUNICORN_CMD_ARGS", "-c nothing.py")], "", 1),
        (&[("WEB_CONCURRENCY", "two")], "", 1),
        (&[("WEB_CONCURRENCY", "2"), ("SENDFILE", "whatever"), ("PORT", "81")], "", 0),
        (&[], "umask = 0o27\nworkers = True\nspew = False\npidfile = ''\npaste = None", 0),
        (&[], "def post_request(worker, req): pass\ndef on_exit(server): pass", 0),
        (&[], "def post_request(worker): pass", 1),
        (&[], "def post_fork(worker): pass", 1),
        (&[], "def post_fork(*arguments): pass", 1),
        (&[], "post_fork = 3", 1),
        (&[], "workers = 'many'", 1),
        (&[], "timeout = None", 1),
        (&[], "logconfig_dict = 3", 1),
        (&[], "bind = 'unix:/run/app.sock'\nCORES = 3\nimport os", 0),
        (&[], "workers = = 3", 1),
        (&[], "check_config = True\nprint_config = False", 0),
    ];
    for (variables, file, code) in cases {
        check(&[], variables, file, *code);
    }
}

/// gunicorn takes these, and does not do what they say, or not here.
#[test]
fn what_is_refused_is_named() {
    let cases: &[(&[&str], &str, &str)] = &[
        (
            &["--spew"],
            "",
            "--spew: gunicorn has this, causeway-gateway has not: use python -m trace",
        ),
        (&["--dirty-app", "a:b"], "", "--dirty-app: gunicorn has this"),
        (&["-k", "gevent"], "", "--worker-class: \"gevent\" is gunicorn's"),
        (&["-k", "uvicorn.workers.UvicornWorker"], "", "use an ASGI server"),
        (&["--log-level", "loud"], "", "--log-level: \"loud\" is not debug, info"),
        (&["--cert-reqs", "3"], "", "--cert-reqs: \"3\" is above 2"),
        (&["--logger-class", "my.Logger"], "", "--logger-class: \"my.Logger\": no other class"),
        (
            &[],
            "wrokers = 3",
            "gunicorn.conf.py:1: wrokers: no such setting; did you mean \"workers\"?",
        ),
        (
            &[],
            "def ssl_context(config, factory): pass",
            "gunicorn.conf.py:1: ssl_context: gunicorn has",
        ),
        (
            &[],
            "default_proc_name = 'x'",
            "gunicorn.conf.py:1: default_proc_name: gunicorn has this",
        ),
    ];
    for (flags, file, said) in cases {
        let flags = [&["--check-config", "app:application"], *flags].concat();
        let (ours, gunicorns) = Case { flags: &flags, variables: &[], file }.run();
        assert_eq!(gunicorns.status.code(), Some(0), "{flags:?}: {}", error(&gunicorns));
        assert_eq!(ours.status.code(), Some(1), "{flags:?}: {}", error(&ours));
        let last = error(&ours).lines().last().unwrap_or_default().to_owned();
        assert!(last.starts_with("Error: ") && last.contains(said), "{flags:?}: {last}");
    }
}

#[test]
fn an_application_has_to_be_named_and_to_be_there() {
    for flags in
        [&["--check-config"][..], &["--check-config", "app:nothing"], &["--check-config", "no:app"]]
    {
        let (ours, gunicorns) = Case { flags, variables: &[], file: "" }.run();
        assert_eq!(gunicorns.status.code(), Some(1), "{flags:?}: {}", error(&gunicorns));
        assert_eq!(ours.status.code(), Some(1), "{flags:?}: {}", error(&ours));
    }
    let named_in_file =
        Case { flags: &["--check-config"], variables: &[], file: "wsgi_app = 'app'" };
    assert_eq!(named_in_file.run().0.status.code(), Some(0));
}

/// A packager finds every flag in what lies under `packaging/`.
#[test]
fn the_manual_and_the_completions_hold_every_flag() {
    let packaging = workspace::root().join("packaging");
    let help = Command::new(binary()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let flags: Vec<&str> = help
        .split(|other: char| other.is_whitespace() || ",[]".contains(other))
        .filter(|word| word.starts_with("--"))
        .collect();
    assert!(flags.len() > 80, "{help}");
    for file in ["bash/causeway-gateway", "zsh/_causeway-gateway"] {
        let text = fs::read_to_string(packaging.join("completions").join(file)).unwrap();
        for flag in &flags {
            assert!(text.contains(flag), "{file} lacks {flag}");
        }
    }
    let fish = packaging.join("completions/fish/causeway-gateway.fish");
    let fish = fs::read_to_string(fish).unwrap();
    let manual = fs::read_to_string(packaging.join("man/causeway-gateway.1")).unwrap();
    for flag in &flags {
        assert!(fish.contains(&format!("-l {}", &flag[2..])), "fish lacks {flag}");
        assert!(manual.contains(&flag.replace('-', "\\-")), "the manual lacks {flag}");
    }
}
