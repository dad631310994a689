//! One visit: the page, then everything it names, at once, each once.
//!
//! A stylesheet is read as soon as it is there and adds what it names. Rows keep the page's order
//! whatever order the answers come in: what a stylesheet names stands behind it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use tokio::task::JoinSet;
use url::Url;

use crate::fetch::{Answer, Ask, Browser};
use crate::options::Options;
use crate::profile::shown;
use crate::redirect;
use crate::resources::{Resource, of_page, of_stylesheet};
use crate::story::{Cause, Role, Story};

/// A page that names more than this is not believed.
const MOST_RESOURCES: usize = 1000;

#[derive(Clone, Debug, Serialize)]
pub struct Visit {
    pub number: u32,
    /// Redirects first, then what they led to; the page before what it names.
    pub requests: Vec<Story>,
    /// From the first request to the last byte of the last answer.
    pub total_ms: f64,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

impl Visit {
    /// The page's own answer, at the end of its redirects.
    pub fn page(&self) -> &Story {
        let mut from_the_end = self.requests.iter().rev();
        let page = from_the_end.find(|story| story.role == Role::Document);
        page.expect("a visit begins with a request for the page")
    }
}

/// Every visit asked for, by one browser. Ends early where the page itself can not be fetched.
pub async fn visits(options: &Options) -> Result<Vec<Visit>, reqwest::Error> {
    let browser = Arc::new(Browser::new(options)?);
    let mut visits = Vec::new();
    for number in 1..=options.repeat {
        visits.push(visit(&browser, number, &options.url, options.max_redirects).await);
        if visits.last().is_some_and(|visit| visit.page().error.is_some()) {
            break;
        }
    }
    Ok(visits)
}

/// Which place in the list: the path from the page through stylesheets.
type Place = Vec<usize>;

pub async fn visit(browser: &Arc<Browser>, number: u32, url: &Url, max_redirects: usize) -> Visit {
    let visit_began = Instant::now();
    let ask = Ask {
        role: Role::Document,
        url: url.clone(),
        cause: Cause::Visitor,
        page: None,
        named_in: None,
        visit_began,
    };
    let (document, end) = follow(browser, ask, max_redirects).await;
    let mut gathering = Gathering {
        browser: Arc::clone(browser),
        max_redirects,
        visit_began,
        page: end.clone(),
        seen: [url, &end].into_iter().map(without_fragment).collect(),
        tasks: JoinSet::new(),
        left_out: 0,
    };
    let mut rows: Vec<(Place, Vec<Story>)> = Vec::new();
    gathering.read_page(&document, &end);
    rows.push((Place::new(), stories(document)));
    while let Some(done) = gathering.tasks.join_next().await {
        // A task is neither aborted nor has it a reason to panic; if it does, so does the visit.
        let (place, answers, end) = done.unwrap_or_else(|error| {
            std::panic::resume_unwind(error.into_panic());
        });
        gathering.read_stylesheet(&place, &answers, &end);
        rows.push((place, stories(answers)));
    }
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut notes = Vec::new();
    if gathering.left_out > 0 {
        notes.push(format!(
            "{} more resources are named and were left out: {MOST_RESOURCES} are enough",
            gathering.left_out
        ));
    }
    Visit {
        number,
        requests: rows.into_iter().flat_map(|(_, stories)| stories).collect(),
        total_ms: visit_began.elapsed().as_micros() as f64 / 1000.0,
        notes,
    }
}

struct Gathering {
    browser: Arc<Browser>,
    max_redirects: usize,
    visit_began: Instant,
    page: Url,
    seen: HashSet<Url>,
    tasks: JoinSet<(Place, Vec<Answer>, Url)>,
    left_out: usize,
}

impl Gathering {
    fn read_page(&mut self, answers: &[Answer], address: &Url) {
        let Some(html) = answers.last().and_then(|answer| answer.body.as_deref()) else { return };
        let page = of_page(&String::from_utf8_lossy(html), address);
        let count = page.resources.len();
        for (at, resource) in page.resources.into_iter().enumerate() {
            self.ask(vec![at], resource, Cause::Named(shown(address)), address);
        }
        if !page.names_an_icon
            && let Ok(url) = address.join("/favicon.ico")
        {
            let icon = Resource { role: Role::Icon, url };
            self.ask(vec![count], icon, Cause::Habit, address);
        }
    }

    fn read_stylesheet(&mut self, place: &Place, answers: &[Answer], address: &Url) {
        let Some(answer) = answers.last() else { return };
        let usable = matches!(answer.story.status, Some(200 | 304));
        let Some(css) = answer.body.as_deref().filter(|_| usable) else { return };
        let named = of_stylesheet(&String::from_utf8_lossy(css), address);
        for (at, resource) in named.into_iter().enumerate() {
            let place = place.iter().copied().chain([at]).collect();
            self.ask(place, resource, Cause::Named(shown(address)), address);
        }
    }

    fn ask(&mut self, place: Place, resource: Resource, cause: Cause, named_in: &Url) {
        if !self.seen.insert(resource.url.clone()) {
            return;
        }
        if self.seen.len() > MOST_RESOURCES {
            self.left_out += 1;
            return;
        }
        let browser = Arc::clone(&self.browser);
        let max_redirects = self.max_redirects;
        let ask = Ask {
            role: resource.role,
            url: resource.url,
            cause,
            page: Some(self.page.clone()),
            named_in: Some(named_in.clone()),
            visit_began: self.visit_began,
        };
        self.tasks.spawn(async move {
            let (answers, end) = follow(&browser, ask, max_redirects).await;
            (place, answers, end)
        });
    }
}

/// Fetches, and fetches what that redirects to. The last answer is the end of the way.
async fn follow(browser: &Browser, mut ask: Ask, max_redirects: usize) -> (Vec<Answer>, Url) {
    let mut answers = Vec::new();
    loop {
        let mut answer = browser.fetch(&ask).await;
        let status = answer.story.status.unwrap_or(0);
        let next = match redirect::next(status, answer.location.as_deref(), &ask.url) {
            Ok(Some(_)) if answers.len() == max_redirects => {
                Err(format!("it is redirected more than {max_redirects} times"))
            }
            decided => decided,
        };
        let from = answer.story.url.clone();
        match next {
            Ok(Some(to)) if answer.story.error.is_none() => {
                answers.push(answer);
                ask = Ask { url: to, cause: redirected(&ask, from), ..ask };
            }
            Ok(_) => {
                answers.push(answer);
                return (answers, ask.url);
            }
            Err(why) => {
                answer.story.error.get_or_insert(why);
                answers.push(answer);
                return (answers, ask.url);
            }
        }
    }
}

/// What was asked for by habit stays a habit, wherever it leads.
fn redirected(ask: &Ask, from: String) -> Cause {
    match ask.cause {
        Cause::Habit => Cause::Habit,
        _ => Cause::Redirect(from),
    }
}

fn without_fragment(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_fragment(None);
    url
}

fn stories(answers: Vec<Answer>) -> Vec<Story> {
    answers.into_iter().map(|answer| answer.story).collect()
}
