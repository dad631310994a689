//! Requests that take too long: each ends at its time, with its name, and alone.

use std::{fs, io::Read};

use crate::stack::{Gateway, Listens, Response, Setup, Stream, fixtures, start};

/// A stream that moves until `end_of_stream`.
fn trickle(gateway: &Gateway) -> Stream {
    let until = gateway.scratch().join("until");
    let stream = gateway.begin(&format!("/trickle?until={}", until.display()));
    gateway.log.wait_for("trickle /trickle");
    stream
}

fn end_of_stream(gateway: &Gateway) {
    fs::write(gateway.scratch().join("until"), "").unwrap();
}

#[test]
fn a_request_over_its_time_gets_504_and_the_log_its_name_and_stack() {
    let gateway = start(&["--workers", "1", "--timeout", "1"]);
    let worker = gateway.worker();
    let answer = gateway.get("/endless?long");
    assert_eq!(answer.status, 504);
    assert!(answer.text().contains("--timeout"), "{}", answer.text());
    let line = gateway.log.wait_for(&format!("[CRITICAL] WORKER TIMEOUT (pid:{worker})"));
    assert!(line.contains(" GET /endless?long (") && line.contains("client 127.0.0.1)"), "{line}");
    let stack = format!("[CRITICAL] Worker (pid:{worker}) is over GET /endless?long in:");
    gateway.log.wait_for(&stack);
    let ended = gateway.log.wait_for(&format!("Worker (pid:{worker}) exited with code 1."));
    assert!(ended.contains(" It held GET /endless?long ("), "{ended}");
    let text = gateway.log.text();
    let stack = text.split(&stack).nth(1).unwrap();
    let calls: Vec<_> = stack.lines().filter(|line| line.starts_with("  File ")).collect();
    assert_eq!(calls.len(), 2, "application and endless, and none of ours: {stack}");
    assert!(calls[1].contains("app.py\", line ") && calls[1].ends_with(", in endless"), "{stack}");
    assert!(stack.contains("time.sleep(60)"), "{stack}");
    assert_ne!(gateway.worker(), worker);
}

#[test]
fn other_requests_of_its_worker_are_finished_and_nobody_waits_for_them() {
    let gateway = start(&["--workers", "1", "--threads", "2", "--timeout", "1"]);
    let worker = gateway.worker();
    let moving = trickle(&gateway);
    assert_eq!(gateway.get("/endless?long").status, 504);
    // By a new worker, while the old one still has a request.
    assert_ne!(gateway.worker(), worker);
    gateway.log.wait_for("is over GET /endless?long in:");
    assert_eq!(gateway.log.count("exited with code"), 0, "{}", gateway.log.text());
    end_of_stream(&gateway);
    let moving = moving.answer();
    assert!(moving.complete && moving.text().ends_with("piece end"), "{}", moving.text());
    gateway.log.wait_for(&format!("Worker (pid:{worker}) exited with code 1."));
    assert_eq!(gateway.log.count("WORKER TIMEOUT"), 1);
}

#[test]
fn other_requests_of_its_worker_have_no_more_than_the_graceful_timeout() {
    let flags = ["--workers", "1", "--threads", "2", "--timeout", "1", "--graceful-timeout", "1"];
    let gateway = start(&flags);
    let worker = gateway.worker();
    let moving = trickle(&gateway);
    assert_eq!(gateway.get("/endless?long").status, 504);
    assert!(!moving.answer().complete);
    let ended = gateway.log.wait_for(&format!("Worker (pid:{worker}) exited with code 1."));
    assert!(ended.contains("GET /endless?long (") && ended.contains("GET /trickle?"), "{ended}");
}

#[test]
fn two_over_their_time_are_two_lines_and_one_replacement() {
    let gateway = start(&["--workers", "1", "--threads", "2", "--timeout", "1"]);
    let both = ["/endless?one", "/endless?two"].map(|target| gateway.begin(target));
    assert!(both.into_iter().all(|stream| stream.answer().status == 504));
    for target in ["/endless?one", "/endless?two"] {
        gateway.log.wait_for(&format!("is over GET {target} in:"));
    }
    gateway.log.wait_for("exited with code 1.");
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(gateway.log.count("WORKER TIMEOUT"), 2);
    assert_eq!(gateway.booted().len(), 2);
}

#[test]
fn a_stream_that_stops_moving_is_cut() {
    let gateway = start(&["--workers", "1", "--timeout", "1"]);
    let gate = gateway.gate("gate");
    let mut stream = gateway.begin(&format!("/stream?gate={}", gate.path()));
    let answer = Response::read(&mut stream).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "first"));
    assert!(!answer.complete);
    gateway.log.wait_for("WORKER TIMEOUT");
    let line = gateway.log.wait_for("the answer was broken off");
    assert!(line.contains("GET /stream?gate=") && line.contains("--timeout"), "{line}");
    gateway.log.wait_for(", in stream");
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn those_who_wait_for_the_worker_are_answered_by_its_replacement() {
    let gateway = start(&["--workers", "1", "--timeout", "1"]);
    let long = gateway.begin("/endless");
    gateway.log.wait_for("endless /endless");
    let waiting: Vec<_> = (0..5).map(|_| gateway.begin("/version")).collect();
    assert_eq!(long.answer().status, 504);
    assert!(waiting.into_iter().all(|stream| stream.answer().status == 200));
}

#[test]
fn an_interpreter_that_is_held_by_c_code_writes_down_itself_where_it_is() {
    let gateway = start(&["--workers", "1", "--timeout", "1"]);
    let worker = gateway.worker();
    assert_eq!(gateway.get("/seized?held").status, 504);
    gateway.log.wait_for("does not say where it is over GET /seized?held");
    let died = gateway.log.wait_for(&format!("Worker (pid:{worker}) was sent SIGABRT!"));
    assert!(died.contains(" It held GET /seized?held ("), "{died}");
    let text = gateway.log.text();
    assert!(text.contains("Fatal Python error: Aborted"), "{text}");
    assert!(text.lines().any(|line| line.ends_with(" in seized")), "{text}");
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn the_hooks_of_a_worker_over_its_time_are_called() {
    let fixtures = fixtures();
    let flags = ["--timeout", "1", "--pythonpath", fixtures.to_str().unwrap(), "app:application"];
    let setup = Setup::new(Listens::Tcp, &flags);
    setup.write(
        "gunicorn.conf.py",
        "def worker_abort(worker):\n    worker.log.info('aborts %d', worker.pid)\n\
         def worker_exit(server, worker):\n    worker.log.info('leaves %d', worker.pid)\n",
    );
    let gateway = setup.launch();
    let worker = gateway.worker();
    assert_eq!(gateway.get("/endless").status, 504);
    gateway.log.wait_for(&format!("aborts {worker}"));
    gateway.log.wait_for(&format!("leaves {worker}"));
    gateway.log.wait_for(&format!("Worker (pid:{worker}) exited with code 1."));
}

#[test]
fn a_client_that_left_does_not_save_a_worker_from_its_request() {
    let gateway = start(&["--workers", "1", "--timeout", "1"]);
    let left = gateway.begin("/endless?left");
    gateway.log.wait_for("endless /endless?left");
    drop(left);
    gateway.log.wait_for("WORKER TIMEOUT");
    gateway.log.wait_for("is over GET /endless?left in:");
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn a_client_that_takes_its_time_is_not_its_workers_fault() {
    let gateway = start(&["--workers", "2", "--timeout", "1", "--log-level", "debug"]);
    gateway.log.wait_for_nth("Worker ready", 2);
    // The worker has more to say than anybody takes, and waits.
    let mut torrent = gateway.begin("/torrent");
    torrent.read_exact(&mut [0; 1000]).unwrap();
    // By the time the other one is over its time, this one has waited longer.
    assert_eq!(gateway.get("/endless").status, 504);
    let line = gateway.log.wait_for("WORKER TIMEOUT");
    assert!(line.contains("/endless") && !line.contains("/torrent"), "{line}");
    torrent.read_exact(&mut vec![0; 10_000_000]).unwrap();
    assert_eq!(gateway.log.count("WORKER TIMEOUT"), 1);
}
