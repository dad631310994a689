//! Journeys through the whole chain: edge, gateway, app-host, application, all of them real processes.
//! With `CHAIN_EDGE=nginx` and `CHAIN_GATEWAY=gunicorn` the same journeys go through the real ones.

mod static_file;

mod conditional_and_range;
mod dynamic_page;
mod error_pages;
mod login_and_post;
mod streaming;
mod upload_and_download;

mod gateway_down;
mod graceful_stop;
mod reload;
mod worker_killed;

mod crafted_requests;

mod trace;
