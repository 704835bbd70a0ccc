//! Conditions as trees that a template can draw: each part with how it came out and what it saw.

use serde_json::{Value, json};

/// The most parts of one tree that are drawn.
const PARTS_MAX: usize = 500;
/// The longest value, in characters.
const VALUE_MAX: usize = 200;

/// The tree of a condition, as a decision keeps it; empty where there is none.
pub(super) fn tree(why: Option<&Value>) -> Value {
    let mut left = PARTS_MAX;
    why.filter(|why| why.is_object()).map(|why| vec![node(why, &mut left)]).into()
}

fn node(why: &Value, left: &mut usize) -> Value {
    *left = left.saturating_sub(1);
    let held = why.get("held").and_then(Value::as_str).unwrap_or_default();
    for (key, label) in [("all", "all of"), ("any", "any of")] {
        if let Some(parts) = why.get(key).and_then(Value::as_array) {
            let mut drawn = Vec::new();
            for part in parts {
                if *left == 0 {
                    break;
                }
                drawn.push(node(part, left));
            }
            return json!({"label": label, "held": held, "parts": drawn});
        }
    }
    if let Some(part) = why.get("not") {
        let part = if *left > 0 { vec![node(part, left)] } else { Vec::new() };
        return json!({"label": "not", "held": held, "parts": part});
    }
    let values = why.get("values").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let seen: Vec<String> = values.iter().map(|value| cut(&value.to_string())).collect();
    json!({
        "path": why.get("path"),
        "test": why.get("test"),
        "seen": if seen.is_empty() { "nothing is there".to_owned() } else { seen.join(", ") },
        "note": why.get("note"),
        "held": held,
        "parts": [],
    })
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
