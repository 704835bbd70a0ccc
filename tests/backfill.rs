//! What failed while nobody listened is fetched from its sender: through the front door, against a stand-in of JewelMusic's API
//! that has pages, a limit, errors, and entries that are gone, and sends again what it is asked for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanfare::clock::{VirtualClock, plus};
use fanfare::steps::Bounds;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::app::{App, eventually, json as get, now_s, page_signature, timed_signature};
use crate::support::folder::{CONFIG, EVERYTHING, Folder, SECRET};
use crate::support::http_peer::{Answer, HttpPeer, Recorded};
use crate::support::process::{Process, command};
use crate::support::raw::{exchange, post};

const KEY: &str = "jml_key-0123456789abcdef";

/// One delivery in the sender's log.
#[derive(Clone)]
struct Logged {
    body: String,
    status: &'static str,
    /// What becomes of asking for it.
    when_asked: When,
}

#[derive(Clone, Copy, PartialEq)]
enum When {
    Sends,
    /// Sends with the signature of then, in the SDKs' form.
    SendsAsSignedAt(i64),
    Gone,
    /// Accepts, and fails again.
    FailsAgain,
    Refuses,
}

#[derive(Default)]
struct Sender {
    log: BTreeMap<String, Logged>,
    /// Where it posts to.
    posts_to: Option<std::net::SocketAddr>,
    to_send: Vec<(String, Vec<(&'static str, String)>)>,
    asked: Vec<String>,
}

/// The stand-in: the API, and the sender behind it.
struct StandIn {
    api: HttpPeer,
    sender: Arc<Mutex<Sender>>,
}

impl StandIn {
    async fn start(log: impl IntoIterator<Item = (String, Logged)>) -> Self {
        let sender = Arc::new(Mutex::new(Sender { log: log.into_iter().collect(), ..Sender::default() }));
        let of_api = sender.clone();
        let api = HttpPeer::serving(move |request| of_api.lock().unwrap().answer(request)).await;
        let of_posts = sender.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            loop {
                ticks.tick().await;
                let (to, all) = {
                    let mut sender = of_posts.lock().unwrap();
                    (sender.posts_to, std::mem::take(&mut sender.to_send))
                };
                for (body, headers) in all {
                    let Some(to) = to else { continue };
                    exchange(to, &post("/webhooks/jewelmusic", &headers, body.as_bytes())).await;
                }
            }
        });
        Self { api, sender }
    }

    fn posts_to(&self, webhooks: std::net::SocketAddr) {
        self.sender.lock().unwrap().posts_to = Some(webhooks);
    }

    fn asked(&self) -> Vec<String> {
        self.sender.lock().unwrap().asked.clone()
    }

    /// A folder whose source asks here.
    fn folder(&self, peer: &HttpPeer, keys: &str) -> Folder {
        let api = format!("    api_key: {KEY}\n    api_url: \"{}\"\n{keys}destinations:", self.api.url("/v1"));
        Folder::new(&CONFIG.replace("destinations:", &api), &peer.url("/ledger"), EVERYTHING)
    }
}

impl Sender {
    fn answer(&mut self, request: &Recorded) -> Answer {
        let ok = |data: Value| {
            Answer::status(200).header("X-RateLimit-Remaining", "50").json(&json!({"success": true, "data": data}))
        };
        let error = |status, code: &str| {
            Answer::status(status).json(&json!({"success": false, "error": {"code": code, "message": "no such thing"}}))
        };
        if request.header("authorization") != Some(&format!("Bearer {KEY}")) {
            return error(401, "UNAUTHORIZED");
        }
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let query: BTreeMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).collect();
        let page = |items: Vec<Value>| {
            let number = |name: &str| query[name].parse::<usize>().unwrap();
            let (page, per_page) = (number("page"), number("perPage").min(4));
            let shown: Vec<Value> = items.iter().skip((page - 1) * per_page).take(per_page).cloned().collect();
            let pages = items.len().div_ceil(per_page);
            let more = page < pages;
            ok(json!({"items": shown, "pagination": {"page": page, "totalPages": pages, "hasNext": more}}))
        };
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["webhooks"]) => page(vec![
                json!({"id": "wh_other", "url": "https://other.example/hook"}),
                json!({"id": "wh_1", "url": "https://hooks.label.example/webhooks/jewelmusic"}),
            ]),
            ("GET", ["webhooks", "wh_1", "deliveries"]) => {
                let failed = self.log.iter().filter(|(_, logged)| logged.status == query["status"]);
                let item = |(id, logged): (&String, &Logged)| {
                    json!({"id": id, "eventType": "release.live", "status": logged.status, "attempts": 5,
                        "responseStatus": 503})
                };
                page(failed.map(item).collect())
            }
            ("POST", ["webhooks", "wh_1", "deliveries", id, "redeliver"]) => {
                self.asked.push((*id).to_owned());
                let Some(logged) = self.log.get_mut(*id) else { return error(404, "NOT_FOUND") };
                let signature = match logged.when_asked {
                    When::Gone => return error(404, "NOT_FOUND"),
                    When::Refuses => return error(422, "VALIDATION_ERROR"),
                    When::FailsAgain => return ok(json!({"queued": true})),
                    When::Sends => page_signature(SECRET, logged.body.as_bytes()),
                    When::SendsAsSignedAt(at) => timed_signature(SECRET, at, logged.body.as_bytes()),
                };
                logged.status = "success";
                self.to_send.push((logged.body.clone(), vec![("X-JewelMusic-Signature", signature)]));
                ok(json!({"queued": true}))
            }
            _ => error(404, "NOT_FOUND"),
        }
    }
}

/// An event that was created so long ago.
fn body(id: &str, ago_s: i64) -> String {
    let created = now_s() - ago_s;
    format!(r#"{{"id":"{id}","type":"release.live","created":{created},"data":{{"title":"{id}"}}}}"#)
}

fn failed(number: usize, when_asked: When) -> (String, Logged) {
    let body = body(&format!("evt_{number:03}"), 7_200);
    (format!("del_{number:03}"), Logged { body, status: "failed", when_asked })
}

async fn ended(admin: std::net::SocketAddr) -> Value {
    eventually("the backfill ends", async || {
        let list = get(admin, "/api/v1/backfills").await;
        list.as_array().unwrap().iter().find(|one| one["state"] == "ended").cloned()
    })
    .await
}

async fn events(admin: std::net::SocketAddr) -> usize {
    get(admin, "/api/v1/events?source=jewelmusic&limit=1000").await.as_array().unwrap().len()
}

#[tokio::test]
async fn what_failed_is_sent_again_in_pages_and_what_cannot_be_had_is_named() {
    let peer = HttpPeer::start().await;
    let day = now_s() - 20 * 3600;
    let mut log: Vec<_> = (0..10).map(|number| failed(number, When::Sends)).collect();
    log.push(failed(10, When::SendsAsSignedAt(day)));
    log.push(failed(11, When::Gone));
    log.push(failed(12, When::Refuses));
    log.push(("del_fine".into(), Logged { body: body("evt_fine", 60), status: "success", when_asked: When::Sends }));
    let stand_in = StandIn::start(log).await;
    // Too many calls, errors, nothing, and what is no JSON: each is asked again.
    stand_in.api.answer(Answer::status(429).header("Retry-After", "1"));
    stand_in.api.answer(Answer::status(500)).answer(Answer::close());
    let folder = stand_in.folder(&peer, "");
    let process = Process::start(folder.path()).await;
    stand_in.posts_to(process.webhooks);
    // One of them did arrive, and only its answer was lost.
    let known = body("evt_003", 7_200);
    let signature = ("X-JewelMusic-Signature", page_signature(SECRET, known.as_bytes()));
    exchange(process.webhooks, &post("/webhooks/jewelmusic", &[signature], known.as_bytes())).await;

    let (path, admin) = (folder.path().to_owned(), format!("http://{}", process.admin));
    let run = move || command(&path, &["backfill", "--since", "1d", "--by", "nadia", "--admin", &admin]);
    let (code, printed, said) = tokio::task::spawn_blocking(run).await.unwrap();
    assert_eq!(code, 1, "{printed}{said}");
    assert!(printed.contains("asked the sender for 11 events; 2 events can't be had"), "{printed}{said}");
    assert!(printed.contains("release.live (del_011): it is gone at the sender"), "{printed}");
    assert!(printed.contains("release.live (del_012): 422 VALIDATION_ERROR: no such thing"), "{printed}");
    eventually("all that can be had", async || (events(process.admin).await == 11).then_some(())).await;
    let came = get(process.admin, "/api/v1/events/evt_010").await;
    assert_eq!(came["backfill"]["by"], "nadia", "{came}");
    assert_eq!(get(process.admin, "/api/v1/events/evt_003").await["backfill"], Value::Null, "it came before");
    let (_, shown, _) = shown(folder.path(), process.admin, &["events", "show", "evt_000"]).await;
    assert!(shown.contains("backfilled: nadia asked the sender for it"), "{shown}");
    let (_, audit, _) = self::shown(folder.path(), process.admin, &["audit"]).await;
    assert!(audit.contains("backfilled") && !audit.contains(KEY), "{audit}");
    // Each made one message.
    let told = peer.received(11).await;
    let mut titles: Vec<String> = told.iter().map(Recorded::text).collect();
    titles.sort();
    titles.dedup();
    assert_eq!((titles.len(), told.len()), (11, 11));
    assert!(!process.log().contains(KEY), "the key is in the log");
    assert!(stand_in.asked().iter().all(|id| id != "del_fine"));
}

async fn shown(folder: &Path, admin: std::net::SocketAddr, arguments: &[&str]) -> (i32, String, String) {
    let mut all: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    all.extend(["--admin".into(), format!("http://{admin}")]);
    let folder = folder.to_owned();
    let run = move || command(&folder, &all.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn what_fails_again_is_named_after_the_sender_had_time() {
    let peer = HttpPeer::start().await;
    let stand_in = StandIn::start([failed(0, When::Sends), failed(1, When::FailsAgain)]).await;
    let app = App::start(stand_in.folder(&peer, "    webhook: wh_1\n")).await;
    stand_in.posts_to(app.webhooks);
    let answer = app.ask("POST", "/api/v1/backfills?since=2026-01-01").await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let since = plus(Timestamp::now(), SignedDuration::from_hours(-24));
    assert_eq!(app.ask("POST", &format!("/api/v1/backfills?since={since}")).await.status, 200);
    let ended = ended(app.admin).await;
    assert_eq!(ended["account"], "asked the sender for 2 events; 1 event can't be had", "{ended}");
    assert_eq!(ended["examples"][0], "release.live (del_001): the sender sent it again, and it failed again");
    app.end().await;
}

#[tokio::test]
async fn a_backfill_that_is_killed_goes_on_and_nothing_arrives_twice() {
    let peer = HttpPeer::start().await;
    let stand_in = StandIn::start((0..30).map(|number| failed(number, When::Sends))).await;
    let folder = stand_in.folder(&peer, "    webhook: wh_1\n");
    let process = Process::start(folder.path()).await;
    stand_in.posts_to(process.webhooks);
    let since = plus(Timestamp::now(), SignedDuration::from_hours(-24));
    let path = format!("/api/v1/backfills?since={since}");
    assert_eq!(crate::support::app::ask(process.admin, "POST", &path).await.status, 200);
    eventually("it is under way", async || (stand_in.asked().len() >= 5).then_some(())).await;
    drop(process);
    let process = Process::start(folder.path()).await;
    stand_in.posts_to(process.webhooks);
    let ended = ended(process.admin).await;
    assert_eq!((&ended["failed"], &ended["missing"]), (&Value::Null, &json!(0)), "{ended}");
    // What was sent to the one that was killed is the sender's to send again: here it counts as delivered.
    let mut asked = stand_in.asked();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 30);
}

#[tokio::test]
async fn after_an_absence_a_source_is_asked_by_itself() {
    let peer = HttpPeer::start().await;
    let rules = "rules:\n  - {name: ended, events: fanfare.backfill.ended, actions: [{to: ledger, text: '{{ data.account }}'}]}\n";
    let stand_in = StandIn::start([failed(0, When::Sends), failed(1, When::Gone)]).await;
    let mut folder = stand_in.folder(&peer, "    backfill: auto\n");
    folder.write("rules/main.yaml", rules);
    let now = Timestamp::now();
    let mut apps = 0;
    for at in [plus(now, SignedDuration::from_hours(-5)), now] {
        let app = App::start_with(folder, Bounds::default(), Arc::new(VirtualClock::new(at))).await;
        stand_in.posts_to(app.webhooks);
        apps += 1;
        if apps == 2 {
            // The clock of the test stands still, and the sender's list settles by it.
            let ended = ended(app.admin).await;
            assert_eq!(ended["by"], "fanfare, after an absence", "{ended}");
            assert_eq!(ended["account"], "asked the sender for 1 event; 1 event can't be had");
            eventually("it came", async || (events(app.admin).await == 1).then_some(())).await;
            let told = peer.received(1).await;
            assert!(
                told[0].text().contains("asked the sender for 1 event; 1 event can't be had"),
                "{}",
                told[0].text()
            );
        }
        folder = app.end().await;
    }
}

#[tokio::test]
async fn a_key_that_the_api_does_not_know_ends_it_and_says_so() {
    let peer = HttpPeer::start().await;
    let stand_in = StandIn::start([failed(0, When::Sends)]).await;
    let folder = stand_in.folder(&peer, "");
    let config = std::fs::read_to_string(folder.file("fanfare.yaml")).unwrap();
    folder.write("fanfare.yaml", &config.replace(KEY, "jml_other"));
    let app = App::start(folder).await;
    let since = plus(Timestamp::now(), SignedDuration::from_hours(-24));
    assert_eq!(app.ask("POST", &format!("/api/v1/backfills?since={since}")).await.status, 200);
    assert_eq!(ended(app.admin).await["failed"], "the sender's API does not accept `api_key` (401)");
    let answer = app.ask("POST", &format!("/api/v1/backfills?since={since}&source=jewelmusik")).await;
    assert!(answer.text().contains("did you mean `jewelmusic`?"), "{}", answer.text());
    app.end().await;
}
