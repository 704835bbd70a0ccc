//! A destination out of YAML, as loading reads it: for channels' own tests.

use fanfare::channels::{self, Channel};
use fanfare::problem::{File, Problems};
use fanfare::yaml::{self, Fields};

/// The channel that `text` (the keys of a destination, `type` among them) describes, and all problems, one a line.
pub fn try_channel(text: &str) -> (Option<Box<dyn Channel>>, Vec<String>) {
    let file = File::new("fanfare.yaml", text);
    let mut problems = Problems::new();
    let node = yaml::read(&file, &mut problems).expect("YAML");
    let mut fields = Fields::of(&node, "destination `x`", &mut problems).expect("a mapping");
    let (kind, _) = fields.required("type", &mut problems).expect("a type");
    let kind = channels::named(&kind).unwrap_or_else(|| panic!("no channel is called `{kind}`"));
    let channel = (kind.parse)(&mut fields, &mut problems);
    fields.finish(&mut problems);
    (channel, problems.iter().map(ToString::to_string).collect())
}

/// The channel, without any problem.
pub fn channel(text: &str) -> Box<dyn Channel> {
    let (channel, problems) = try_channel(text);
    assert_eq!(problems, Vec::<String>::new(), "{text}");
    channel.expect("a channel")
}
