//! `diff`: two deployments that are the same to everybody are found to be; with which masks is said.

use anyhow::Result;

use crate::command::{Desk, Ended, root, shipped};

async fn diff(desk: &Desk, left: &str, right: &str, app: &str) -> Result<Ended> {
    let app = root().join("apps").join(app).display().to_string();
    let (left, right) = (shipped(left), shipped(right));
    desk.run(&["diff", &left, &right, "--application", &app, "--json", "o.json"]).await
}

#[tokio::test]
async fn a_deployment_agrees_with_itself() -> Result<()> {
    let desk = Desk::new();
    let ended = diff(&desk, "default", "default", "pybo").await?;
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    let compared = desk.json("o.json")?;
    // Whatever is masked is what any two runs differ in, and the application was asked.
    assert!(compared["calls"].as_u64() > Some(50), "{compared:#}");
    let masks = compared["masks"].as_array().into_iter().flatten();
    let masks: Vec<&str> = masks.filter_map(|mask| mask["mask"].as_str()).collect();
    assert!(masks.iter().any(|mask| mask.starts_with("header set-cookie")), "{masks:?}");
    assert!(!masks.contains(&"environ SERVER_SOFTWARE"), "{masks:?}");
    Ok(())
}

#[cfg(feature = "real")]
#[tokio::test]
async fn ours_agree_with_nginx_and_gunicorn() -> Result<()> {
    for app in ["pybo", "flaskr"] {
        let desk = Desk::new();
        let ended = diff(&desk, "default", "nginx-gunicorn", app).await?;
        assert_eq!(ended.code, Some(0), "{app}: {}", ended.told());
        assert!(ended.out.contains("environ SERVER_SOFTWARE"), "{}", ended.told());
    }
    Ok(())
}

#[tokio::test]
async fn two_that_can_not_be_compared() -> Result<()> {
    let desk = Desk::new();
    let text = desk.write(
        "other.toml",
        format!(
            "about = \"another application\"\napplication = \"{}\"\n[[hop]]\nkind = \"gateway\"\n",
            root().join("apps/flaskr").display()
        ),
    )?;
    let ended = desk.run(&["diff", &shipped("default"), &text.display().to_string()]).await?;
    assert_eq!(ended.code, Some(2), "{}", ended.told());
    assert!(ended.errors.contains("name one for both with --application"), "{}", ended.told());
    let mask =
        desk.write("m.toml", "[[mask]]\nheader = \"x\"\nbody = \"y\"\nbecause = \"both\"\n")?;
    let (default, mask) = (shipped("default"), mask.display().to_string());
    let ended = desk.run(&["diff", &default, &default, "--mask", &mask]).await?;
    assert_eq!(ended.code, Some(2), "{}", ended.told());
    assert!(ended.errors.contains("a mask has one of"), "{}", ended.told());
    Ok(())
}
