//! Who asks, where a command needs a name: what was said, else whom this machine takes the caller for.

use std::process::{Command, Stdio};

/// Who asks something of a running server.
#[derive(Debug, clap::Args)]
pub(crate) struct Who {
    /// Your name, for the audit list; by default the user of this machine
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Who {
    /// The name: never empty.
    pub(crate) fn name(self) -> String {
        let said = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let variable = |name: &str| std::env::var(name).ok().and_then(said);
        let named = self.by.and_then(said).or_else(|| variable("USER")).or_else(|| variable("LOGNAME"));
        named.or_else(|| printed("id", "-un").and_then(said)).unwrap_or_else(|| {
            let host = variable("HOSTNAME").or_else(|| printed("uname", "-n").and_then(said));
            format!("somebody on {}", host.as_deref().unwrap_or("this machine"))
        })
    }
}

/// What a command prints, if there is one and it goes well: a container may have neither, nor a name for its user.
fn printed(command: &str, argument: &str) -> Option<String> {
    let output = Command::new(command).arg(argument).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
