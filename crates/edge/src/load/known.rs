//! The names of nginx's directives, so that one the edge lacks can be told from a slip of the pen.
//!
//! Names only. A name that a family takes is found there first and never looked up here.

/// Sorted, for a binary search.
#[rustfmt::skip]
const NGINX: &[&str] = &[
    "absolute_redirect", "accept_mutex", "accept_mutex_delay", "access_log", "add_after_body",
    "add_before_body", "add_header", "add_trailer", "addition_types", "aio", "aio_write", "alias",
    "allow", "ancient_browser", "ancient_browser_value", "api", "auth_basic",
    "auth_basic_user_file", "auth_delay", "auth_http", "auth_request", "auth_request_set",
    "autoindex", "autoindex_exact_size", "autoindex_format", "autoindex_localtime", "break",
    "charset", "charset_map", "charset_types", "chunked_transfer_encoding",
    "client_body_buffer_size", "client_body_in_file_only", "client_body_in_single_buffer",
    "client_body_temp_path", "client_body_timeout", "client_header_buffer_size",
    "client_header_timeout", "client_max_body_size", "connection_pool_size", "create_full_put_path",
    "daemon", "dav_access", "dav_methods", "debug_connection", "debug_points", "default_type",
    "deny", "directio", "directio_alignment", "disable_symlinks", "early_hints", "empty_gif", "env",
    "error_log", "error_page", "etag", "events", "expires", "f4f", "fastcgi_bind",
    "fastcgi_buffer_size", "fastcgi_buffering", "fastcgi_buffers", "fastcgi_busy_buffers_size",
    "fastcgi_cache", "fastcgi_cache_key", "fastcgi_cache_path", "fastcgi_cache_valid",
    "fastcgi_catch_stderr", "fastcgi_connect_timeout", "fastcgi_force_ranges",
    "fastcgi_hide_header", "fastcgi_ignore_client_abort", "fastcgi_ignore_headers", "fastcgi_index",
    "fastcgi_intercept_errors", "fastcgi_keep_conn", "fastcgi_limit_rate",
    "fastcgi_max_temp_file_size", "fastcgi_next_upstream", "fastcgi_next_upstream_timeout",
    "fastcgi_next_upstream_tries", "fastcgi_no_cache", "fastcgi_param", "fastcgi_pass",
    "fastcgi_pass_header", "fastcgi_pass_request_body", "fastcgi_pass_request_headers",
    "fastcgi_read_timeout", "fastcgi_request_buffering", "fastcgi_send_lowat",
    "fastcgi_send_timeout", "fastcgi_socket_keepalive", "fastcgi_split_path_info", "fastcgi_store",
    "fastcgi_store_access", "fastcgi_temp_file_write_size", "fastcgi_temp_path", "geo",
    "geoip_city", "geoip_country", "geoip_org", "geoip_proxy", "grpc_buffer_size",
    "grpc_intercept_errors", "grpc_next_upstream", "grpc_pass", "grpc_set_header",
    "grpc_ssl_certificate", "grpc_ssl_certificate_key", "grpc_ssl_conf_command", "grpc_ssl_name",
    "grpc_ssl_password_file", "grpc_ssl_trusted_certificate", "grpc_ssl_verify", "gunzip", "gzip",
    "gzip_buffers", "gzip_comp_level", "gzip_disable", "gzip_http_version", "gzip_min_length",
    "gzip_proxied", "gzip_static", "gzip_types", "gzip_vary", "hash", "health_check", "http",
    "http2", "http2_body_preread_size", "http2_chunk_size", "http2_max_concurrent_streams", "if",
    "if_modified_since", "ignore_invalid_headers", "image_filter", "include", "index", "internal",
    "ip_hash", "js_content", "js_import", "js_set", "keepalive", "keepalive_disable",
    "keepalive_min_timeout", "keepalive_requests", "keepalive_time", "keepalive_timeout",
    "large_client_header_buffers", "least_conn", "least_time", "limit_conn", "limit_conn_dry_run",
    "limit_conn_log_level", "limit_conn_status", "limit_conn_zone", "limit_except", "limit_rate",
    "limit_rate_after", "limit_req", "limit_req_dry_run", "limit_req_log_level", "limit_req_status",
    "limit_req_zone", "lingering_close", "listen", "load_module", "location", "lock_file",
    "log_format", "log_not_found", "log_subrequest", "mail", "map", "map_hash_bucket_size",
    "map_hash_max_size", "master_process", "match", "max_errors", "max_headers", "max_ranges",
    "memcached_gzip_flag", "memcached_next_upstream", "memcached_pass", "merge_slashes",
    "min_delete_depth", "mirror", "mirror_request_body", "modern_browser", "modern_browser_value",
    "mp4", "msie_padding", "msie_refresh", "multi_accept", "ntlm", "open_file_cache",
    "open_file_cache_errors", "open_file_cache_min_uses", "open_file_cache_valid",
    "open_log_file_cache", "output_buffers", "override_charset", "pcre_jit", "perl", "perl_modules",
    "perl_require", "perl_set", "pid", "port_in_redirect", "post_action", "postpone_output",
    "proxy_bind", "proxy_buffer_size", "proxy_buffering", "proxy_buffers",
    "proxy_busy_buffers_size", "proxy_cache", "proxy_cache_background_update", "proxy_cache_bypass",
    "proxy_cache_convert_head", "proxy_cache_key", "proxy_cache_lock", "proxy_cache_lock_age",
    "proxy_cache_lock_timeout", "proxy_cache_max_range_offset", "proxy_cache_min_uses",
    "proxy_cache_path", "proxy_cache_purge", "proxy_cache_revalidate", "proxy_cache_use_stale",
    "proxy_cache_valid", "proxy_connect_timeout", "proxy_cookie_domain", "proxy_cookie_flags",
    "proxy_cookie_path", "proxy_force_ranges", "proxy_headers_hash_bucket_size",
    "proxy_headers_hash_max_size", "proxy_hide_header", "proxy_http_version",
    "proxy_ignore_client_abort", "proxy_ignore_headers", "proxy_intercept_errors",
    "proxy_limit_rate", "proxy_max_temp_file_size", "proxy_method", "proxy_next_upstream",
    "proxy_next_upstream_timeout", "proxy_next_upstream_tries", "proxy_no_cache", "proxy_pass",
    "proxy_pass_header", "proxy_pass_request_body", "proxy_pass_request_headers",
    "proxy_pass_trailers", "proxy_read_timeout", "proxy_redirect", "proxy_request_buffering",
    "proxy_send_lowat", "proxy_send_timeout", "proxy_set_body", "proxy_set_header",
    "proxy_socket_keepalive", "proxy_ssl_certificate", "proxy_ssl_certificate_cache",
    "proxy_ssl_certificate_key", "proxy_ssl_ciphers", "proxy_ssl_conf_command", "proxy_ssl_crl",
    "proxy_ssl_name", "proxy_ssl_password_file", "proxy_ssl_protocols", "proxy_ssl_server_name",
    "proxy_ssl_session_reuse", "proxy_ssl_trusted_certificate", "proxy_ssl_verify",
    "proxy_ssl_verify_depth", "proxy_store", "proxy_store_access", "proxy_temp_file_write_size",
    "proxy_temp_path", "queue", "quic_retry", "random", "random_index", "read_ahead",
    "real_ip_header", "real_ip_recursive", "recursive_error_pages", "referer_hash_bucket_size",
    "referer_hash_max_size", "request_pool_size", "reset_timedout_connection", "resolver",
    "resolver_timeout", "return", "rewrite", "root", "satisfy", "scgi_buffering", "scgi_buffers",
    "scgi_cache", "scgi_cache_key", "scgi_cache_path", "scgi_cache_valid", "scgi_connect_timeout",
    "scgi_param", "scgi_pass", "scgi_read_timeout", "scgi_request_buffering", "scgi_temp_path",
    "secure_link", "secure_link_md5", "secure_link_secret", "send_lowat", "send_timeout",
    "sendfile", "sendfile_max_chunk", "server", "server_name", "server_name_in_redirect",
    "server_names_hash_bucket_size", "server_names_hash_max_size", "server_tokens", "session_log",
    "set", "set_real_ip_from", "slice", "source_charset", "split_clients", "ssi",
    "ssi_last_modified", "ssi_min_file_chunk", "ssi_silent_errors", "ssi_types", "ssi_value_length",
    "ssl_buffer_size", "ssl_certificate", "ssl_certificate_cache", "ssl_certificate_compression",
    "ssl_certificate_key", "ssl_ciphers", "ssl_client_certificate", "ssl_conf_command", "ssl_crl",
    "ssl_dhparam", "ssl_early_data", "ssl_ecdh_curve", "ssl_engine", "ssl_object_cache_inheritable",
    "ssl_ocsp", "ssl_ocsp_cache", "ssl_ocsp_responder", "ssl_password_file",
    "ssl_prefer_server_ciphers", "ssl_protocols", "ssl_reject_handshake", "ssl_session_cache",
    "ssl_session_ticket_key", "ssl_session_tickets", "ssl_session_timeout", "ssl_stapling",
    "ssl_stapling_file", "ssl_stapling_responder", "ssl_stapling_verify", "ssl_trusted_certificate",
    "ssl_verify_client", "ssl_verify_depth", "state", "status", "sticky", "stream", "stub_status",
    "sub_filter", "sub_filter_last_modified", "sub_filter_once", "sub_filter_types",
    "subrequest_output_buffer_size", "tcp_nodelay", "tcp_nopush", "thread_pool", "timer_resolution",
    "try_files", "tunnel_connect_timeout", "tunnel_next_upstream", "tunnel_next_upstream_timeout",
    "tunnel_next_upstream_tries", "tunnel_pass", "tunnel_read_timeout", "types",
    "types_hash_bucket_size", "types_hash_max_size", "underscores_in_headers", "upstream", "use",
    "user", "userid", "userid_domain", "userid_expires", "userid_flags", "userid_mark",
    "userid_name", "userid_p3p", "userid_path", "userid_service", "uwsgi_connect_timeout",
    "uwsgi_param", "uwsgi_pass", "uwsgi_pass_request_body", "uwsgi_read_timeout",
    "uwsgi_send_timeout", "uwsgi_ssl_certificate", "uwsgi_ssl_certificate_key",
    "uwsgi_ssl_conf_command", "uwsgi_ssl_name", "uwsgi_ssl_password_file",
    "uwsgi_ssl_session_reuse", "uwsgi_ssl_trusted_certificate", "uwsgi_ssl_verify",
    "uwsgi_temp_path", "valid_referers", "variables_hash_bucket_size", "variables_hash_max_size",
    "worker_aio_requests", "worker_connections", "worker_cpu_affinity", "worker_priority",
    "worker_processes", "worker_rlimit_core", "worker_rlimit_nofile", "worker_shutdown_timeout",
    "working_directory", "xclient", "xml_entities", "xslt_stylesheet", "xslt_types", "zone",
];

/// Whether nginx has a directive of this name.
pub(super) fn nginx_has(name: &str) -> bool {
    NGINX.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(NGINX.is_sorted());
        assert!(nginx_has("geo") && nginx_has("xslt_types") && !nginx_has("locaton"));
    }
}
