//! Files that can't be sent where they should go.

use crate::config::load::Whole;
use crate::problem::{Problem, Problems};

/// Files for destinations that take none.
pub(super) fn not_taken(whole: &Whole, problems: &mut Problems) {
    let Some(destinations) = &whole.destinations else { return };
    let rules = whole.rules.rules.iter().filter(|rule| rule.enabled);
    for action in rules.flat_map(|rule| &rule.actions) {
        let Some(attach) = &action.attach else { continue };
        for to in &action.to {
            if destinations.get(&to.value).is_some_and(|destination| !destination.kind.takes_files()) {
                let message = format!("no files can be sent to `{}`: the message says that it is left out", to.value);
                problems.push(
                    Problem::warning("no-file", message)
                        .at(&to.place)
                        .also(&attach.csv.place, "the file")
                        .hint("send it to a mail, in an action of its own"),
                );
            }
        }
    }
}
