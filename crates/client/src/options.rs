//! The command line, and nothing that acts on it.

use std::time::Duration;

use clap::Parser;
use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

/// Fetch a page as a browser would, and show which hop answered each of its requests
#[derive(Clone, Debug, Parser)]
#[command(name = "causeway-client", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Options {
    /// The page; `http://` is put before an address without a scheme
    #[arg(value_parser = address)]
    pub url: Url,

    /// Draw the way of the page's request through the hops, and of one static request
    #[arg(long)]
    pub flow: bool,

    /// Print everything known about each request as JSON; with --flow, the hops' shares too
    #[arg(long)]
    pub json: bool,

    /// Visit the page N times, with what a browser keeps in between: cookies, cache, connections
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeat: u32,

    /// Send this header to the page's own origin, instead of the browser's of that name
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub headers: Vec<(HeaderName, HeaderValue)>,

    /// How many redirects of one request are followed
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub max_redirects: usize,

    /// How long one request may take, from sending to the last byte
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub timeout: Duration,

    /// Accept any certificate: expired, self-signed or of another name
    #[arg(long)]
    pub insecure: bool,
}

const EXIT_CODES: &str = "\
Exit status: 0 everything was fetched; 1 the page or something it names was refused (400 and above) or \
could not be fetched whole; 2 the page could not be fetched, or the command line is wrong.
Cookie and authorization values are not printed. NO_COLOR and COLUMNS are honoured.";

/// As an address bar reads it: the scheme may be left out.
pub fn address(text: &str) -> Result<Url, String> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&with_scheme).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(format!("\"{other}\" is not spoken here, only http and https are")),
    }
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("\"NAME: VALUE\" is needed")?;
    let name = name.trim().parse().map_err(|_| format!("\"{name}\" is no header's name"))?;
    let value = value.trim();
    let value = value.parse().map_err(|_| format!("\"{value}\" can not stand in a header"))?;
    Ok((name, value))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("\"{text}\" is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| format!("\"{text}\" is no time that can be waited"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn an_address_needs_no_scheme() {
        assert_eq!(address("localhost:8000/a").unwrap().as_str(), "http://localhost:8000/a");
        assert_eq!(address("https://h").unwrap().as_str(), "https://h/");
        assert_eq!(
            address("ftp://h/").unwrap_err(),
            "\"ftp\" is not spoken here, only http and https are"
        );
        assert!(address("http://").is_err());
    }

    #[test]
    fn headers_and_seconds_are_checked() {
        assert_eq!(header("X-A:  b").unwrap().1, "b");
        assert!(header("no colon").is_err());
        assert!(header("b d: x").is_err());
        assert_eq!(seconds("0.5").unwrap(), Duration::from_millis(500));
        for bad in ["0", "-1", "inf", "NaN", "x"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
