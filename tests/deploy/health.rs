//! `fanfare health`, which health checks of containers run.

use crate::support::app::App;
use crate::support::cli::{fanfare, run};
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::{Answer, HttpPeer};

#[tokio::test]
async fn a_server_that_commits_and_moves_is_ready_and_one_that_ends_is_not() {
    let app = App::start(Folder::new(CONFIG, "http://127.0.0.1:9/", EVERYTHING)).await;
    assert_eq!(fanfare(&app, &["health"]).await.good(), "ready\n");
    app.live.store.close().await.unwrap();
    let ran = fanfare(&app, &["health"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (1, "not ready: can't commit\n"));
    app.live.fail("the disk failed".into());
    let ran = fanfare(&app, &["health"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (1, "not ready: it can't continue; its log has the reason\n"));
    app.end().await;
}

#[tokio::test]
async fn what_is_not_fanfare_or_does_not_answer_is_not_ready() {
    let peer = HttpPeer::start().await;
    for (answer, says) in [
        (Answer::status(200), "what answers is not Fanfare"),
        (Answer::status(200).body("{}"), "what answers is not Fanfare"),
    ] {
        peer.answer(answer);
        let ran = run(&[("FANFARE_ADMIN_URL", &peer.url(""))], &["health"]).await;
        assert_eq!(ran.code, 1);
        assert!((ran.out + &ran.err).contains(says));
    }
    let ran = run(&[("FANFARE_ADMIN_URL", "http://127.0.0.1:9")], &["health"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("error: "), "{}", ran.err);
}
