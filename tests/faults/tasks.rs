//! A main task ends, panics, hangs or fails again and again: it is seen, told, and nothing that was accepted is lost.

use std::sync::Arc;
use std::time::Duration;

use fanfare::clock::{Clock, RealClock, VirtualClock, plus};
use fanfare::delivery::DeliveryId;
use fanfare::steps::alive::Pulse;
use fanfare::steps::progress::Look;
use fanfare::steps::{Bounds, Live, dispatch, plan};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use crate::store::bench::received;
use crate::support::app::{App, event, eventually, live, soon};
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::trap::{Act, Trap};

/// Within this it must be seen that a task ended.
const SEEN_WITHIN: Duration = Duration::from_secs(2);
/// How many main tasks there are.
const TASKS: usize = 13;

/// Everything, and what Fanfare says of its tasks.
const RULES: &str = "rules:
  - {name: everything, events: '*', actions: [{to: ledger, text: '{{ event.id }}'}]}
  - {name: tasks, events: fanfare.task.failed, actions: [{to: ledger, text: 'task {{ data.task }} {{ data.then }}'}]}
";

/// A program whose store can be told to fail, and which waits so long before it says that nothing moves.
async fn trapped(peer: &HttpPeer, patience: Duration) -> (Folder, Arc<Live>, Arc<Trap>) {
    let config = CONFIG.replace("concurrency: 4", "concurrency: 4, timeout: 1s");
    let folder = Folder::new(&config, &peer.url("/ledger"), RULES);
    let mut live = live(&folder, Bounds::default(), Arc::new(RealClock)).await;
    Arc::get_mut(&mut live).unwrap().patience = patience;
    let trap = Trap::before(&mut live);
    (folder, live, trap)
}

/// Waits for a message that says this.
async fn says(peer: &HttpPeer, what: &str) {
    eventually(what, async || peer.requests().iter().any(|request| request.text().contains(what)).then_some(())).await;
}

/// Waits, no longer than is allowed, until it is counted that the task ended.
async fn seen(app: &App, task: &str) {
    let counted = format!("fanfare_task_ends_total{{task=\"{task}\"}}");
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let look = async {
        while !app.live.telemetry.metrics().contains(&counted) {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(SEEN_WITHIN, look).await.unwrap_or_else(|_| panic!("nobody saw that `{task}` ended"));
}

#[tokio::test]
async fn a_task_that_ends_is_seen_and_starts_anew() {
    let peer = HttpPeer::start().await;
    let app = App::start(Folder::new(CONFIG, &peer.url("/ledger"), RULES)).await;
    let known = eventually("all run", async || {
        let names = app.live.tasks.names();
        (names.len() == TASKS).then_some(names)
    })
    .await;
    let ending = ["admin", "store", "webhooks"];
    for task in known.iter().filter(|task| !ending.contains(task)) {
        assert!(app.live.tasks.abort(task));
        assert_eq!(app.send(&event(&format!("evt_{task}"), "release.live")).await.status, 200, "{task}");
        seen(&app, task).await;
        says(&peer, &format!("evt_{task}")).await;
        let ready = app.json("/readyz").await;
        assert_eq!((&ready["tasks_ended"][task], &ready["failed"]), (&1.into(), &false.into()), "{ready}");
    }
    // More within a minute is reported as one.
    says(&peer, &format!("task {} started anew", known.iter().find(|task| !ending.contains(task)).unwrap())).await;
    // Anyone who looks at the files looks again.
    app.folder.write("rules/main.yaml", &RULES.replace("name: tasks", "name: others"));
    eventually("other rules are in force", async || {
        app.live.snapshot.load().rules.as_ref().and_then(|rules| rules.rule("others")).map(drop)
    })
    .await;
    app.end().await;
}

#[tokio::test]
async fn without_a_listener_the_process_ends() {
    for task in ["webhooks", "admin"] {
        let peer = HttpPeer::start().await;
        let app = App::start(Folder::new(CONFIG, &peer.url("/ledger"), RULES)).await;
        assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
        assert!(eventually("it runs", async || app.live.tasks.abort(task).then_some(true)).await);
        let why = tokio::time::timeout(SEEN_WITHIN, app.live.failed()).await.expect("nobody saw it").to_owned();
        assert!(why.contains(task), "{why}");
        assert_eq!(Pulse::default().unwell(&app.live).await, Some(why), "and the heartbeat stays away");
        if task == "webhooks" {
            let ready = app.ask("GET", "/readyz").await;
            assert_eq!((ready.status, &ready.json()["failed"]), (503, &true.into()));
        }
        let folder = app.end().await;
        let app = App::start(folder).await;
        says(&peer, "evt_1").await;
        // What ended before is reported by the next.
        says(&peer, &format!("task {task} the process ended")).await;
        app.end().await;
    }
}

#[tokio::test]
async fn without_one_of_the_stores_threads_the_process_ends_and_nothing_accepted_is_lost() {
    let peer = HttpPeer::start().await;
    let mut folder = Folder::new(CONFIG, &peer.url("/ledger"), RULES);
    let threads = live(&folder, Bounds::default(), Arc::new(RealClock)).await.store.threads();
    assert_eq!(threads.len(), 4);
    for thread in threads {
        let app = App::start(folder).await;
        assert_eq!(app.send(&event(&format!("evt_{thread}"), "release.live")).await.status, 200);
        app.live.store.end_thread(thread);
        let why = tokio::time::timeout(SEEN_WITHIN, app.live.failed()).await.expect("nobody saw it").to_owned();
        assert!(why.contains(thread), "{why}");
        folder = app.end().await;
        let app = App::start(folder).await;
        says(&peer, &format!("evt_{thread}")).await;
        folder = app.end().await;
    }
}

#[tokio::test]
async fn a_step_that_panics_starts_anew_and_goes_on() {
    for (verb, task) in [("lease", "plan"), ("waiting_destinations", "dispatch"), ("claim", "dispatch")] {
        let peer = HttpPeer::start().await;
        let (folder, live, trap) = trapped(&peer, Duration::from_secs(60)).await;
        let app = App::start_live(folder, live).await;
        trap.set(verb, Act::PanicsOnce);
        assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
        says(&peer, "evt_1").await;
        seen(&app, task).await;
        says(&peer, &format!("task {task} started anew")).await;
        assert_eq!(app.ask("GET", "/readyz").await.status, 200);
        app.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_panics_beside_a_round_of_planning_is_seen_and_planning_starts_anew() {
    let peer = HttpPeer::start().await;
    let (folder, live, trap) = trapped(&peer, Duration::from_secs(60)).await;
    let app = App::start_live(folder, live).await;
    assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
    says(&peer, "evt_1").await;
    trap.set("load", Act::Hangs);
    assert_eq!(app.send(&event("evt_2", "release.live")).await.status, 200);
    eventually("a round is under way", async || (trap.hung() > 0).then_some(())).await;
    // The planner itself asks for nothing now: what asks for the lease is what prolongs it.
    trap.set("lease", Act::PanicsOnce);
    seen(&app, "plan").await;
    trap.clear();
    says(&peer, "evt_2").await;
    says(&peer, "task plan started anew").await;
    app.end().await;
}

#[tokio::test]
async fn a_reload_that_a_signal_asks_for_and_that_panics_is_seen_and_reloading_goes_on() {
    let peer = HttpPeer::start().await;
    let (folder, live, trap) = trapped(&peer, Duration::from_secs(60)).await;
    let app = App::start_live(folder, live).await;
    eventually("it runs", async || (app.live.tasks.names().len() == TASKS).then_some(())).await;
    trap.set("tell", Act::PanicsOnce);
    app.folder.write("rules/main.yaml", "rules: 17\n");
    app.live.to_reload.notify_one();
    seen(&app, "reload").await;
    app.folder.write("rules/main.yaml", &RULES.replace("name: tasks", "name: others"));
    eventually("the next is in force", async || {
        app.live.snapshot.load().rules.as_ref().and_then(|rules| rules.rule("others")).map(drop)
    })
    .await;
    says(&peer, "task reload started anew").await;
    app.end().await;
}

#[tokio::test]
async fn what_is_under_way_is_carried_out_though_dispatching_ended() {
    let peer = HttpPeer::start().await;
    peer.answer(Answer::hang());
    let (folder, live, _) = trapped(&peer, Duration::from_secs(60)).await;
    let app = App::start_live(folder, live).await;
    assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
    soon("it is under way", peer.received(1)).await;
    assert!(app.live.tasks.abort("dispatch"));
    seen(&app, "dispatch").await;
    // It has its outcome from the attempt itself, long before its lease is over.
    eventually("it ended, and was tried again", async || {
        let metrics = app.live.telemetry.metrics();
        metrics.contains("fanfare_attempts_total{destination=\"ledger\",outcome=\"ambiguous\"} 1").then_some(())
    })
    .await;
    says(&peer, "evt_1").await;
    app.end().await;
}

#[tokio::test]
async fn a_task_that_panics_again_and_again_ends_the_process() {
    let peer = HttpPeer::start().await;
    let (folder, live, trap) = trapped(&peer, Duration::from_secs(60)).await;
    trap.set("lease", Act::Panics);
    let app = App::start_live(folder, live).await;
    assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
    let why = soon("it gives up", app.live.failed()).await.to_owned();
    assert!(why.contains("`plan`") && why.contains("`lease` is a trap"), "{why}");
    let folder = app.end().await;
    let app = App::start(folder).await;
    says(&peer, "evt_1").await;
    says(&peer, "task plan started anew").await;
    app.end().await;
}

#[tokio::test]
async fn a_step_that_hangs_or_fails_on_and_on_is_reported_until_it_moves_again() {
    let mut all = tokio::task::JoinSet::new();
    for (verb, act, step) in [
        ("lease", Act::Hangs, "plan"),
        ("load", Act::Fails, "plan"),
        ("waiting_destinations", Act::Hangs, "dispatch"),
        ("waiting_destinations", Act::Fails, "dispatch"),
    ] {
        all.spawn(stalls(verb, act, step));
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

/// One verb does this, and by that this step stalls.
async fn stalls(verb: &'static str, act: Act, step: &str) {
    let peer = HttpPeer::start().await;
    let (folder, live, trap) = trapped(&peer, Duration::from_secs(5)).await;
    // Before anything is planned: the rules have to be brought in force first.
    trap.set(verb, act);
    let app = App::start_live(folder, live).await;
    assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
    let ready = eventually("nothing moves", async || {
        let ready = app.ask("GET", "/readyz").await;
        (ready.status == 503).then(|| ready.json())
    })
    .await;
    let other = if step == "plan" { "dispatch" } else { "plan" };
    assert_eq!((&ready[step], &ready[other]), (&"stalled".into(), &"moves".into()), "{verb} {act:?}: {ready}");
    assert_eq!(ready["store"], "commits", "{ready}");
    let why = Pulse::default().unwell(&app.live).await.expect("the heartbeat stays away");
    assert_eq!(why.contains("is a trap"), act == Act::Fails, "{verb} {act:?}: {why}");
    assert!(app.live.telemetry.metrics().contains(&format!("fanfare_stalled{{step=\"{step}\"}} 1")));
    trap.clear();
    says(&peer, "evt_1").await;
    eventually("it is ready again", async || (app.ask("GET", "/readyz").await.status == 200).then_some(())).await;
    app.end().await;
}

/// Looks now, `seconds` after the last look, while dispatching claims what there is; whether each step moves.
async fn looks_after(look: &mut Look, live: &Live, seconds: u64) -> (bool, bool) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
    live.progress.claimed();
    look.look(live).await;
    let stalls = live.progress.stalls();
    let moves = |step| !stalls.iter().any(|stall| stall.step == step);
    (moves("plan"), moves("dispatch"))
}

const MOVES: (bool, bool) = (true, true);

/// What the steps share, on a store in memory, and the clock that they go by.
async fn by_hand(config: &str, rules: &str) -> (Folder, Arc<Live>, VirtualClock) {
    let start: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
    let clock = VirtualClock::new(start);
    let config = config.replace("sqlite:data/fanfare.db", "\"memory:\"");
    let folder = Folder::new(&config, "http://127.0.0.1:9/ledger", rules);
    let live = live(&folder, Bounds::default(), Arc::new(clock.clone())).await;
    (folder, live, clock)
}

async fn append(live: &Live, id: &str) {
    live.store.append(received(id, live.clock.now())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_waits_a_minute_for_planning_has_stalled_unless_it_may_wait() {
    let (_folder, live, clock) = by_hand(CONFIG, EVERYTHING).await;
    let mut look = Look::default();
    let mut after = async |seconds| looks_after(&mut look, &live, seconds).await;
    assert_eq!((after(0).await, after(600).await), (MOVES, MOVES), "nothing waits");
    append(&live, "evt_1").await;
    assert_eq!((after(1).await, after(59).await), (MOVES, MOVES));
    assert_eq!(after(1).await, (false, true), "a minute is over");
    assert!(plan::step(&live, clock.now()).await.unwrap().has_worked());
    assert_eq!(after(1).await, MOVES);
    // A queue that is never empty, but moves.
    for number in 2..10 {
        append(&live, &format!("evt_{number}")).await;
        assert_eq!(after(50).await, MOVES, "{number}");
        assert!(plan::step(&live, clock.now()).await.unwrap().has_worked());
    }
}

#[tokio::test(start_paused = true)]
async fn events_that_wait_for_rules_have_not_stalled() {
    let (_folder, live, _) = by_hand(CONFIG, "rules: [{name: x, evens: '*'}]\n").await;
    let mut look = Look::default();
    append(&live, "evt_1").await;
    for _ in 0..5 {
        assert_eq!(looks_after(&mut look, &live, 60).await, MOVES);
    }
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_came_due_stalls_planning_and_one_that_did_not_does_not() {
    let rules = "rules:\n  - {name: later, events: '*', case: $.data.release_id, actions: [{to: ledger, text: x, after: 1h}]}\n";
    let (_folder, live, clock) = by_hand(CONFIG, rules).await;
    append(&live, "evt_1").await;
    while plan::step(&live, clock.now()).await.unwrap().has_worked() {}
    let mut look = Look::default();
    for _ in 0..5 {
        assert_eq!(looks_after(&mut look, &live, 60).await, MOVES, "it is not due");
    }
    clock.set(plus(clock.now(), SignedDuration::from_hours(1)));
    assert_eq!(looks_after(&mut look, &live, 1).await, MOVES);
    assert_eq!(looks_after(&mut look, &live, 60).await, (false, true));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_is_held_back_has_not_stalled_and_one_that_outlasts_its_lease_has() {
    // A second message is held back by the rate for an hour; in the look of the loop that is a claim of nothing.
    let (_folder, live, clock) = by_hand(&CONFIG.replace("concurrency: 4", "rate: 1/h, burst: 1"), EVERYTHING).await;
    append(&live, "evt_1").await;
    append(&live, "evt_2").await;
    while plan::step(&live, clock.now()).await.unwrap().has_worked() {}
    let mut look = Look::default();
    for _ in 0..5 {
        let _ = dispatch::claim(&live, &std::collections::HashMap::new(), clock.now()).await.unwrap();
        assert_eq!(looks_after(&mut look, &live, 59).await, MOVES);
    }
    let task = tokio::spawn(std::future::pending::<()>()).id();
    live.progress.begun(task, DeliveryId("dlv_1".into()), Duration::from_secs(40));
    assert_eq!(looks_after(&mut look, &live, 59).await, MOVES);
    assert_eq!(looks_after(&mut look, &live, 40).await, MOVES, "it may still be noted that it ended");
    assert_eq!(looks_after(&mut look, &live, 2).await, (true, false));
    assert!(live.progress.stalls()[0].why.contains("dlv_1"));
    live.progress.ended(task);
    assert_eq!(looks_after(&mut look, &live, 2).await, MOVES);
    tokio::time::advance(Duration::from_secs(60)).await;
    look.look(&live).await;
    assert!(live.progress.stalls()[0].why.contains("nothing could be claimed"), "nobody claims any more");
}

#[tokio::test]
async fn it_is_not_ready_where_no_event_could_be_appended_though_other_tables_can_be_written() {
    let peer = HttpPeer::start().await;
    let app = App::start(Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING)).await;
    let head = app.head().await;
    for _ in 0..3 {
        assert_eq!(app.ask("GET", "/readyz").await.status, 200);
    }
    assert_eq!(app.head().await, head, "asking leaves nothing in the inbox");
    let conn = Connection::open(app.folder.file("data/fanfare.db")).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON inbox BEGIN SELECT raise(ABORT, 'no'); END";
    conn.execute_batch(refuse).unwrap();
    assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 503);
    let ready = app.ask("GET", "/readyz").await;
    assert_eq!((ready.status, ready.json()["store"].as_str()), (503, Some("can't commit")));
    conn.execute_batch("DROP TRIGGER refuse").unwrap();
    assert_eq!(app.ask("GET", "/readyz").await.status, 200);
    assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
    says(&peer, "evt_1").await;
    app.end().await;
}
