//! The demo's terminal: what a person types, and what they saved.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::cli::demo::stage::Stage;
use crate::cli::demo::time::Ahead;
use crate::cli::term;
use crate::problem::nearest;
use crate::source::samples;

/// How often it is looked whether a saved file was taken up.
const LOOK_AT_FILES: Duration = Duration::from_millis(200);

/// Does what the person at the terminal asks. Ends with the input, `q`, or ctrl-c.
pub(super) async fn talk(stage: &Arc<Stage>) -> anyhow::Result<()> {
    println!(
        "Edit a rule or a template, and see the effect here and on the page. Press Enter to send another event, or type"
    );
    println!("  {}  an event", term::dim("release.live, fraud.action_required, …"));
    println!("  {}  to move the clock", term::dim("hour, morning, friday"));
    println!("  {}  to watch a release week", term::dim("week"));
    println!("  {}  or q to end", term::dim("q"));
    let mut lines = lines_of_stdin();
    let mut next = samples::ALL.iter().cycle();
    let (mut look, mut is_typing) = (tokio::time::interval(LOOK_AT_FILES), true);
    loop {
        let line = tokio::select! {
            line = lines.recv(), if is_typing => line,
            _ = look.tick() => {
                stage.tell();
                continue;
            }
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let Some(line) = line else {
            // No terminal: the server runs on until it is asked to end.
            is_typing = false;
            continue;
        };
        match line.trim() {
            "q" | "quit" | "exit" => return Ok(()),
            "" => {
                if stage.takes_up().await {
                    let name = next.next().map_or("release.live", |sample| sample.name);
                    asked(stage, name).await?;
                }
            }
            word => asked_by_name(stage, word).await?,
        }
    }
}

async fn asked(stage: &Arc<Stage>, sample: &str) -> anyhow::Result<()> {
    let _turn = stage.turn.lock().await;
    stage.send(sample, None).await.map(drop)
}

async fn asked_by_name(stage: &Arc<Stage>, word: &str) -> anyhow::Result<()> {
    if let Some(ahead) = Ahead::named(word) {
        let _turn = stage.turn.lock().await;
        return stage.go(ahead).await;
    }
    if word == "week" {
        let _turn = stage.turn.lock().await;
        return stage.play_the_week().await;
    }
    if samples::named(word).is_some() {
        return if stage.takes_up().await { asked(stage, word).await } else { Ok(()) };
    }
    let known = samples::ALL.iter().map(|sample| sample.name).chain(["hour", "morning", "friday", "week"]);
    match nearest(word, known) {
        Some(near) => println!("there is no sample `{word}`; did you mean `{near}`?"),
        None => println!("there is no sample `{word}`"),
    }
    Ok(())
}

/// What the person types, line by line. A thread of its own reads, since reading a terminal can't be called off.
fn lines_of_stdin() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
