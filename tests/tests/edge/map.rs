//! `map`: keys, masks, patterns, defaults.

use crate::server::Edge;

const CONF: &str = r#"
map $arg_m $mapped {
    default dflt;
    a A;
    B bb;
    ~^x(.)y$ "got $1";
    ~*^(?<tail>z+)$ n$tail;
    v "$arg_m-v";
    \default escaped;
    include more.map;
}
map $host $named {
    hostnames;
    default none;
    example.org exact;
    *.example.org star;
    .foo.com both;
    www.bar.* trail;
}
map "$arg_a:$arg_b" $two { "1:2" yes; }
map $arg_v $fresh { volatile; 1 one; 2 two; }
server {
    listen 127.0.0.1:%%PORT%%;
    location / { return 200 "$mapped|$two"; }
    location /host { return 200 $named; }
    location /fresh { set $was $fresh; set $args v=2; return 200 "$was $fresh"; }
}
"#;

fn start() -> Edge {
    let site = crate::server::Site::new();
    site.write("more.map", "included yes;\n");
    Edge::start_in(site, CONF)
}

#[test]
fn keys_patterns_and_defaults() {
    let edge = start();
    for (path, expected) in [
        ("/?m=a", "A|"),
        ("/?m=A", "A|"),
        ("/?m=b", "bb|"),
        ("/?m=xQy", "got Q|"),
        ("/?m=ZZ", "nZZ|"),
        ("/?m=v", "v-v|"),
        ("/?m=default", "escaped|"),
        ("/?m=included", "yes|"),
        ("/?a=1&b=2", "dflt|yes"),
        ("/fresh?v=1", "one two"),
    ] {
        assert_eq!(edge.get(path).text(), expected, "{path}");
    }
}

#[test]
fn masks_of_host_names() {
    let edge = start();
    for (host, expected) in [
        ("example.org", "exact"),
        ("EXAMPLE.org.", "exact"),
        ("a.b.example.org:80", "star"),
        ("foo.com", "both"),
        ("x.y.foo.com", "both"),
        ("www.bar.net", "trail"),
        ("bar.net", "none"),
    ] {
        let response = edge.request("GET", "/host", &[&format!("Host: {host}")], b"");
        assert_eq!(response.text(), expected, "{host}");
    }
}
