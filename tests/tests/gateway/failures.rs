//! Workers that die: each request gets an answer, and the log a reason.

use std::{fs, io::Write, sync::mpsc, thread};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::stack::{
    Gateway, Habit, Listens, Load, Outcome, Response, Setup, assert_none_lost, fixtures, start,
    start_on,
};

fn kill_worker(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

#[test]
fn a_killed_worker_is_replaced_and_its_request_told_why() {
    let gateway = start(&["--workers", "1"]);
    let worker = gateway.worker();
    let held = gateway.begin("/endless?held");
    gateway.log.wait_for("endless /endless?held");
    kill_worker(worker, Signal::SIGKILL);
    let answer = held.answer();
    assert_eq!(answer.status, 502);
    assert!(
        answer.text().contains(&format!("Worker (pid:{worker}) was killed by SIGKILL.")),
        "{}",
        answer.text()
    );
    let died = gateway.log.wait_for(&format!("Worker (pid:{worker}) was sent SIGKILL!"));
    assert!(died.contains("kernel's OOM killer"), "{died}");
    assert!(!died.contains("It was the kernel's OOM killer"), "{died}");
    assert!(
        died.contains(" MiB of memory at the last look. It held GET /endless?held ("),
        "{died}"
    );
    assert!(died.ends_with("client 127.0.0.1)"), "{died}");
    let failed = gateway.log.wait_for("502 for GET /endless?held");
    assert!(failed.contains("was killed by SIGKILL"), "{failed}");
    assert_ne!(gateway.worker(), worker);
}

/// Returns once none of its threads runs: one that still did would read what it is sent.
fn freeze(worker: i32) {
    kill_worker(worker, Signal::SIGSTOP);
    let is_frozen = || {
        let threads = fs::read_dir(format!("/proc/{worker}/task")).unwrap();
        threads.into_iter().all(|thread| {
            let status = fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
            status.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
        })
    };
    while !is_frozen() {
        thread::park_timeout(std::time::Duration::from_millis(2));
    }
}

/// Two requests, one of them to a worker that is stopped and then killed without having looked at it.
/// Their answers, that of the killed worker's last.
fn ask_a_worker_that_never_looks(gateway: &Gateway, method: &str) -> Vec<Response> {
    gateway.log.wait_for_nth("Worker ready", 2);
    let worker = gateway.worker();
    // It is done with that one in the gateway's eyes too, and comes first again.
    gateway.output.wait_for_nth("\"GET / HTTP/1.1\" 200 ", 2);
    freeze(worker);
    let (answered, answers) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        for _ in 0..2 {
            let answered = answered.clone();
            let request = format!(
                "{method} /seen HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody"
            );
            scope.spawn(move || answered.send(gateway.send(&request)).unwrap());
        }
        // The other worker's: by then the first has the other one.
        let first = answers.recv().unwrap();
        kill_worker(worker, Signal::SIGKILL);
        vec![first, answers.recv().unwrap()]
    })
}

#[test]
fn what_a_killed_worker_had_not_begun_goes_to_another_if_asking_twice_is_asking_once() {
    for method in ["GET", "PUT", "DELETE"] {
        let gateway = start(&["--workers", "2", "--access-logfile", "-"]);
        let answers = ask_a_worker_that_never_looks(&gateway, method);
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 200], "{}", gateway.log.text());
        gateway.log.wait_for(&format!("{method} /seen is sent again: "));
        assert_eq!(gateway.log.count(&format!("seen {method}")), 2, "{}", gateway.log.text());
    }
}

#[test]
fn what_a_killed_worker_may_have_begun_is_not_asked_twice() {
    let gateway = start(&["--workers", "2", "--access-logfile", "-"]);
    let answers = ask_a_worker_that_never_looks(&gateway, "POST");
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 502], "{}", gateway.log.text());
    assert_eq!(gateway.log.count("seen POST"), 1);
}

#[test]
fn a_temporary_folder_that_is_tidied_up_takes_nothing_that_is_needed() {
    let folder = fixtures();
    let mut setup =
        Setup::new(Listens::Tcp, &["--chdir", folder.to_str().unwrap(), "app:application"]);
    let temporary = setup.scratch.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    setup.command.env("TMPDIR", &temporary);
    let gateway = setup.launch();
    gateway.log.wait_for("Booting worker");
    let worker = gateway.worker();
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    kill_worker(worker, Signal::SIGKILL);
    gateway.log.wait_for_nth("Booting worker with pid: ", 2);
    assert_ne!(gateway.worker(), worker);
}

#[test]
fn a_worker_that_leaves_on_its_own_is_told_of_too() {
    let gateway = start(&["--workers", "1"]);
    let worker = gateway.worker();
    let held = gateway.begin("/endless");
    gateway.log.wait_for("endless /endless");
    kill_worker(worker, Signal::SIGSEGV);
    assert!(held.answer().text().contains("was killed by SIGSEGV"));
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn killing_workers_under_load_costs_what_they_had_in_hand() {
    let gateway = start_on(Listens::Unix, &["--workers", "2"]);
    let load = Load::start(gateway.place(), 6, Habit::KeepAlive, "/");
    let kills = 5;
    for kill in 0..kills {
        load.wait_for(50);
        let worker = gateway.worker();
        kill_worker(worker, Signal::SIGKILL);
        gateway.log.wait_for_nth("was sent SIGKILL!", kill + 1);
    }
    load.wait_for(200);
    let outcomes = load.finish();
    let mut failed = 0;
    for outcome in &outcomes {
        match outcome {
            Outcome::Answer { status: 200, .. } => (),
            Outcome::Answer { status: 502, body } => {
                assert!(body.contains("was killed by SIGKILL"), "{body}");
                failed += 1;
            }
            other => panic!("{other:?}\n{}", gateway.log.text()),
        }
    }
    assert!(failed <= kills, "one request in hand for each: {failed} of {}", outcomes.len());
}

#[test]
fn recycling_loses_nothing() {
    let gateway = start_on(Listens::Unix, &["--workers", "2", "--max-requests", "20"]);
    let load = Load::start(gateway.place(), 4, Habit::KeepAlive, "/");
    gateway.log.wait_for_nth("has answered --max-requests and is replaced", 6);
    gateway.log.wait_for_nth("Worker exiting", 4);
    assert_none_lost(&load.finish(), &gateway.log);
}

/// Sends a body to be echoed. What came back.
fn upload(gateway: &Gateway, body: &[u8]) -> Response {
    let mut stream = gateway.connect();
    let head =
        format!("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream.answer()
}

/// A first worker that answers as the app-host does when it is told to stop in the moment in which a
/// request begins to arrive: the moment itself can not be met from outside. After it, the real ones.
const LEAVES_ONCE: &str = r#"
import fcntl, os, socket, stat, struct

def post_fork(server, worker):
    try:
        os.mkdir("left")
    except FileExistsError:
        return
    for number in range(3, 64):
        try:
            mode = os.fstat(number).st_mode
        except OSError:
            continue
        if stat.S_ISFIFO(mode) and fcntl.fcntl(number, fcntl.F_GETFL) & os.O_WRONLY:
            os.write(number, b"ready %d\n" % os.getpid())
        elif stat.S_ISSOCK(mode):
            found = socket.socket(fileno=os.dup(number))
            if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                listener = found
    listener.setblocking(True)
    connection, _ = listener.accept()
    connection.setblocking(True)
    arrived = 0
    while arrived < 100_000:
        arrived += len(connection.recv(65536))
    connection.shutdown(socket.SHUT_RD)
    end_request, overloaded = 3, 2
    connection.sendall(struct.pack(">BBHHBxIB3x", 1, end_request, 1, 8, 0, 0, overloaded))
    os._exit(0)
"#;

#[test]
fn what_a_leaving_worker_does_not_take_goes_to_the_next() {
    // In memory, and in a file.
    for length in [200_000, 3_000_000] {
        let fixtures = fixtures();
        let flags = ["--pythonpath", fixtures.to_str().unwrap(), "app:application"];
        let setup = Setup::new(Listens::Tcp, &flags);
        setup.write("gunicorn.conf.py", LEAVES_ONCE);
        let gateway = setup.launch();
        let body: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        let answer = upload(&gateway, &body);
        assert_eq!(answer.status, 200, "{}", gateway.log.text());
        assert!(answer.body == body);
        let line = gateway.log.wait_for("POST /echo is sent again: ");
        assert!(line.ends_with("was told to stop, and takes no more requests"), "{line}");
    }
}

#[test]
fn a_worker_told_to_stop_loses_no_upload() {
    let gateway = start(&["--workers", "2"]);
    gateway.log.wait_for_nth("Worker ready", 2);
    let body = vec![b'x'; 3_000_000];
    for round in 0..10 {
        let worker = gateway.worker();
        // Until it goes on, what is sent to it waits half way.
        kill_worker(worker, Signal::SIGSTOP);
        thread::scope(|scope| {
            let uploads: Vec<_> = (0..2).map(|_| scope.spawn(|| upload(&gateway, &body))).collect();
            kill_worker(worker, Signal::SIGTERM);
            kill_worker(worker, Signal::SIGCONT);
            for upload in uploads {
                let answer = upload.join().unwrap();
                assert_eq!(answer.status, 200, "{} {}", answer.text(), gateway.log.text());
                assert!(answer.body == body);
            }
        });
        gateway.log.wait_for(&format!("Worker exiting (pid: {worker})"));
        gateway.log.wait_for_nth("Worker ready", 3 + round);
    }
}

#[test]
fn workers_told_to_stop_under_load_lose_nothing() {
    for threads in ["1", "3"] {
        let gateway = start(&["--workers", "2", "--threads", threads]);
        let load = Load::post(gateway.place(), 6, Habit::KeepAlive, "/echo");
        for round in 0..8 {
            // Both are ready, so that one is there for what the other does not take.
            gateway.log.wait_for_nth("Worker ready", 2 + round);
            let worker = gateway.worker();
            kill_worker(worker, Signal::SIGTERM);
            gateway.log.wait_for(&format!("Worker exiting (pid: {worker})"));
        }
        assert_none_lost(&load.finish(), &gateway.log);
    }
}
