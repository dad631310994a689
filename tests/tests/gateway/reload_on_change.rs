//! `--reload`: a file is saved, and the next answer is the new code's. Nothing here waits for time to
//! pass: the log says what has been seen.

use std::fs;

use crate::stack::{Gateway, Listens, Setup};

const APPLICATION: &str = "import words\n\n\ndef application(environ, start_response):\n    \
     body = words.hello().encode()\n    \
     start_response('200 OK', [('Content-Length', str(len(body)))])\n    return [body]\n";

fn start(flags: &[&str]) -> Gateway {
    let mut all = vec!["app:application", "--reload", "--log-level", "debug"];
    all.extend(flags);
    let mut setup = Setup::new(Listens::Unix, &all);
    setup.write("app.py", APPLICATION);
    setup.write("words.py", "def hello():\n    return 'one'\n");
    // Two versions within a second would share their compiled form.
    setup.command.env("PYTHONDONTWRITEBYTECODE", "1");
    let gateway = setup.launch();
    gateway.log.wait_for("[WARNING] Reloader is on. Use in development only!");
    gateway.log.wait_for("Worker ready");
    assert_eq!(gateway.get("/").text(), "one", "{}", gateway.log.text());
    gateway
}

/// As editors do it: aside, then in its place.
fn replace(gateway: &Gateway, name: &str, text: &str) {
    gateway.write("aside~", text);
    fs::rename(gateway.scratch().join("aside~"), gateway.scratch().join(name)).unwrap();
}

#[test]
fn a_module_that_changes_is_the_one_that_answers() {
    for engine in ["inotify", "poll"] {
        let gateway = start(&["--reload-engine", engine]);
        let words = fs::canonicalize(gateway.scratch().join("words.py")).unwrap();
        gateway.write("words.py", "def hello():\n    return 'changed'\n");
        gateway.log.wait_for(&format!("Worker reloading: {} modified", words.display()));
        gateway.log.wait_for_nth("Worker exiting", 1);
        assert_eq!(gateway.get("/").text(), "changed");
        replace(&gateway, "words.py", "def hello():\n    return 'replaced'\n");
        gateway.log.wait_for_nth("Worker exiting", 2);
        assert_eq!(gateway.get("/").text(), "replaced");
    }
}

#[test]
fn a_mistake_is_said_and_the_old_code_serves_until_it_is_mended() {
    let gateway = start(&[]);
    replace(&gateway, "words.py", "def hello(:\n");
    let line = gateway.log.wait_for("Reload failed, the old workers serve on. Reason: ");
    assert!(line.contains("SyntaxError"), "{line}");
    assert_eq!(gateway.get("/").text(), "one");
    replace(&gateway, "words.py", "import verbs\n\n\ndef hello():\n    return verbs.hello()\n");
    gateway.log.wait_for_nth("Reload failed", 2);
    // A module nobody could import yet is watched as well, from the first failure on.
    gateway.write("verbs.py", "def hello(:\n");
    replace(&gateway, "words.py", "import verbs\n\n\ndef hello():\n    return verbs.hello()  \n");
    gateway.log.wait_for_nth("Reload failed", 3);
    replace(&gateway, "verbs.py", "def hello():\n    return 'mended'\n");
    gateway.log.wait_for("Worker exiting");
    gateway.log.wait_for_nth("Worker reloading: ", 4);
    let mended = crate::stack::wait_until("the new code answers", || {
        Some(gateway.get("/").text()).filter(|text| text != "one")
    });
    assert_eq!(mended, "mended");
}

#[test]
fn what_is_imported_late_is_watched_too() {
    let gateway = start(&[]);
    let late = "def application(environ, start_response):\n    import late\n    \
         start_response('200 OK', [])\n    return [late.word.encode()]\n";
    gateway.write("late.py", "word = 'early'\n");
    replace(&gateway, "app.py", late);
    gateway.log.wait_for("Worker exiting");
    assert_eq!(gateway.get("/").text(), "early");
    // The worker looks each second; until it has, a change is nobody's.
    let mut number = 0;
    crate::stack::wait_until("late.py is watched", || {
        number += 1;
        replace(&gateway, "late.py", &format!("word = 'late {number}'\n"));
        (gateway.log.count("late.py modified") > 0).then_some(())
    });
    gateway.log.wait_for_nth("Worker exiting", 2);
    assert!(gateway.get("/").text().starts_with("late"));
}

#[test]
fn other_files_count_if_they_are_named() {
    let gateway = start(&["--reload-extra-file", "*.html"]);
    gateway.write("unnamed.txt", "no");
    gateway.write("page.html", "yes");
    let line = gateway.log.wait_for("Worker reloading: ");
    assert!(line.contains("page.html modified"), "{line}");
    gateway.log.wait_for("Worker exiting");
    assert_eq!(gateway.log.count("Worker reloading: "), 1);
}

#[test]
fn nothing_is_watched_unless_asked_for() {
    let setup = Setup::new(Listens::Unix, &["app:application", "--log-level", "debug"]);
    setup.write("app.py", APPLICATION);
    setup.write("words.py", "def hello():\n    return 'one'\n");
    let gateway = setup.launch();
    gateway.log.wait_for("Worker ready");
    let folder = format!("/proc/{}/fd", gateway.pid());
    let inotify = fs::read_dir(folder).unwrap().filter_map(|entry| {
        let target = fs::read_link(entry.ok()?.path()).ok()?;
        target.to_string_lossy().contains("inotify").then_some(())
    });
    assert_eq!(inotify.count(), 0);
}
