//! A real Chromium opens the question list through the chain, logs in and posts a question. What it saw
//! is kept in target/artefacts/.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::chain::{Chain, free_port};
use e2e::hop::Hop;
use e2e::wire::PATIENCE;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use xtask::probe::Address;
use xtask::workspace;

/// A browser and the driver it is steered by.
struct Browser {
    client: Client,
    _driver: Hop,
}

fn installed(places: &[&'static str], package: &str) -> Result<&'static str> {
    match places.iter().find(|place| Path::new(place).is_file()) {
        Some(place) => Ok(place),
        None => bail!("there is no {}: apt-get install {package}", places[0]),
    }
}

impl Browser {
    async fn start(chain: &Chain) -> Result<Browser> {
        let chromium = installed(&["/usr/bin/chromium", "/usr/bin/chromium-browser"], "chromium")?;
        let driver = installed(&["/usr/bin/chromedriver"], "chromium-driver")?;
        let port = free_port()?;
        let mut command = Command::new(driver);
        command.arg(format!("--port={port}"));
        let mut driver =
            Hop::start("chromedriver", command, &chain.scratch.join("chromedriver.log"))?;
        driver.ready(&Address::Tcp(([127, 0, 0, 1], port).into()), "/status").await?;
        let profile = format!("--user-data-dir={}", chain.scratch.join("profile").display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=1100,900",
            &profile,
        ];
        let options = json!({ "binary": chromium, "args": arguments });
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .context("chromium does not start")?;
        Ok(Browser { client, _driver: driver })
    }

    async fn fill_in(&self, field: &str, value: &str) -> Result<()> {
        let name = format!("[name={field}]");
        let field = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(&name)).await?;
        Ok(field.send_keys(value).await?)
    }

    /// Sends the form of the page's main part, and waits until the browser is at `path`.
    async fn submit_and_arrive_at(&self, url: &str) -> Result<()> {
        let button = Locator::Css("main form [type=submit], main form button");
        self.client.find(button).await?.click().await?;
        self.client
            .wait()
            .at_most(PATIENCE)
            .for_url(&url::Url::parse(url)?)
            .await
            .with_context(|| format!("not at {url}"))?;
        Ok(())
    }

    async fn keep_picture(&self, name: &str) -> Result<()> {
        let picture = self.client.screenshot().await?;
        ensure!(picture.starts_with(b"\x89PNG"), "a screenshot is a PNG");
        let folder = workspace::target().join("artefacts");
        std::fs::create_dir_all(&folder)?;
        Ok(std::fs::write(folder.join(name), picture)?)
    }

    async fn text(&self) -> Result<String> {
        Ok(self.client.find(Locator::Css("body")).await?.text().await?)
    }
}

#[tokio::test]
async fn a_visitor_with_a_browser_logs_in_and_posts_a_question() -> Result<()> {
    let chain = Chain::of("pybo").timing().start().await?;
    let browser = Browser::start(&chain).await?;

    browser.client.goto(&chain.url("/pybo/")).await?;
    assert!(browser.text().await?.contains("Question number 300"));
    // The stylesheet was fetched and understood, and so was the script.
    let rules = "return [...document.styleSheets].map(sheet => sheet.cssRules.length)";
    let rules = browser.client.execute(rules, Vec::new()).await?;
    assert!(
        rules.as_array().is_some_and(|sheets| sheets.iter().any(|rules| rules.as_u64() > Some(0))),
        "{rules}"
    );
    browser.keep_picture("question-list.png").await?;

    browser.client.goto(&chain.url("/common/login/")).await?;
    browser.fill_in("username", "alice").await?;
    browser.fill_in("password", "pybo-alice-pw").await?;
    browser.submit_and_arrive_at(&chain.url("/pybo/")).await?;
    assert!(browser.text().await?.contains("alice"));

    browser.client.goto(&chain.url("/pybo/question/create/")).await?;
    browser.fill_in("subject", "Asked from a real browser").await?;
    browser.fill_in("content", "Through edge, gateway and app-host.").await?;
    // The seeded board has 300.
    browser.submit_and_arrive_at(&chain.url("/pybo/301/")).await?;
    assert!(browser.text().await?.contains("Through edge, gateway and app-host."));
    browser.keep_picture("question-posted.png").await?;

    browser.client.clone().close().await?;
    chain.gateway_access_log().line_with("\"POST /pybo/question/create/ HTTP/1.1\" 302 ").await?;
    chain.edge_access_log().line_with("\"GET /static/style.css HTTP/1.1\" 200 ").await?;
    assert_eq!(chain.gateway_access_log().lines_with("/static/"), [""; 0]);
    Ok(())
}
