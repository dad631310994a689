//! `auth_basic` and `auth_delay`.

use std::io::Write;

use crate::server::{Edge, Response, Site, read_response};

const USERS: &str = "# names
des:sa3tHJ3/KuYvI
md5:$1$salt$qJH7.N4xYta3aEG/dfqo/0
apr1:$apr1$salt$Xxd1irWT9ycqoYxGFn4cb.:a comment
sha256:$5$saltstring$OH4IDuTlsuTYPdED1gsuiRMyTAwNlRWyA6Xr3I4/dQ5
sha512:$6$saltstring$adDbXsJjcDlq2662QPgd.tkSOVmnG9Tt3oXl4HR60SusC3AGjirnDenVZp3DGwLwqy6iYKCzannhaX9DR72nN1
bcrypt:$2y$05$abcdefghijklmnopqrstuuWG29KuyeAicPCJODk1zjyGvyQUU2awu
yescrypt:$y$j75$F5Jx5fExrKuPp53xLKQ..1$6Ttv8PR0mzms/.RLVEgTO2JmLY0FDC7Cfd.UUAxsEO8
plain:{PLAIN}password
sha:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=
ssha:{SSHA}yI6cZwQadOA1e+/f+T+H3eCQQhRzYWx0
empty:
broken:$y$j75$F5Jx5fExrKuPp53xLKQ..1$
";

const KINDS: [&str; 10] =
    ["des", "md5", "apr1", "sha256", "sha512", "bcrypt", "yescrypt", "plain", "sha", "ssha"];

const SERVER: &str = r#"
    server {
        listen 127.0.0.1:%%PORT%%; root %%DIR%%/www;
        auth_basic "closed to $arg_who"; auth_basic_user_file users;
        access_log %%DIR%%/user.log user;
        location /off/ { alias %%DIR%%/www/; auth_basic off; }
        location /asked/ { alias %%DIR%%/www/; auth_basic $arg_realm; }
        location /missing/ { alias %%DIR%%/www/; auth_basic_user_file missing; }
        location /folder/ { alias %%DIR%%/www/; auth_basic_user_file %%DIR%%/www/none/../a/x; }
        location /any/ { alias %%DIR%%/www/; satisfy any; allow 127.0.0.1; deny all; }
        location /any_not/ { alias %%DIR%%/www/; satisfy any; allow 10.0.0.1; deny all; }
        location /all_not/ { alias %%DIR%%/www/; deny all; }
        location /page/ { alias %%DIR%%/www/; error_page 401 /off/page; }
        location /delayed/ { alias %%DIR%%/www/; auth_delay 200ms; }
        location /read/ { alias %%DIR%%/www/; limit_except GET { auth_basic off; deny all; } }
    }"#;

fn start() -> Edge {
    let site = Site::new();
    site.write("users", USERS);
    site.write("www/a", "inside");
    site.write("www/page", "a page");
    Edge::start_in(site, &format!("log_format user \"$uri $remote_user $status\"; {SERVER}"))
}

fn ask(edge: &Edge, path: &str, credentials: &str) -> Response {
    let field = format!("Authorization: Basic {}", base64(credentials.as_bytes()));
    edge.request("GET", path, &[&field], b"")
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = [0, 1, 2].map(|place| u32::from(*group.get(place).unwrap_or(&0)));
        let bits = bits[0] << 16 | bits[1] << 8 | bits[2];
        let letter = |place: usize| LETTERS[(bits >> (18 - 6 * place) & 63) as usize] as char;
        text.extend((0..=group.len()).map(letter));
        text.extend((group.len()..3).map(|_| '='));
    }
    text
}

#[test]
fn every_kind_of_hash() {
    let edge = start();
    for kind in KINDS {
        assert_eq!(ask(&edge, "/a", &format!("{kind}:password")).status, 200, "{kind}");
        for wrong in ["", "Password", "passwor"] {
            assert_eq!(ask(&edge, "/a", &format!("{kind}:{wrong}")).status, 401, "{kind} {wrong}");
        }
    }
    for nobody in ["nobody:password", "broken:", "broken:password", "# names:x", ":", ":password"] {
        assert_eq!(ask(&edge, "/a", nobody).status, 401, "{nobody}");
    }
    let log = edge.error_log();
    for line in
        ["user \"nobody\" was not found in \"", "user \"bcrypt\": password mismatch, client"]
    {
        assert!(log.contains(line), "{line}: {log}");
    }
}

#[test]
fn who_does_not_say_is_asked() {
    let mut edge = start();
    for field in
        ["X: y", "Authorization: Basic", "Authorization: Basic !", "Authorization: Bearer x"]
    {
        let response = edge.request("GET", "/a?who=them", &[field], b"");
        assert_eq!(response.status, 401, "{field}");
        let question = response.headers("www-authenticate");
        assert_eq!(question, ["Basic realm=\"closed to them\""], "{field}");
        assert!(response.text().contains("401 Authorization Required"), "{}", response.text());
    }
    assert_eq!(ask(&edge, "/a", "plain:password").headers("www-authenticate").len(), 0);
    edge.stop();
    let log = edge.site.read("user.log");
    assert!(log.contains("/a plain 200\n") && log.contains("/a - 401\n"), "{log}");
}

#[test]
fn a_realm_may_be_off() {
    let edge = start();
    assert_eq!(edge.get("/off/a").text(), "inside");
    assert_eq!(edge.get("/asked/a?realm=off").text(), "inside");
    assert_eq!(edge.get("/asked/a?realm=on").status, 401);
}

#[test]
fn a_file_that_can_not_be_read_lets_nobody_in() {
    let edge = start();
    assert_eq!(ask(&edge, "/missing/a", "plain:password").status, 403);
    assert_eq!(ask(&edge, "/folder/a", "plain:password").status, 403);
    let log = edge.error_log();
    assert!(log.contains("/missing\" failed (2: No such file or directory)"), "{log}");
    // Who says nothing is asked all the same.
    assert_eq!(edge.get("/missing/a").status, 401);
}

#[test]
fn a_file_that_changed_counts_at_once() {
    let edge = start();
    assert_eq!(ask(&edge, "/a", "new:password").status, 401);
    edge.site.write("users", "new:{PLAIN}password\n");
    assert_eq!(ask(&edge, "/a", "new:password").status, 200);
    assert_eq!(ask(&edge, "/a", "plain:password").status, 401);
}

#[test]
fn several_checks() {
    let edge = start();
    let check = |path: &str, credentials: &str, status: u16, asked: usize| {
        let response = ask(&edge, path, credentials);
        let questions = response.headers("www-authenticate").len();
        assert_eq!((response.status, questions), (status, asked), "{path} {credentials}");
    };
    check("/any/a", "plain:wrong", 200, 0);
    check("/any_not/a", "plain:password", 200, 0);
    check("/any_not/a", "plain:wrong", 401, 1);
    check("/all_not/a", "plain:password", 403, 0);
    check("/read/a", "plain:password", 200, 0);
    assert_eq!(edge.request("DELETE", "/read/a", &[], b"").status, 403);
}

#[test]
fn a_page_of_the_sites_own_asks_too() {
    let edge = start();
    let response = edge.get("/page/a");
    assert_eq!((response.status, response.text()), (401, "a page"));
    assert_eq!(response.headers("www-authenticate").len(), 1);
}

#[test]
fn a_delayed_refusal_is_one() {
    let mut edge = start();
    assert_eq!(ask(&edge, "/delayed/a", "plain:password").status, 200);
    assert_eq!(ask(&edge, "/delayed/a", "plain:wrong").status, 401);
    edge.wait_for_line("error.log", "delaying unauthorized request");
}

/// Guesses at a slow hash wait for their turn, and the others do not wait for them.
#[test]
fn many_guesses_at_once() {
    let edge = start();
    let request = format!(
        "GET /a HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {}\r\n\r\n",
        base64(b"bcrypt:guess")
    );
    let mut guesses: Vec<_> = (0..20).map(|_| edge.connect()).collect();
    for guess in &mut guesses {
        guess.write_all(request.as_bytes()).expect("the request is sent");
    }
    assert_eq!(edge.get("/off/a").status, 200);
    for guess in &mut guesses {
        assert_eq!(read_response(guess, "GET").status, 401);
    }
}
