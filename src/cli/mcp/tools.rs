//! The tools: which commands an assistant may run, with which of their arguments. Schema and meaning of an argument are the
//! command's own.

use std::path::Path;

use anyhow::{Context, bail};
use clap::{Arg, ArgAction};
use rmcp::model::{JsonObject, ToolAnnotations};
use serde_json::{Value, json};

use crate::problem::nearest;

/// A command that only reads.
pub(super) struct Tool {
    /// Its name: the command's.
    pub name: &'static str,
    /// When an assistant uses it.
    what: &'static str,
    /// The arguments that it may give, by their long names, positional ones by their ids. None names a file.
    arguments: &'static [&'static str],
    /// Those that must be given.
    required: &'static [&'static str],
    /// What each call has beside them.
    always: &'static [&'static str],
}

/// All of them.
pub(super) const ALL: &[Tool] = &[
    Tool {
        name: "check",
        what: "Report all mistakes in rules and templates, with their lines.",
        arguments: &["strict"],
        required: &[],
        always: &["--rules-only"],
    },
    Tool {
        name: "explain",
        what: "Show who is notified of an event: what each rule does about it, when, to whom, and why others don't act. With \
               `plain` and without an event: what the rules do, in sentences.",
        arguments: &["event", "rule", "only", "body", "source", "plain"],
        required: &[],
        always: &[],
    },
    Tool {
        name: "preview",
        what: "Show how a message looks in a channel, such as slack or email, or at a destination.",
        arguments: &["name", "as", "event", "after", "rule"],
        required: &["name", "as"],
        always: &[],
    },
    Tool {
        name: "test",
        what: "Run the tests of the rules, and report what fails.",
        arguments: &["filter", "coverage"],
        required: &[],
        always: &[],
    },
    Tool {
        name: "backtest",
        what: "Run the rules on events that were received, and compare with what was sent.",
        arguments: &["since", "until", "rule", "show"],
        required: &[],
        always: &[],
    },
];

/// Those whose values name events: samples or JSON. The command takes files too, an assistant doesn't.
const EVENTS: [&str; 2] = ["event", "after"];

impl Tool {
    /// As an assistant gets it.
    pub(super) fn described(&self) -> rmcp::model::Tool {
        let of_command = command(self.name);
        let mut properties = JsonObject::new();
        for name in self.arguments {
            if let Some(argument) = of_command.as_ref().and_then(|command| argument(command, name)) {
                properties.insert((*name).into(), property(name, argument));
            }
        }
        let mut schema = JsonObject::new();
        schema.insert("type".into(), "object".into());
        schema.insert("properties".into(), properties.into());
        schema.insert("required".into(), self.required.into());
        schema.insert("additionalProperties".into(), false.into());
        let annotations = ToolAnnotations::new().read_only(true).destructive(false).idempotent(true).open_world(false);
        rmcp::model::Tool::new(self.name, self.what, schema).with_annotations(annotations)
    }
}

fn command(name: &str) -> Option<clap::Command> {
    crate::cli::command().get_subcommands().find(|command| command.get_name() == name).cloned()
}

fn argument<'c>(command: &'c clap::Command, name: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|argument| argument.get_long().unwrap_or(argument.get_id().as_str()) == name)
}

fn property(name: &str, argument: &Arg) -> Value {
    let help = match EVENTS.contains(&name) {
        true => {
            "A sample such as `fraud.action_required`, an event in JSON, or an own event such as `fanfare.rule.failed`"
                .into()
        }
        false => argument.get_help().map(ToString::to_string).unwrap_or_default(),
    };
    match argument.get_action() {
        ArgAction::SetTrue => json!({"type": "boolean", "description": help}),
        ArgAction::Append => json!({"type": "array", "items": {"type": "string"}, "description": help}),
        _ => {
            let values: Vec<String> =
                argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
            match values.is_empty() {
                true => json!({"type": "string", "description": help}),
                false => json!({"type": "string", "enum": values, "description": help}),
            }
        }
    }
}

/// The command's arguments for a call. Nothing that an assistant writes can become another flag.
pub(super) fn command_line(tool: &Tool, mut given: JsonObject, events: Option<&Path>) -> anyhow::Result<Vec<String>> {
    let command = command(tool.name).with_context(|| format!("there is no command `{}`", tool.name))?;
    let (mut flags, mut positional) = (vec![tool.name.to_owned()], vec!["--".to_owned()]);
    flags.extend(tool.always.iter().map(|always| (*always).to_owned()));
    if let Some(events) = events.filter(|_| tool.name == "backtest") {
        flags.push(format!("--events={}", events.display()));
    }
    for name in tool.arguments {
        let Some(value) = given.remove(*name).filter(|value| !value.is_null()) else {
            if tool.required.contains(name) {
                bail!("`{name}` is missing");
            }
            continue;
        };
        let argument = argument(&command, name).with_context(|| format!("there is no argument `{name}`"))?;
        match (argument.get_action(), value) {
            (ArgAction::SetTrue, Value::Bool(true)) => flags.push(format!("--{name}")),
            (ArgAction::SetTrue, Value::Bool(false)) => {}
            (ArgAction::Append, Value::Array(values)) => {
                for value in values {
                    flags.push(format!("--{name}={}", text(name, value)?));
                }
            }
            (_, value) if argument.is_positional() => positional.push(text(name, value)?),
            (_, value) => flags.push(format!("--{name}={}", text(name, value)?)),
        }
    }
    if let Some(unknown) = given.keys().next() {
        match nearest(unknown, tool.arguments.iter().copied()) {
            Some(near) => bail!("`{}` has no argument `{unknown}`; did you mean `{near}`?", tool.name),
            None => bail!("`{}` has no argument `{unknown}`; it has {}", tool.name, tool.arguments.join(", ")),
        }
    }
    if positional.len() > 1 {
        flags.append(&mut positional);
    }
    Ok(flags)
}

fn text(name: &str, value: Value) -> anyhow::Result<String> {
    let text = match value {
        Value::String(text) => text,
        // An event may come as the object that it is.
        Value::Object(_) | Value::Number(_) => value.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) => bail!("`{name}` takes a text"),
    };
    // What an event says could ask an assistant to read a file for it.
    if EVENTS.contains(&name) && (text == "-" || (!text.trim_start().starts_with('{') && Path::new(&text).exists())) {
        bail!("`{name}` takes the name of a sample or an event in JSON, not a file");
    }
    Ok(text)
}
