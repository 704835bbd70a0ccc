//! `links` of a rule or an action: what people can do from its messages. Pure.

use super::Reader;
use crate::delivery::LinkOp;
use crate::problem::Problem;
use crate::rules::At;
use crate::yaml::{Fields, Node, span_of_time};

/// The shortest and the longest mute by a link, in seconds: a longer silence is asked for by who sees what it covers.
const MUTE_MIN_S: u32 = 60;
const MUTE_MAX_S: u32 = 24 * 3600;

impl Reader<'_> {
    /// `none`, or a list of `acknowledge`, `close` and `mute SPAN`, each once.
    pub(super) fn links(&mut self, fields: &mut Fields<'_>) -> Option<At<Vec<LinkOp>>> {
        let place = fields.place_of("links");
        let texts = fields.texts("links", self.problems);
        let place = place?;
        let mut links: Vec<LinkOp> = Vec::new();
        if matches!(texts.as_slice(), [(word, _)] if word == "none") {
            return Some(At { value: links, place });
        }
        for (word, node) in texts {
            let Some(link) = self.link(&word, node) else { continue };
            if links.iter().any(|other| std::mem::discriminant(other) == std::mem::discriminant(&link)) {
                let message = format!("`{word}`: a message has one link of a kind");
                self.problems.push(Problem::error("defined-twice", message).at(&node.place).hint("remove one"));
                continue;
            }
            links.push(link);
        }
        Some(At { value: links, place })
    }

    fn link(&mut self, word: &str, node: &Node) -> Option<LinkOp> {
        let problem = match (word, word.strip_prefix("mute")) {
            ("acknowledge", _) => return Some(LinkOp::Acknowledge),
            ("close", _) => return Some(LinkOp::Close),
            ("none", _) => Problem::error("does-not-fit", "`none` stands alone").hint("write `links: none`"),
            (_, Some(span)) => {
                let seconds = span_of_time(span).and_then(|span| u32::try_from(span.as_secs()).ok());
                let problem = match seconds {
                    Some(seconds) if (MUTE_MIN_S..=MUTE_MAX_S).contains(&seconds) => {
                        return Some(LinkOp::Mute(seconds));
                    }
                    Some(_) => Problem::error("wrong-span", format!("`{word}` is not between 1m and 24h")),
                    None => Problem::error("wrong-span", format!("`{word}` doesn't say for how long")),
                };
                problem.hint("write `mute 1h`")
            }
            _ => Problem::error("wrong-word", format!("`{word}` is nothing that a link does"))
                .suggest(word, ["acknowledge", "close", "mute 1h", "none"]),
        };
        self.problems.push(problem.at(&node.place));
        None
    }
}
