//! What the demo prints for each event: which rules did what, and what arrived where.

use crate::cli::demo::inbox::Arrived;
use crate::cli::term;
use crate::steps::Live;

/// How many lines of a message are shown.
const LINES_MAX: usize = 8;

/// Prints one event's story.
pub(super) async fn event(live: &Live, name: &str, about: &str, id: &str, arrived: &[Arrived]) -> anyhow::Result<()> {
    println!("{}  {}", term::bold(name), term::dim(about));
    let places = live.store.find_event(id).await?;
    let whys = match places.first() {
        Some(seq) => live.store.whys(*seq).await?,
        None => Vec::new(),
    };
    for why in whys.iter().filter(|why| why.outcome != "missed") {
        println!("  {} {}  {}", term::state(&why.outcome), why.rule, term::dim(&why.note));
    }
    if whys.iter().all(|why| why.outcome == "missed") {
        let is_named = !whys.iter().any(|why| why.rule.is_empty());
        println!("  {}", term::dim(if is_named { "no rule matches it" } else { "no rule names this type" }));
    }
    for one in arrived {
        message(one);
    }
    println!();
    Ok(())
}

/// Prints what arrived at a time, if anything did.
pub(super) fn arrived(at: &str, arrived: &[Arrived]) {
    if !arrived.is_empty() {
        println!("{}", term::dim(at));
        arrived.iter().for_each(message);
        println!();
    }
}

fn message(one: &Arrived) {
    let picture = &one.picture;
    println!("  {} {} · {}", term::good("→"), one.channel, term::safe(&one.destination));
    println!("    ┃ {}", term::bold(&term::safe(&picture.title)));
    let lines: Vec<&String> = picture.text.iter().filter(|line| !line.trim().is_empty()).collect();
    for line in lines.iter().take(LINES_MAX) {
        println!("    ┃ {}", term::safe(line));
    }
    if lines.len() > LINES_MAX {
        println!("    ┃ {}", term::dim(&format!("… {} more lines", lines.len() - LINES_MAX)));
    }
}
