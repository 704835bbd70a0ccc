//! MiniJinja's text filters, for texts alone: each would write out a list of any size before it looks how large that is.

use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, filters};

use crate::message::template::filters::Total;

/// The most blanks that `indent` puts before each line.
const INDENT_MAX: i64 = 100;

/// Puts a guard before each of them. The filter itself stands under a name that no template can write.
pub(crate) fn add(env: &mut Environment<'_>) {
    env.add_filter("\0upper", filters::upper);
    env.add_filter("\0lower", filters::lower);
    env.add_filter("\0title", filters::title);
    env.add_filter("\0capitalize", filters::capitalize);
    env.add_filter("\0trim", filters::trim);
    env.add_filter("\0split", filters::split);
    env.add_filter("\0lines", filters::lines);
    env.add_filter("\0indent", filters::indent);
    env.add_filter("\0format", filters::format);
    for name in ["upper", "lower", "title", "capitalize", "trim", "split", "lines", "indent", "format"] {
        let own = format!("\0{name}");
        env.add_filter(name, move |state: &mut State<'_, '_>, args: Rest<Value>| -> Result<Value, Error> {
            match args.iter().find(|arg| is_list(arg)) {
                Some(list) => Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("`{name}` needs a text, and this is a {}: use `join`, or a loop", list.kind()),
                )),
                None if name == "indent" && widens(&args) => {
                    Err(Error::new(ErrorKind::InvalidOperation, format!("`indent` takes at most {INDENT_MAX} blanks")))
                }
                None => state.apply_filter(&own, &args),
            }
        });
    }
}

/// Whether it is a list or mapping; what keyword arguments are passed in is a mapping too, and never large.
fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable)
        && value.downcast_object_ref::<Total>().is_none()
        && !value.is_kwargs()
}

/// Whether `indent` is asked for more blanks than it takes.
fn widens(args: &[Value]) -> bool {
    let width = |arg: &Value| match arg.is_kwargs() {
        true => arg.get_attr("width").ok().and_then(|width| width.as_i64()),
        false => arg.as_i64(),
    };
    args.iter().skip(1).filter_map(width).any(|width| width > INDENT_MAX)
}
