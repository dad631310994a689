//! A master that is root, and workers that are not: what each of them may, and still can.

use std::{
    fs::{self, Permissions},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::{MetadataExt, PermissionsExt},
    time::Instant,
};

use nix::{
    sys::signal::Signal,
    unistd::{Group, Pid, User, geteuid},
};

use crate::server::{Edge, PATIENCE, Site, is_nginx, pause};

fn is_root() -> bool {
    let root = geteuid().is_root();
    if !root {
        eprintln!("skipped: only root may become another");
    }
    root
}

/// The server's folder, which `nobody` may look into, and the file with that user in it.
fn start_as(site: Site, user: &str, http: &str) -> Edge {
    fs::set_permissions(site.path(""), Permissions::from_mode(0o755)).expect("it is ours");
    let config = site.config(http).replace("user root;", user);
    Edge::start_whole(site, &config)
}

/// The numbers behind a word of a process's status.
fn ids(process: Pid, key: &str) -> Vec<u32> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a line of ids");
    line.split_whitespace().map(|id| id.parse().expect("a number")).collect()
}

fn nobody() -> u32 {
    let user = User::from_name("nobody").expect("the list can be read");
    user.expect("every system has a nobody").uid.as_raw()
}

fn wait_until_dropped(edge: &Edge) {
    let deadline = Instant::now() + PATIENCE;
    for worker in edge.children() {
        while ids(worker, "Uid:") != [nobody(); 4] {
            assert!(Instant::now() < deadline, "{worker} is {:?}", ids(worker, "Uid:"));
            pause();
        }
    }
}

const PLAIN: &str = "server { listen 127.0.0.1:%%PORT%%; location / { return 200 ok; }
    location /files/ { alias %%DIR%%/files/; } }";

#[test]
fn a_worker_keeps_nothing_of_root() {
    if !is_root() {
        return;
    }
    let edge = start_as(Site::new(), "user nobody nogroup;", PLAIN);
    assert_eq!(edge.get("/").text(), "ok");
    wait_until_dropped(&edge);
    let master = edge.pid();
    assert_eq!(ids(master, "Uid:"), [0; 4], "the master stays who it is");
    for worker in edge.children() {
        assert!(!ids(worker, "Gid:").contains(&0));
        assert!(!ids(worker, "Groups:").contains(&0), "{:?}", ids(worker, "Groups:"));
        let status = fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
        let rights = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        assert_eq!(rights.trim().trim_start_matches('0'), "", "no capability is left");
    }
}

#[test]
fn the_group_may_be_another() {
    if !is_root() {
        return;
    }
    let group = Group::from_name("daemon").unwrap().expect("every system has one");
    let edge = start_as(Site::new(), "user nobody daemon;", PLAIN);
    wait_until_dropped(&edge);
    for worker in edge.children() {
        assert_eq!(ids(worker, "Gid:"), [group.gid.as_raw(); 4]);
    }
}

#[test]
fn what_the_user_may_not_read_is_refused() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    for (name, mode) in [("open", 0o644), ("closed", 0o600), ("folder/inside", 0o644)] {
        let path = site.write(&format!("files/{name}"), name);
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(site.path("files/folder"), Permissions::from_mode(0o700)).unwrap();
    let edge = start_as(site, "user nobody nogroup;", PLAIN);
    assert_eq!(edge.get("/files/open").text(), "open");
    for name in ["closed", "folder/inside"] {
        assert_eq!(edge.get(&format!("/files/{name}")).status, 403, "{name}");
        let path = edge.site.path(&format!("files/{name}")).display().to_string();
        let line = format!("\"{path}\" failed (13: Permission denied)");
        assert!(edge.error_log().contains(&line), "{}", edge.error_log());
    }
}

#[test]
fn temporary_folders_belong_to_the_worker() {
    if !is_root() {
        return;
    }
    let edge = start_as(
        Site::new(),
        "user nobody nogroup;",
        "server { client_body_temp_path %%DIR%%/bodies 1 2; client_body_in_file_only on;
           listen 127.0.0.1:%%PORT%%; location / { proxy_pass http://127.0.0.1:%%PORT1%%; } }
         server { listen 127.0.0.1:%%PORT1%%; location / { return 200 ok; } }",
    );
    assert_eq!(edge.request("POST", "/", &[], b"hello").text(), "ok");
    let mut folder = edge.site.path("bodies");
    // Two levels, and the file: for nobody else to read.
    for _ in 0..3 {
        let metadata = fs::metadata(&folder).expect("it is there");
        assert_eq!((metadata.uid(), metadata.mode() & 0o077), (nobody(), 0), "{folder:?}");
        folder = fs::read_dir(&folder).unwrap().next().expect("one in it").unwrap().path();
    }
    let metadata = fs::metadata(&folder).expect("the file");
    assert_eq!((metadata.uid(), metadata.mode() & 0o077), (nobody(), 0), "{folder:?}");
}

/// Rotated logs are made anew by who may: the folder is root's.
#[test]
fn logs_are_opened_again() {
    if !is_root() {
        return;
    }
    let mut edge = start_as(Site::new(), "user nobody nogroup;", PLAIN);
    assert_eq!(edge.get("/before").text(), "ok");
    wait_until_dropped(&edge);
    for log in ["access.log", "error.log"] {
        fs::rename(edge.site.path(log), edge.site.path(&format!("{log}.1"))).unwrap();
    }
    edge.signal(Signal::SIGUSR1);
    let deadline = Instant::now() + PATIENCE;
    while !(edge.access_log().contains("GET /after ")) {
        assert!(Instant::now() < deadline, "{} {}", edge.access_log(), edge.error_log());
        assert_eq!(edge.get("/after").text(), "ok");
    }
    assert!(!edge.access_log().contains("GET /before "));
    assert!(edge.site.read("access.log.1").contains("GET /before "));
    assert_eq!(edge.get("/files/none").status, 404);
    edge.wait_for_line("error.log", "(2: No such file or directory)");
    // As the user's, so that a worker can open them itself.
    for log in ["access.log", "error.log"] {
        assert_eq!(fs::metadata(edge.site.path(log)).unwrap().uid(), nobody(), "{log}");
    }
    assert!(edge.stop().success());
}

/// Opened while there were rights, and handed over a reload.
#[test]
fn a_port_below_1024_is_the_master_s_to_open() {
    if !is_root() {
        return;
    }
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let port = (600..1024).rev().find(free).expect("one of them is free");
    let http = format!("server {{ listen 127.0.0.1:{port}; return 200 ok; }}");
    let mut edge = start_as(Site::new(), "user nobody nogroup;", &http);
    wait_until_dropped(&edge);
    let old = edge.children();
    edge.signal(Signal::SIGHUP);
    while edge.children().iter().any(|worker| old.contains(worker)) {
        pause();
    }
    wait_until_dropped(&edge);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    assert!(edge.stop().success());
}

#[test]
fn who_is_nobody_is_refused() {
    if !is_root() {
        return;
    }
    for (user, message) in [
        ("user no-such-user;", "getpwnam(\"no-such-user\") failed"),
        ("user nobody no-such-group;", "getgrnam(\"no-such-group\") failed"),
    ] {
        let site = Site::new();
        site.write("nginx.conf", site.config(PLAIN).replace("user root;", user));
        let output = site.run(&["-t"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(message), "{told}");
        assert!(is_nginx() || told.contains("nginx.conf:1"), "{told}");
    }
}
