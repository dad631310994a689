//! `test`: somebody's own application with somebody's own suite, nothing of ours in it; and what the
//! exit code, the reports and the log lines say of it.

use anyhow::Result;
use e2e::apps;

use crate::command::{Desk, shipped};

/// A Django project as `startproject` makes it, with one view that counts in its database.
fn own_project(desk: &Desk) -> Result<()> {
    let python = apps::prepared("pybo")?.environment.python();
    desk.write(
        "mysite/manage.py",
        "import os, sys\nfrom django.core.management import execute_from_command_line\n\
         os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n\
         execute_from_command_line(sys.argv)\n",
    )?;
    desk.write("mysite/mysite/__init__.py", "")?;
    desk.write(
        "mysite/mysite/settings.py",
        "import os\nSECRET_KEY = 'own'\nALLOWED_HOSTS = ['127.0.0.1']\nROOT_URLCONF = 'mysite.urls'\n\
         INSTALLED_APPS = ['django.contrib.contenttypes', 'django.contrib.auth']\n\
         DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': os.environ['MY_DATA'] + '/db'}}\n",
    )?;
    desk.write(
        "mysite/mysite/urls.py",
        "from django.contrib.auth.models import User\nfrom django.http import HttpResponse\nfrom django.urls import path\n\
         def home(request):\n    name = request.GET.get('name')\n    if name:\n        User.objects.create(username=name)\n\
         \x20   return HttpResponse(f'{User.objects.count()} users', content_type='text/plain')\n\
         urlpatterns = [path('', home)]\n",
    )?;
    desk.write(
        "mysite/mysite/wsgi.py",
        "import os\nfrom django.core.wsgi import get_wsgi_application\n\
         os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n\
         application = get_wsgi_application()\n",
    )?;
    desk.write(
        "mine.toml",
        format!(
            "about = \"mine\"\n\
             [application]\nfolder = \"mysite\"\napplication = \"mysite.wsgi:application\"\npython = \"{}\"\n\
             prepare = [[\"manage.py\", \"migrate\"]]\nenv = {{ MY_DATA = \"{{data}}\" }}\n\
             [[hop]]\nkind = \"edge\"\n[[hop]]\nkind = \"gateway\"\n\
             [[differs]]\nsuite = \"know*.hurl\"\nbecause = \"nobody has written it yet\"\n",
            python.display()
        ),
    )?;
    desk.write("my/users.hurl", "GET {{base}}/?name=ann\nHTTP 200\n`1 users`\n")?;
    Ok(())
}

#[tokio::test]
async fn an_application_and_a_suite_of_ones_own() -> Result<()> {
    let desk = Desk::new();
    own_project(&desk)?;
    desk.write("my/known.hurl", "# It is to come.\nGET {{base}}/to-come/\nHTTP 200\n")?;
    let reports = ["--junit", "j.xml", "--tap", "t.tap", "--json", "o.json"];
    let test = [&["test", "--topology", "mine.toml", "--suite", "my"], &reports[..]].concat();
    // Each run has a database of its own.
    for _ in 0..2 {
        let ended = desk.run(&test).await?;
        assert_eq!(ended.code, Some(0), "{}", ended.told());
        assert!(ended.out.contains("nobody has written it yet"), "{}", ended.told());
    }
    assert!(desk.read("j.xml")?.contains("<skipped message=\"nobody has written it yet\""));
    let tap = desk.read("t.tap")?;
    assert!(
        tap.contains("\nnot ok 1 ") && tap.contains(" # TODO nobody has written it yet"),
        "{tap}"
    );
    assert!(tap.contains("\nok 2 "), "{tap}");
    let json = desk.json("o.json")?;
    assert_eq!(json["passed"], true);
    assert_eq!(json["counts"]["explained"], 1);
    Ok(())
}

#[tokio::test]
async fn what_fails_is_shown_with_what_every_hop_wrote_of_it() -> Result<()> {
    let desk = Desk::new();
    own_project(&desk)?;
    desk.write("my/none.hurl", "GET {{base}}/?a\nHTTP 200\nGET {{base}}/none\nHTTP 200\n")?;
    let ended = desk.run(&["test", "--topology", "mine.toml", "--suite", "my"]).await?;
    assert_eq!(ended.code, Some(1), "{}", ended.told());
    let lines: Vec<&str> =
        ended.out.lines().filter_map(|line| line.trim_start().strip_prefix("| ")).collect();
    let says = |file: &str, what: &str| {
        lines.iter().any(|line| line.contains(file) && line.contains(what))
    };
    assert!(says("edge-access.log", "\"GET /none HTTP/1.1\" 404"), "{}", ended.told());
    assert!(says("gateway-access.log", "\"GET /none HTTP/1.1\" 404"), "{}", ended.told());
    assert!(says("gateway.log", "GET /none: application"), "{}", ended.told());
    assert!(!lines.iter().any(|line| line.contains("GET /?a ")), "{}", ended.told());
    assert!(ended.out.contains("none.hurl:4: HTTP 200"), "{}", ended.told());
    Ok(())
}

#[tokio::test]
async fn an_explanation_that_explains_nothing_is_a_failure() -> Result<()> {
    let desk = Desk::new();
    own_project(&desk)?;
    desk.write("my/known.hurl", "GET {{base}}/\nHTTP 200\n")?;
    let ended = desk.run(&["test", "--topology", "mine.toml", "--suite", "my"]).await?;
    assert_eq!(ended.code, Some(1), "{}", ended.told());
    assert!(ended.out.contains("it no longer differs: remove it"), "{}", ended.told());
    Ok(())
}

#[tokio::test]
async fn what_can_not_be_run_is_another_exit_code() -> Result<()> {
    let desk = Desk::new();
    own_project(&desk)?;
    let check = async |arguments: &[&str], said: &str| {
        let ended = desk.run(&[&["test", "--topology"], arguments].concat()).await?;
        assert_eq!(ended.code, Some(2), "{}", ended.told());
        assert!(ended.errors.contains(said), "{}", ended.told());
        anyhow::Ok(())
    };
    check(&["none.toml", "--suite", "my"], "cannot read \"none.toml\"").await?;
    check(&["mine.toml"], "there is no folder \"suites/mysite\"").await?;
    check(&["mine.toml", "--suite", "yours"], "cannot read \"yours\"").await?;
    desk.write("broken/a.hurl", "GET {{base}}/\nHTTP 200\n[Asserts]\nstatus is 200\n")?;
    check(&["mine.toml", "--suite", "broken"], "a.hurl:4:").await?;
    let broken = desk.read("mine.toml")?.replace("mysite.wsgi", "mysite.absent");
    desk.write("absent.toml", broken)?;
    check(&["absent.toml", "--suite", "my"], "No module named 'mysite.absent'").await
}

#[tokio::test]
async fn the_shipped_suite_is_found_from_the_shipped_topology() -> Result<()> {
    let desk = Desk::new();
    let ended = desk.run(&["test", "--topology", &shipped("default")]).await?;
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    assert!(ended.out.contains("suites/pybo/login.hurl"), "{}", ended.told());
    Ok(())
}
