//! The fenced blocks of a page, and what the first line of one says that it is.

use std::ops::Range;

use crate::docs::Page;

/// A fenced block.
#[derive(Debug, Clone)]
pub struct Block {
    /// What stands behind the opening fence.
    pub info: String,
    /// What stands between the fences.
    pub text: String,
    /// Where that is, in the page's text.
    pub span: Range<usize>,
    /// The line of the opening fence, from 1.
    pub line: usize,
}

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `yaml rules`: a whole rules file, without a mistake.
    Rules,
    /// `yaml rules wrong`: one with mistakes; the next block is the report.
    WrongRules,
    /// `yaml rule`: some keys of one rule, which may use the words of the page's `yaml shared`.
    Rule,
    /// `yaml shared`: a rules file whose words the page's short examples use.
    Shared,
    /// `yaml config`: a whole `fanfare.yaml`.
    Config,
    /// `yaml config wrong`: one with mistakes; the next block is the report.
    WrongConfig,
    /// `markdown message EVENT …`: a template; the next block is how it reads with the sample, or the samples.
    Message,
    /// `markdown partial _NAME`: a partial for the page's messages.
    Partial,
    /// `json native CHANNEL EVENT`: a channel's own format for the message before it; the next block is the result.
    Native,
    /// `text report`, `text shows` and `json shows`: what the block before it comes to.
    Output,
    /// `yaml of PATH`: a part of that file, as it stands there.
    Part,
    /// `yaml all of PATH`, and so for JSON and Markdown: all of that file.
    Whole,
    /// `text sent PATH`: everything that the first test of that file sends, as people see it.
    Sent,
    /// `console`: commands behind `$ `, and what they print.
    Console,
    /// `console fails`: the same, and the last one ends with 1.
    ConsoleFails,
    /// `yaml file PATH`, `markdown file PATH`: a file that the reader of a tutorial writes.
    File,
    /// `sh`: commands that are only looked at.
    Shell,
    /// Anything that is no example of ours.
    Other,
}

impl Block {
    /// What it is; a panic where that is nothing known, so that no example goes untried.
    pub fn kind(&self, page: &Page) -> Kind {
        let words: Vec<&str> = self.info.split(' ').collect();
        match words.as_slice() {
            ["yaml", "rules"] => Kind::Rules,
            ["yaml", "rules", "wrong"] => Kind::WrongRules,
            ["yaml", "rule"] => Kind::Rule,
            ["yaml", "shared"] => Kind::Shared,
            ["yaml", "config"] => Kind::Config,
            ["yaml", "config", "wrong"] => Kind::WrongConfig,
            ["markdown", "message", _, ..] => Kind::Message,
            ["markdown", "partial", _] => Kind::Partial,
            ["json", "native", _, _] => Kind::Native,
            ["text", "report"] | ["text" | "json", "shows"] => Kind::Output,
            ["yaml", "of", _] => Kind::Part,
            ["yaml" | "json" | "markdown" | "text", "all", "of", _] => Kind::Whole,
            ["text", "sent", _] => Kind::Sent,
            ["console"] => Kind::Console,
            ["console", "fails"] => Kind::ConsoleFails,
            ["yaml" | "markdown", "file", _] => Kind::File,
            ["sh"] => Kind::Shell,
            ["text" | "ini" | "dockerfile" | "json" | "http" | "yaml" | "sql", "elsewhere"] | ["text"] => Kind::Other,
            _ => panic!("{}:{}: what is a block `{}`?", page.path.display(), self.line, self.info),
        }
    }
}

/// The blocks of a text, in order.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, String, usize, usize)> = None;
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim_end();
        let ticks = bare.len() - bare.trim_start_matches('`').len();
        open = match open {
            None if ticks >= 3 => Some((&bare[..ticks], bare[ticks..].trim().to_owned(), at + line.len(), number + 1)),
            Some((fence, info, start, line)) if bare == fence => {
                blocks.push(Block { info, text: text[start..at].to_owned(), span: start..at, line });
                None
            }
            other => other,
        };
        at += line.len();
    }
    assert!(open.is_none(), "a block is never closed: {open:?}");
    blocks
}
