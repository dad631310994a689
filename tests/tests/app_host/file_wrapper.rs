//! `wsgi.file_wrapper`.

use std::io::Write;

use crate::host::{Answer, Client, Host, Setup};

const TEXT: &[u8] = b"0123456789 the file\n";

struct Files {
    host: Host,
    client: Client,
    path: String,
}

fn files(content: &[u8]) -> Files {
    files_of(Setup::of("file_wrapper"), content)
}

fn files_of(setup: Setup, content: &[u8]) -> Files {
    let host = setup.start();
    let path = host.scratch.path().join("file");
    std::fs::write(&path, content).unwrap();
    let client = host.connect();
    Files { host, client, path: path.to_str().unwrap().to_owned() }
}

impl Files {
    fn get(&mut self, path: &str) -> Answer {
        self.client.request(path, &[("TEST_FILE", &self.path)], b"")
    }
}

#[test]
fn files_are_sent_from_where_they_stand() {
    let mut files = files(TEXT);
    for (path, expected) in [
        ("/plain", TEXT),
        ("/unbuffered", TEXT),
        ("/memory", TEXT),
        ("/from_the_middle", &TEXT[5..]),
        ("/iterated", TEXT),
        ("/limited", &TEXT[..7]),
        ("/unflushed", b"on the disk yet"),
        ("/override", b"0123456789 THE FILE\n"),
    ] {
        let answer = files.get(path);
        assert_eq!((answer.body.as_slice(), answer.app_status()), (expected, 0), "{path}");
    }
    assert_eq!(files.host.log(), "file closed\n");
}

#[test]
fn python_reads_the_file_only_without_sendfile() {
    for sendfile in [true, false] {
        let mut setup = Setup::of("file_wrapper");
        setup.options.sendfile = sendfile;
        let mut files = files_of(setup, TEXT);
        let answer = files.get("/telling");
        assert_eq!((answer.body.as_slice(), answer.app_status()), (TEXT, 0));
        let read = if sendfile { 0 } else { TEXT.len() };
        assert_eq!(files.host.log(), format!("read to {read}\n"));
        assert_eq!(files.get("/limited").body, &TEXT[..7]);
    }
}

#[test]
fn a_descriptor_that_is_not_the_content_is_not_sent() {
    let mut files = files(TEXT);
    let path = format!("{}.gz", files.path);
    let made = std::process::Command::new(crate::host::python())
        .args(["-c", "import gzip, sys; gzip.open(sys.argv[1], 'wb').write(sys.argv[2].encode())"])
        .args([&path, std::str::from_utf8(TEXT).unwrap()])
        .status()
        .unwrap();
    assert!(made.success());
    for path in ["/compressed", "/buffered_compressed"] {
        assert_eq!(files.get(path).body, TEXT, "{path}");
    }
}

#[test]
fn a_file_shorter_than_its_content_length_breaks_off() {
    let mut files = files(TEXT);
    let answer = files.get("/promises_more");
    assert_eq!((answer.body.as_slice(), answer.app_status()), (TEXT, 1));
    assert!(files.host.log().contains("1 bytes short of its Content-Length"));
}

#[test]
fn a_large_file_arrives_whole() {
    let mut content = Vec::new();
    for number in 0..400_000 {
        writeln!(content, "line {number}").unwrap();
    }
    let mut files = files(&content);
    for path in ["/plain", "/memory"] {
        assert!(files.get(path).body == content, "{path}");
    }
}

#[test]
fn head_reads_no_file() {
    let mut files = files(TEXT);
    let answer = files.client.request(
        "/plain",
        &[("TEST_FILE", &files.path), ("REQUEST_METHOD", "HEAD")],
        b"",
    );
    assert_eq!((answer.text(), answer.app_status()), ("", 0));
}
