//! `fanfare mcp`: the commands that only read, as tools of an assistant, by the Model Context Protocol over standard input
//! and output.
//!
//! A tool has no code of its own: its arguments and their schema are those of the command, and a call runs the command as
//! a process, whose output is the answer. So an assistant gets what a person gets, each call reads the files as they are,
//! and one that takes too long can be ended.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, JsonObject, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::{RequestContext, RoleServer, ServiceExt};
use rmcp::transport::stdio;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::cli::{CommandOutcome, runtime};

mod tools;

use tools::{ALL, Tool, command_line};

/// How long a call may take: a backtest plays a month.
const DEADLINE: Duration = Duration::from_secs(300);
/// How many calls run at once; others wait for their turn.
const CALLS_MAX: usize = 2;
/// The most bytes of an answer: an assistant reads all of it.
const ANSWER_MAX: u64 = 200_000;

/// What an assistant reads when it connects.
const INSTRUCTIONS: &str = "Fanfare routes a record label's events to people by rules in YAML. These tools read the rules and \
    change nothing. To answer who is notified if something happens, call `explain` with the name of a sample event or an \
    event in JSON. What a rule does in sentences: `explain` with `plain`.";

/// Sends nothing, changes nothing. `check`, `explain`, `preview`, `test` and `backtest` are the tools.
#[derive(Debug, clap::Args)]
pub(crate) struct Mcp {
    /// What `backtest` plays: a file that `events export` wrote; by default the running server's events
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
}

impl Mcp {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let server = Server { config: config.to_owned(), events: self.events, calls: Semaphore::new(CALLS_MAX) };
        let runtime = runtime(false)?;
        let served = runtime.block_on(async {
            let running = server.serve(stdio()).await.context("the assistant did not connect")?;
            running.waiting().await.context("the connection failed")
        });
        // A read of standard input can't be called off.
        runtime.shutdown_background();
        served.map(|_| CommandOutcome::Good)
    }
}

struct Server {
    config: PathBuf,
    events: Option<PathBuf>,
    calls: Semaphore,
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("fanfare", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, rmcp::ErrorData> {
        Ok(ListToolsResult::with_all_items(ALL.iter().map(Tool::described).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, rmcp::ErrorData> {
        let tool = ALL.iter().find(|tool| tool.name == request.name);
        let tool = tool.ok_or_else(|| rmcp::ErrorData::invalid_params(format!("no tool `{}`", request.name), None))?;
        let answer = self.call(tool, request.arguments.unwrap_or_default()).await;
        Ok(match answer {
            Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Err(error) => CallToolResult::error(vec![ContentBlock::text(format!("{error:#}"))]),
        }
        .into())
    }
}

impl Server {
    async fn call(&self, tool: &Tool, arguments: JsonObject) -> anyhow::Result<String> {
        let line = command_line(tool, arguments, self.events.as_deref())?;
        let _turn = self.calls.acquire().await.context("no more calls")?;
        tokio::time::timeout(DEADLINE, run(&self.config, &line))
            .await
            .with_context(|| format!("`{}` took more than {} seconds", tool.name, DEADLINE.as_secs()))?
    }
}

/// What a command prints. Wrong usage is an error; mistakes that a command finds are an answer.
async fn run(config: &Path, line: &[String]) -> anyhow::Result<String> {
    let mut child = Command::new(program()?)
        .arg("--config")
        .arg(config)
        .args(line)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("the command can't be started")?;
    let (out, talk) = child.stdout.take().zip(child.stderr.take()).context("the command has no output")?;
    let (out, talk, status) = tokio::join!(read(out), read(talk), child.wait());
    let (out, talk) = (out?, talk?);
    match status.context("the command can't be waited for")?.code() {
        Some(0) => Ok(out),
        Some(1) if !out.is_empty() => Ok(out),
        _ => anyhow::bail!("{}", talk.trim_end()),
    }
}

/// This program, even if an upgrade has replaced its file.
fn program() -> anyhow::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe().context("this program doesn't know its own file")
}

/// As much as an answer may have. The rest is never written: the command ends once nobody reads.
async fn read(from: impl AsyncRead + Unpin) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    from.take(ANSWER_MAX + 1).read_to_end(&mut bytes).await.context("the command's output can't be read")?;
    let cut = bytes.len() as u64 > ANSWER_MAX;
    let text = String::from_utf8_lossy(&bytes);
    Ok(if cut { format!("{text}\n… and more: ask for less, such as one rule") } else { text.into_owned() })
}
