//! gunicorn's "Server Hooks": functions of the configuration file. The nursery knows them; here is
//! only which of them there are, and how many arguments they get.

use super::{Hook, ROW, Row, Value};

/// gunicorn has functions in their place that do nothing, and prints them.
fn nothing(name: &str) -> Value {
    format!("<{name}()>").into()
}

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "on_starting",
        takes: Hook(&[1]),
        unset: Some(|_| nothing("OnStarting.on_starting")),
        help: "The master begins: nothing is set up yet",
        read: |to, _| {
            to.hooks.push("on_starting");
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "on_reload",
        takes: Hook(&[1]),
        unset: Some(|_| nothing("OnReload.on_reload")),
        help: "The master reloads",
        read: |to, _| {
            to.hooks.push("on_reload");
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "when_ready",
        takes: Hook(&[1]),
        unset: Some(|_| nothing("WhenReady.when_ready")),
        help: "The master listens; no worker was forked yet",
        read: |to, _| {
            to.hooks.push("when_ready");
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "pre_fork",
        takes: Hook(&[2]),
        unset: Some(|_| nothing("Prefork.pre_fork")),
        help: "Before each worker is forked",
        read: |to, _| {
            to.hooks.push("pre_fork");
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "post_fork",
        takes: Hook(&[2]),
        unset: Some(|_| nothing("Postfork.post_fork")),
        help: "In each worker, right after it was forked",
        read: |to, _| {
            to.hooks.push("post_fork");
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "post_worker_init",
        takes: Hook(&[1]),
        unset: Some(|_| nothing("PostWorkerInit.post_worker_init")),
        help: "In each worker, once it has the application",
        read: |to, _| {
            to.hooks.push("post_worker_init");
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "worker_int",
        takes: Hook(&[1]),
        unset: Some(|_| nothing("WorkerInt.worker_int")),
        help: "In a worker, on INT or QUIT",
        read: |to, _| {
            to.hooks.push("worker_int");
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "worker_abort",
        takes: Hook(&[1]),
        unset: Some(|_| nothing("WorkerAbort.worker_abort")),
        help: "In a worker, when a request was too long",
        read: |to, _| {
            to.hooks.push("worker_abort");
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "pre_exec",
        takes: Hook(&[1]),
        unset: Some(|_| nothing("PreExec.pre_exec")),
        help: "Before USR2 starts a new master",
        read: |to, _| {
            to.hooks.push("pre_exec");
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "pre_request",
        takes: Hook(&[2]),
        unset: Some(|_| nothing("PreRequest.pre_request")),
        help: "In a worker, before each request",
        read: |to, _| {
            to.hooks.push("pre_request");
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "post_request",
        takes: Hook(&[2, 3, 4]),
        unset: Some(|_| nothing("PostRequest.post_request")),
        help: "In a worker, after each request",
        read: |to, _| {
            to.hooks.push("post_request");
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "child_exit",
        takes: Hook(&[2]),
        unset: Some(|_| nothing("ChildExit.child_exit")),
        help: "In the master, when a worker has ended",
        read: |to, _| {
            to.hooks.push("child_exit");
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "worker_exit",
        takes: Hook(&[2]),
        unset: Some(|_| nothing("WorkerExit.worker_exit")),
        help: "In a worker, as it leaves",
        read: |to, _| {
            to.hooks.push("worker_exit");
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "nworkers_changed",
        takes: Hook(&[3]),
        unset: Some(|_| nothing("NumWorkersChanged.nworkers_changed")),
        help: "In the master, when it is to have more workers, or fewer",
        read: |to, _| {
            to.hooks.push("nworkers_changed");
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "on_exit",
        takes: Hook(&[1]),
        unset: Some(|_| nothing("OnExit.on_exit")),
        help: "In the master, before it ends",
        read: |to, _| {
            to.hooks.push("on_exit");
            Ok(())
        },
        ..ROW
    },
];
