//! What is not run at all: each is named with its file and line before the first request.

use suite::{Suite, SuiteError, Target, TargetError};

use crate::server::folder;

#[track_caller]
fn check(text: &str, expected: &str) {
    let folder = folder(&[("a.hurl", text.as_bytes())]);
    let path = folder.path().join("a.hurl");
    let error = Suite::load(std::slice::from_ref(&path)).expect_err(text).to_string();
    let error = error.replace(&format!("{}:", path.display()), "");
    assert_eq!(error, expected, "{text}");
}

#[test]
fn what_is_not_hurl() {
    check("GET\n", "1:4: parsing space: expecting a space");
    check(
        "GET {{base}}/\nHTTP 200\n[Asserts]\nstatus ~ 2\n",
        "4:8: parsing predicate: expecting a predicate",
    );
    check(
        "POST {{base}}/\n<a/>\n",
        "2:1: an xml body without quotes is not supported; put ```xml before it and ``` after it",
    );
}

#[test]
fn what_hurl_has_and_this_has_not() {
    check("GET {{base}}/\nHTTP/2 200\n", "2: version \"HTTP/2\" is not supported");
    check(
        "GET {{base}}/\n[Options]\ninsecure: true\nlocation: true\nretry: -1\nHTTP 200\n",
        "3: option \"insecure: true\" is not supported\n5: option \"retry: -1\" is not supported",
    );
    check(
        "GET {{base}}/\nHTTP 200\n[Captures]\na: certificate \"Issuer\"\n[Asserts]\n\
         header \"Date\" toDate \"%a\" exists\ncookie \"a[Expires]\" isDate\n",
        "4: query \"certificate\" is not supported\n6: filter \"toDate\" is not supported\n\
         7: predicate \"isDate\" is not supported",
    );
    check(
        "POST {{base}}/\n```graphql\n{ a }\n```\nHTTP 200\n",
        "2: a graphql body is not supported",
    );
}

#[test]
fn files_are_found_in_the_order_of_their_names() {
    let folder = folder(&[
        ("b.hurl", b"GET {{base}}/\n"),
        ("a.hurl", b"GET {{base}}/\n"),
        ("data.txt", b"not hurl"),
    ]);
    std::fs::create_dir(folder.path().join("ab")).unwrap();
    std::fs::write(folder.path().join("ab/c.hurl"), "GET {{base}}/\n").unwrap();
    let mut suite = Suite::load(&[folder.path().to_owned()]).unwrap();
    let names = |suite: &Suite| -> Vec<String> {
        let paths = suite.files().map(|path| path.strip_prefix(folder.path()).unwrap().to_owned());
        paths.map(|path| path.display().to_string()).collect()
    };
    assert_eq!(names(&suite), ["a.hurl", "ab/c.hurl", "b.hurl"]);
    suite.retain(|path| !path.ends_with("b.hurl"));
    assert_eq!(names(&suite), ["a.hurl", "ab/c.hurl"]);
}

#[test]
fn what_can_not_be_read() {
    let empty = folder(&[]);
    let load = |path: &str| Suite::load(&[empty.path().join(path)]);
    assert!(matches!(load(""), Err(SuiteError::Empty(_))));
    assert!(matches!(load("none.hurl"), Err(SuiteError::Unreadable { .. })));
}

#[tokio::test]
async fn targets_that_nothing_can_be_sent_to() {
    let folder = folder(&[("a.hurl", b"GET {{base}}/\n"), ("empty.pem", b"")]);
    let suite = Suite::load(&[folder.path().to_owned()]).unwrap();
    let run = async |base: &str, change: &dyn Fn(&mut Target)| {
        let mut target = Target::new(base.parse().unwrap());
        change(&mut target);
        suite.run(&target).await.unwrap_err()
    };
    assert!(matches!(run("ftp://h/", &|_| {}).await, TargetError::Scheme(_)));
    assert!(matches!(run("http://h/?a", &|_| {}).await, TargetError::Query(_)));
    assert!(matches!(run("https://h/", &|_| {}).await, TargetError::NoCa));
    let ca = folder.path().join("empty.pem");
    let error = run("https://h/", &|target| target.ca = Some(ca.clone())).await;
    assert!(error.to_string().ends_with("empty.pem\": it has no certificate"), "{error}");
    let error = run("http://h/", &|target| {
        target.variables.insert("base".to_owned(), String::new());
    });
    assert!(matches!(error.await, TargetError::BaseVariable));
}
