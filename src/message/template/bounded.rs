//! MiniJinja's text filters and tests, for texts alone: each would write out a list of any size before it looks how large
//! that is, and tests are free however long the text is.

use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, filters, tests};

use crate::message::template::engine::Facts;
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
            texts_alone(name, &args)?;
            if name == "indent" && widens(&args) {
                let detail = format!("`indent` takes at most {INDENT_MAX} spaces");
                return Err(Error::new(ErrorKind::InvalidOperation, detail));
            }
            state.apply_filter(&own, &args)
        });
    }
    env.add_test("\0startingwith", tests::is_startingwith);
    env.add_test("\0endingwith", tests::is_endingwith);
    env.add_test("\0lower", tests::is_lower);
    env.add_test("\0upper", tests::is_upper);
    for name in ["startingwith", "endingwith", "lower", "upper"] {
        let own = format!("\0{name}");
        env.add_test(name, move |state: &mut State<'_, '_>, args: Rest<Value>| -> Result<bool, Error> {
            texts_alone(name, &args)?;
            Facts::of(state)?.pay(args.iter().filter_map(Value::as_str).map(str::len).sum())?;
            state.perform_test(&own, &args)
        });
    }
}

/// Refuses lists and mappings.
fn texts_alone(name: &str, args: &[Value]) -> Result<(), Error> {
    let Some(list) = args.iter().find(|arg| is_list(arg)) else { return Ok(()) };
    let detail = format!("`{name}` needs a text, and this is a {}: use `join`, or a loop", list.kind());
    Err(Error::new(ErrorKind::InvalidOperation, detail))
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
