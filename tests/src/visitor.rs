//! A visitor with cookies who fills in forms, and sends what a browser sends with them: `Origin` with
//! its port. Without that header Django's CSRF check has nothing to compare, and a proxy that loses the
//! port of `Host` goes unnoticed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};

use crate::wire::{Answer, Wire};

pub struct Visitor {
    address: SocketAddr,
    cookies: BTreeMap<String, String>,
}

impl Visitor {
    pub fn of(address: SocketAddr) -> Visitor {
        Visitor { address, cookies: BTreeMap::new() }
    }

    pub async fn get(&mut self, path: &str) -> Result<Answer> {
        self.request("GET", path, String::new(), "").await
    }

    /// Opens the page with the form, takes the token it holds, and posts the fields to the same path.
    pub async fn fill_in(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let page = self.get(path).await?.text();
        let token = hidden_token(&page).with_context(|| format!("no form in {path}: {page}"))?;
        let mut form = format!("csrfmiddlewaretoken={token}");
        for (name, value) in fields {
            write!(form, "&{name}={}", percent_encoded(value))?;
        }
        self.post(path, &form, &format!("http://{}", self.address)).await
    }

    pub async fn post(&mut self, path: &str, form: &str, origin: &str) -> Result<Answer> {
        let fields = format!(
            "Origin: {origin}\r\nReferer: {origin}{path}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n",
            form.len()
        );
        self.request("POST", path, fields, form).await
    }

    async fn request(
        &mut self,
        method: &str,
        path: &str,
        mut fields: String,
        body: &str,
    ) -> Result<Answer> {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            write!(fields, "Cookie: {}\r\n", cookies.join("; "))?;
        }
        let mut wire = Wire::tcp(self.address).await?;
        let host = self.address;
        wire.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n{body}"
        ))
        .await?;
        let answer = wire.answer(method).await?;
        for cookie in answer.head.all("set-cookie") {
            let pair = cookie.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(answer)
    }
}

fn hidden_token(page: &str) -> Option<&str> {
    let (_, after) = page.split_once("name=\"csrfmiddlewaretoken\" value=\"")?;
    Some(after.split_once('"')?.0)
}

fn percent_encoded(value: &str) -> String {
    let mut encoded = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
