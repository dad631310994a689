//! Whatever an application does to its worker: its client is answered or sees that it was cut off,
//! and the fleet serves on.

use std::io::{Read, Write};
use std::thread;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::stack::{Gateway, Listens, Response, Setup, fixtures};

fn start(flags: &[&str]) -> Gateway {
    let fixtures = fixtures();
    let mut all = vec!["--chdir", fixtures.to_str().unwrap(), "faults:application"];
    all.extend(["--log-level", "debug"]);
    all.extend(flags);
    let gateway = Setup::new(Listens::Tcp, &all).launch();
    gateway.log.wait_for("Worker ready");
    gateway
}

/// The process that answers.
fn worker(gateway: &Gateway) -> i32 {
    let answer = gateway.get("/");
    assert_eq!(answer.status, 200, "{} {}", answer.text(), gateway.log.text());
    answer.text().parse().unwrap()
}

#[test]
fn what_only_the_request_is_to_blame_for_ends_only_the_request() {
    let gateway = start(&["--workers", "1"]);
    let process = worker(&gateway);
    for (target, status, text, log) in [
        ("/exits", 500, "", "SystemExit: 3"),
        ("/interrupts", 500, "", "KeyboardInterrupt"),
        ("/interrupts_the_main_thread", 200, "fine", ""),
        ("/leaves_a_generator", 500, "", "GeneratorExit"),
        ("/recurses", 500, "", "RecursionError: "),
        ("/out_of_memory", 500, "", "MemoryError"),
        ("/raises_in_a_thread", 200, "fine", "RecursionError: "),
        ("/raises_in_close", 200, "fine", "SystemExit: in close"),
        ("/long", 200, "some", "bytes beyond its Content-Length"),
        ("/empty_parts", 200, "something", ""),
        ("/status_header", 200, "fine", ""),
        ("/forks", 200, "child ended with 0", "forked in GET /forks has returned from it"),
    ] {
        let mut stream = gateway.begin(target);
        let answer = Response::read(&mut stream).expect("an answer");
        assert_eq!(answer.status, status, "{target}: {}", gateway.log.text());
        assert!(answer.complete, "{target}");
        assert!(status == 500 || answer.text() == text, "{target}: {}", answer.text());
        assert!(stream.rest().is_empty(), "{target}: one answer");
        gateway.log.wait_for(log);
        assert_eq!(worker(&gateway), process, "{target}");
    }
    let answer = gateway.get("/status_header");
    assert_eq!(answer.header("status"), Some("404 Not Found"));
}

#[test]
fn what_goes_wrong_after_the_head_cuts_the_answer_off() {
    let gateway = start(&["--workers", "1"]);
    for (target, log) in [
        ("/raises_in_the_middle", "SystemExit: in the middle"),
        ("/short", "96 bytes short of its Content-Length"),
        ("/dies_in_the_middle", "was killed by SIGKILL"),
    ] {
        let answer = gateway.get(target);
        // Or nothing had left yet: then it need not be cut.
        assert!(!answer.complete || answer.status == 502, "{target}: {answer:?}");
        gateway.log.wait_for(log);
        worker(&gateway);
    }
}

#[test]
fn a_worker_that_dies_of_its_application_is_replaced() {
    let deaths = [
        ("/leaves?code=0", "exited with code 0"),
        ("/leaves?code=1", "exited with code 1"),
        // gunicorn's own codes for a worker that can not boot, after which it gives up.
        ("/leaves?code=3", "exited with code 3"),
        ("/leaves?code=4", "exited with code 4"),
        ("/leaves?code=255", "exited with code 255"),
        ("/kills?signal=3", "exited with code 0"),
        ("/kills?signal=9", "was killed by SIGKILL"),
        ("/segfaults", "was killed by SIGSEGV"),
        ("/aborts", "was killed by SIGABRT"),
        ("/closes_everything", ""),
    ];
    // Workers that live for a moment only are replaced more and more slowly.
    for deaths in deaths.chunks(3) {
        let gateway = start(&["--workers", "1"]);
        for (target, fate) in deaths {
            let before = worker(&gateway);
            let answer = gateway.get(target);
            assert_eq!(answer.status, 502, "{target}: {} {}", answer.text(), gateway.log.text());
            assert!(answer.text().contains(fate), "{target}: {}", answer.text());
            let line = gateway.log.wait_for(&format!("502 for GET {target} ("));
            assert!(line.contains(fate), "{line}");
            assert_ne!(worker(&gateway), before, "{target}");
        }
    }
}

#[test]
fn a_worker_that_tells_itself_to_stop_answers_first() {
    let gateway = start(&["--workers", "1"]);
    let before = worker(&gateway);
    assert_eq!(gateway.get("/tells_itself_to_stop").text(), "fine");
    gateway.log.wait_for(&format!("Worker exiting (pid: {before})"));
    assert_ne!(worker(&gateway), before);
}

#[test]
fn a_child_of_the_application_does_not_hide_its_workers_death() {
    let gateway = start(&["--workers", "1"]);
    let child = gateway.get("/leaves_a_child").text().parse().unwrap();
    let process = worker(&gateway);
    let held = gateway.begin("/hangs");
    gateway.log.wait_for("hanging");
    kill(Pid::from_raw(process), Signal::SIGKILL).unwrap();
    let answer = held.answer();
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("was killed by SIGKILL"), "{}", answer.text());
    assert_ne!(worker(&gateway), process);
    kill(Pid::from_raw(child), Signal::SIGKILL).unwrap();
}

#[test]
fn a_hook_that_forks_has_one_worker_afterwards() {
    let fixtures = fixtures();
    let flags = ["--chdir", fixtures.to_str().unwrap(), "faults:application", "--workers", "1"];
    let setup = Setup::new(Listens::Tcp, &flags);
    setup.write(
        "gunicorn.conf.py",
        "import os\ndef post_request(worker, req):\n    \
         if req.path == '/fork':\n        child = os.fork()\n        \
         if child:\n            os.waitpid(child, 0)\n            print('its child has ended', flush=True)\n",
    );
    let mut gateway = setup.launch();
    gateway.log.wait_for("Booting worker");
    let process = worker(&gateway);
    assert_eq!(gateway.get("/fork").status, 200);
    gateway.output.wait_for("its child has ended");
    assert_eq!(worker(&gateway), process);
    gateway.stop();
}

#[test]
fn threads_of_one_worker_overlap() {
    let gateway = start(&["--workers", "1", "--threads", "4"]);
    thread::scope(|scope| {
        let meets = || gateway.get("/meets").text();
        let requests: Vec<_> = (0..4).map(|_| scope.spawn(meets)).collect();
        for request in requests {
            assert_eq!(request.join().unwrap(), "fine");
        }
    });
}

/// All heads of one answer, and its body.
fn heads(gateway: &Gateway, version: &str, target: &str) -> (Vec<String>, Response) {
    let mut stream = gateway.connect();
    let request = format!("GET {target} {version}\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut interim = Vec::new();
    loop {
        let answer = Response::read(&mut stream).expect("a final answer");
        if answer.status >= 200 {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
            assert!(rest.is_empty(), "{rest:?}");
            return (interim, answer);
        }
        interim.push(answer.head);
    }
}

#[test]
fn early_hints_reach_those_who_understand_them() {
    let gateway = start(&["--workers", "1"]);
    let expected = [
        "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </app.js>; rel=preload; as=script\r\n\r\n",
    ];
    let (interim, answer) = heads(&gateway, "HTTP/1.1", "/hints");
    assert_eq!((&interim[..], answer.text()), (&expected.map(String::from)[..], "fine".to_owned()));
    let (interim, answer) = heads(&gateway, "HTTP/1.0", "/hints");
    assert_eq!((interim.len(), answer.text()), (0, "fine".to_owned()));
    // The application has seen it, so it is not asked again.
    let (interim, answer) = heads(&gateway, "HTTP/1.1", "/hints?dies");
    assert_eq!((interim.len(), answer.status), (2, 502), "{}", gateway.log.text());
    worker(&gateway);
}

#[test]
fn without_sendfile_files_still_come_whole() {
    for flags in [&[][..], &["--no-sendfile"]] {
        let mut all = vec!["file:application"];
        all.extend(flags);
        let setup = Setup::new(Listens::Tcp, &all);
        setup.write(
            "file.py",
            "def application(environ, start_response):\n    \
             class Telling(environ['wsgi.file_wrapper']):\n        \
             def close(self):\n            \
             print('read to', self.filelike.tell(), flush=True)\n            super().close()\n    \
             start_response('200 OK', [])\n    return Telling(open(__file__, 'rb'))\n",
        );
        let gateway = setup.launch();
        gateway.log.wait_for("Booting worker");
        let file = std::fs::read(gateway.scratch().join("file.py")).unwrap();
        assert_eq!(gateway.get("/").body, file);
        let read = if flags.is_empty() { 0 } else { file.len() };
        gateway.output.wait_for(&format!("read to {read}"));
    }
}
