//! What became of a saved file, in words: what the rules said before and what they say now, or what is wrong.

use std::sync::Arc;

use crate::cli::explain::plain::{Changed, changed};
use crate::cli::term;
use crate::config::Snapshot;
use crate::steps::Live;

/// The most lines of a change that are shown.
const LINES_MAX: usize = 40;

/// What the last change of a file did.
#[derive(Debug, Clone, Default)]
pub(super) struct News {
    /// In one line.
    pub title: String,
    /// What is wrong with the files on disk, if anything is.
    pub report: Option<String>,
    /// The rules whose sentences differ.
    pub rules: Vec<Altered>,
}

/// A rule whose sentences differ.
#[derive(Debug, Clone)]
pub(super) struct Altered {
    /// `new`, `removed` or `changed`.
    pub what: &'static str,
    /// Its name.
    pub name: String,
    /// Its sentences, each with its sign.
    pub lines: Vec<(String, String)>,
}

/// What is known of the files: which are in force, and what is wrong with those on disk.
pub(super) struct Told {
    in_force: Arc<Snapshot>,
    stale: Option<String>,
    /// The news of the last change.
    pub news: Option<News>,
}

impl Told {
    pub(super) fn of(live: &Live) -> Self {
        Self { in_force: live.snapshot.load_full(), stale: (**live.stale.load()).clone(), news: None }
    }

    /// Tells what became of a saved file, once. Whether there was anything to tell.
    pub(super) fn tell(&mut self, live: &Live) -> bool {
        let now = Self::of(live);
        let news = match &now.stale {
            Some(report) if now.stale != self.stale => Some(broken(report)),
            None if now.in_force.hash != self.in_force.hash => Some(changes(&self.in_force, &now.in_force)),
            None if self.stale.is_some() => Some(News { title: in_force(&now.in_force), ..News::default() }),
            _ => None,
        };
        let has_news = news.is_some();
        *self = Self { news: news.or(self.news.take()), ..now };
        if has_news && let Some(news) = &self.news {
            news.print();
        }
        has_news
    }
}

fn broken(report: &str) -> News {
    let title = "your change is not in force: fix this".to_owned();
    News { title, report: Some(report.to_owned()), rules: Vec::new() }
}

fn in_force(snapshot: &Snapshot) -> String {
    format!("your change is in force: {}", term::count(snapshot.rule_count(), "rule", "rules"))
}

fn changes(before: &Snapshot, after: &Snapshot) -> News {
    let mut news = News { title: in_force(after), ..News::default() };
    if let (Some(before), Some(after)) = (&before.rules, &after.rules) {
        let told = |Changed { what, name, lines }| Altered { what, name: String::from(name), lines };
        news.rules = changed(before, after, None).into_iter().map(told).collect();
    }
    if news.rules.is_empty() {
        news.title.push_str("; what the rules say is the same, so a message or a setting changed");
    }
    news
}

impl News {
    fn print(&self) {
        if let Some(report) = &self.report {
            println!("{report}\n\n{}", term::bad(&self.title));
            return crate::cli::out::flush();
        }
        println!("{}", term::good(&self.title));
        for Altered { what, name, lines } in &self.rules {
            println!("  {what}: {}", term::bold(&term::one_line(name)));
            for (sign, line) in lines.iter().filter(|(sign, _)| sign != " ").take(LINES_MAX) {
                let line = format!("    {sign} {line}");
                println!("{}", if sign == "+" { term::good(&line) } else { term::bad(&line) });
            }
        }
        crate::cli::out::flush();
    }
}
