//! The flags, and what is said to an operator.

use crate::server::{Edge, Site, is_nginx};

const PLAIN: &str = "server { listen 127.0.0.1:%%PORT%%; return 200 ok; }";

fn site(http: &str) -> Site {
    let site = Site::new();
    site.write("nginx.conf", site.config(http));
    site
}

fn check(site: &Site, arguments: &[&str], success: bool, stderr: &[&str]) {
    let output = site.run(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.success(), success, "{arguments:?}: {said}");
    let expected: Vec<String> = stderr.iter().map(|line| site.fill(line)).collect();
    assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

#[test]
fn versions_say_which_nginx_this_is() {
    let site = Site::new();
    let said = |flag: &str| String::from_utf8(site.run(&[flag]).stderr).unwrap();
    assert!(said("-v").starts_with("nginx version: nginx/1."), "{}", said("-v"));
    assert_eq!(said("-v").lines().count(), 1);
    assert!(said("-V").contains("\nconfigure arguments: --"), "{}", said("-V"));
    assert!(said("-V").contains("--prefix=/"));
    assert!(said("-h").contains("\nUsage: nginx [-?hvVtTq] [-s signal]"));
    assert_eq!(said("-?"), said("-h"));
}

#[test]
fn slips_on_the_command_line() {
    let site = site(PLAIN);
    check(&site, &["-x"], false, &["nginx: invalid option: \"x\""]);
    check(&site, &["reload"], false, &["nginx: invalid option: \"reload\""]);
    check(&site, &["-s", "start"], false, &["nginx: invalid option: \"-s start\""]);
    check(&site, &["-g"], false, &["nginx: option \"-g\" requires parameter"]);
    check(&site, &["-e"], false, &["nginx: option \"-e\" requires file name"]);
}

#[test]
fn a_good_file_is_tested() {
    let site = site(PLAIN);
    let ok = [
        "nginx: the configuration file %%DIR%%/nginx.conf syntax is ok",
        "nginx: configuration file %%DIR%%/nginx.conf test is successful",
    ];
    check(&site, &["-t"], true, &ok);
    check(&site, &["-tq"], true, &[]);
    check(&site, &["-t", "-q"], true, &[]);
}

#[test]
fn a_broken_file_is_named_with_the_place() {
    let site = Site::new();
    site.write("nginx.conf", "events { }\nhttp { server { gone 1; } }\n");
    let slip = "nginx: [emerg] unknown directive \"gone\" in %%DIR%%/nginx.conf:2";
    check(
        &site,
        &["-t"],
        false,
        &[slip, "nginx: configuration file %%DIR%%/nginx.conf test failed"],
    );
    check(&site, &[], false, &[slip]);
    let log = site.read("error.log");
    assert!(log.contains("[emerg] "), "{log}");
    assert!(log.contains(&site.fill("unknown directive \"gone\" in %%DIR%%/nginx.conf:2")));
    assert!(!site.path("nginx.pid").exists());
}

#[test]
fn a_port_in_use_does_not_fail_the_test() {
    let mut edge = Edge::start(PLAIN);
    let output = edge.site.run(&["-t"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(edge.get("/").text(), "ok");
    assert!(edge.stop().success());
}

#[test]
fn the_dump_shows_every_file_once() {
    let site = Site::new();
    site.write("more.conf", "# more\n");
    let main = site.config("include more.conf;\ninclude more.conf;");
    site.write("nginx.conf", &main);
    let output = site.run(&["-T", "-q"]);
    let expected = site.fill(&format!(
        "# configuration file %%DIR%%/nginx.conf:\n{main}\n\
         # configuration file %%DIR%%/more.conf:\n# more\n\n"
    ));
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn globals_stand_outside_of_the_file() {
    let site = Site::new();
    let config = "events { }\nhttp { access_log off; server { listen 127.0.0.1:%%PORT%%; } }";
    site.write("nginx.conf", site.fill(config));
    let output = site.run(&["-t", "-g", "worker_processes x;"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(" in command line"), "{said}");
}

#[test]
fn a_signal_needs_a_server() {
    let site = site(PLAIN);
    let slip = "nginx: [error] open() \"%%DIR%%/nginx.pid\" failed (2: No such file or directory)";
    check(&site, &["-s", "reload"], false, &[slip]);
    site.write("nginx.pid", "\n");
    let slip = "nginx: [error] invalid PID number \"\" in \"%%DIR%%/nginx.pid\"";
    check(&site, &["-s", "stop"], false, &[slip]);
}

#[test]
fn signals_reach_the_server() {
    let mut edge = Edge::start(PLAIN);
    assert!(edge.site.run(&["-s", "reload"]).status.success());
    edge.wait_for_line("error.log", "exited with code 0");
    assert!(edge.site.run(&["-squit"]).status.success());
    assert!(edge.wait().success());
}

#[test]
fn what_is_not_there_yet_is_refused_by_name() {
    if is_nginx() {
        return;
    }
    let refused = |line: &str| {
        let site = Site::new();
        site.write("nginx.conf", format!("{line}\nevents {{ }}\nhttp {{ access_log off; }}\n"));
        String::from_utf8_lossy(&site.run(&["-t"]).stderr).into_owned()
    };
    assert!(refused("stream { }").contains("\"stream\""));
    let module = refused("load_module modules/x.so;");
    assert!(module.contains("\"load_module\" \"modules/x.so\""), "{module}");
}
