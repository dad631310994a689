//! What only tunes nginx's own mechanisms: read, checked, and without effect.

use crate::server::{Edge, Site};

#[test]
fn a_tuned_file_is_taken() {
    let site = Site::new();
    let config = site
        .config(
            "connection_pool_size 512; request_pool_size 4k; server_names_hash_max_size 1024;
             server_names_hash_bucket_size 128; variables_hash_max_size 2048;
             variables_hash_bucket_size 128; map_hash_max_size 4096; map_hash_bucket_size 128;
             types_hash_max_size 2048; types_hash_bucket_size 128;
             server { listen 127.0.0.1:%%PORT%%; output_buffers 2 32k; aio threads; aio_write on;
                read_ahead 0; directio 4m; directio_alignment 512; sendfile_max_chunk 1m;
                postpone_output 1460; send_lowat 0; return 200 ok; }",
        )
        .replace("events { }", "events { multi_accept on; accept_mutex off; accept_mutex_delay 500ms;
            epoll_events 512; worker_aio_requests 32; use epoll; }\nlock_file %%DIR%%/lock; pcre_jit on;
            timer_resolution 100ms; thread_pool more threads=2 max_queue=16; debug_points stop;");
    let edge = Edge::start_whole(site, &config);
    assert_eq!(edge.get("/").text(), "ok");
}

#[test]
fn slips_are_slips_there_too() {
    let check = |line: &str, expected: &str| {
        let site = Site::new();
        site.write(
            "nginx.conf",
            site.config(&format!("{line}\nserver {{ listen 127.0.0.1:%%PORT%%; }}")),
        );
        let output = site.run(&["-t"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{line}: {said}");
    };
    check("postpone_output many;", "\"postpone_output\" directive invalid value in ");
    check("map_hash_max_size 1k;", "\"map_hash_max_size\" directive invalid number in ");
    check("aio often;", "invalid value in ");
    check("directio 1m; directio off;", "\"directio\" directive is duplicate in ");
}
