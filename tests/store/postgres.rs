//! What only a server can do: be shared, be away, forget, be somebody else's.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use fanfare::clock::{Clock, RealClock};
use fanfare::delivery::{DeliveryId, Lane, State};
use fanfare::event::{Event, EventId, Item};
use fanfare::pace::Limits;
use fanfare::planner::{End, Plan};
use fanfare::secret::Secret;
use fanfare::store::{Appended, Error, Room, Store, backup, examine, open};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::bench::{at, delivered, delivery, event, event_of, receipt, room, start};
use crate::support::postgres::{self, Server, fresh};

async fn open_at(address: &str) -> Result<Arc<dyn Store>, Error> {
    open(&Secret::new(address), Path::new("")).await
}

/// How many replicas of one store.
async fn replicas(count: usize) -> Vec<Arc<dyn Store>> {
    let address = fresh();
    let mut stores = Vec::new();
    for _ in 0..count {
        stores.push(open_at(&address).await.unwrap());
    }
    stores
}

async fn refusal(address: &str) -> String {
    match open_at(address).await {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it was opened"),
    }
}

/// A plan of these deliveries, all due.
fn plan_of(names: &[String]) -> Plan {
    Plan { deliveries: names.iter().map(|name| delivery(name)).collect(), ..Plan::default() }
}

fn schema_of(address: &str) -> String {
    address.split("search_path%3D").nth(1).unwrap().split('&').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_place_becomes_visible_after_a_later_one() {
    const EACH: usize = 60;
    let stores = replicas(4).await;
    let mut writers = JoinSet::new();
    for (replica, store) in stores[..3].iter().enumerate() {
        for writer in 0..4 {
            let store = store.clone();
            writers.spawn(async move {
                for n in 0..EACH {
                    let id = format!("{replica}_{writer}_{n}");
                    if n % 5 == 0 {
                        store.tell(Item::Event(Box::new(event(&id))), start()).await.unwrap();
                    } else {
                        store.append(event(&id)).await.unwrap();
                    }
                }
            });
        }
    }
    let all = 3 * 4 * EACH;
    let (mut looks, mut seen) = (0, 0);
    while seen < all {
        let entries = stores[3].waiting(start(), 10_000).await.unwrap().entries;
        let seqs: Vec<i64> = entries.iter().map(|entry| entry.seq).collect();
        // Nothing was rolled back, so a hole would be a place that is still to come.
        assert_eq!(seqs, (1..=i64::try_from(seqs.len()).unwrap()).collect::<Vec<_>>());
        assert!(seqs.len() >= seen);
        seen = seqs.len();
        looks += 1;
    }
    writers.join_all().await;
    assert!(looks > 3, "nobody looked while it was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_id_at_three_replicas_at_once_is_one_event() {
    let stores = replicas(3).await;
    for round in 0..20 {
        let mut sends = JoinSet::new();
        for store in &stores {
            let store = store.clone();
            sends.spawn(async move { store.append(event(&format!("evt_{round}"))).await.unwrap() });
        }
        let answers = sends.join_all().await;
        let fresh: Vec<_> = answers.iter().filter(|answer| matches!(answer, Appended::Fresh(_))).collect();
        assert_eq!(fresh.len(), 1, "{answers:?}");
        for answer in &answers {
            let (Appended::Fresh(seq) | Appended::Duplicate { seq, .. }) = answer;
            assert_eq!(*seq, round + 1, "{answers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_claim_at_once_share_the_work_and_the_limits() {
    const CONCURRENCY: u32 = 5;
    let stores = replicas(3).await;
    stores[0].append(event("evt_1")).await.unwrap();
    let lease = stores[0].lease("a", start(), at(60)).await.unwrap().unwrap();
    let names: Vec<String> = (0..40).map(|n| format!("dlv_{n}")).collect();
    stores[0].commit(&lease, plan_of(&names), start()).await.unwrap();
    let mut claimed = BTreeSet::new();
    while claimed.len() < names.len() {
        let mut claiming = JoinSet::new();
        for store in stores.iter().cloned() {
            let limits = Limits { spacing: None, burst: 1, concurrency: CONCURRENCY };
            claiming.spawn(async move {
                let room = Room { limits: limits.clone(), wanted: CONCURRENCY, ..room("slack") };
                let claims = store.claim(start(), &[room]).await.unwrap().claims;
                (store, claims)
            });
        }
        let mut round = 0;
        let mut done = Vec::new();
        for (store, claims) in claiming.join_all().await {
            round += claims.len();
            done.extend(claims.into_iter().map(|claim| (store.clone(), claim)));
        }
        assert!(round > 0 && round <= CONCURRENCY as usize, "{round} under way");
        for (store, claim) in done {
            assert!(claimed.insert(claim.delivery.planned.id.clone()), "{claim:?} was claimed twice");
            store.release(&claim, State::Cancelled, "seen", start()).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_start_at_once_make_the_schema_once() {
    let address = fresh();
    let mut opening = JoinSet::new();
    for _ in 0..5 {
        let address = address.clone();
        opening.spawn(async move { open_at(&address).await.unwrap().append(event("evt_1")).await.unwrap() });
    }
    let answers = opening.join_all().await;
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Appended::Fresh(1))).count(), 1, "{answers:?}");
    assert_eq!(postgres::server().sql(&format!("SELECT count(*) FROM {}.fanfare", schema_of(&address))), "1");
}

/// A store as the first release made it, with what an event left that was answered and not yet notified of.
fn first_release(address: &str) {
    let old = event("evt_old");
    let (at, hash, raw) = (start().as_millisecond(), old.body_hash().cast_signed(), hex::encode(&old.raw));
    let id = hex::encode(Sha256::digest("evt_old"));
    let week = fanfare::store::transitions::week_of(start());
    let rows = format!(
        "INSERT INTO fanfare VALUES (3);
         UPDATE head SET seq = 1; UPDATE planner SET planned = 1;
         INSERT INTO inbox VALUES (1, 0, 'jewelmusic', 'evt_old', 'track.live', {at}, {at}, '', {hash}, '\\x{raw}');
         INSERT INTO ids VALUES ('\\x{id}', 'jewelmusic', 1, {hash}, {week});
         INSERT INTO deliveries (id, event, rule, action, destination, act, lane, due, state, next, attempts, plain, created,
            token, lost) VALUES ('dlv_old', 1, 'live', 'a', 'slack', 'again', 'case_1', {at}, 'due', {at}, 0, false, {at}, 0, 0);
         INSERT INTO contents VALUES (1, '{{\"say\": {{\"text\": \"more\"}}, \"event\": 1}}', NULL);
         INSERT INTO lanes VALUES ('case_1', '{{\"ts\": \"1.2\"}}', true, {at});"
    );
    let steps = [
        include_str!("../../src/store/postgres/0001_inbox.sql"),
        include_str!("../../src/store/postgres/0002_planner.sql"),
        include_str!("../../src/store/postgres/0003_deliveries.sql"),
    ];
    let schema = schema_of(address);
    postgres::server().sql(&format!(
        "SET search_path = {schema}; CREATE TABLE fanfare (schema bigint NOT NULL); {} {rows}",
        steps.join("\n")
    ));
}

#[tokio::test]
async fn a_database_of_the_first_release_opens_and_goes_on() {
    let address = fresh();
    first_release(&address);
    // Those that start at once bring it up to date once.
    let (store, other) = tokio::join!(open_at(&address), open_at(&address));
    let (store, _other) = (store.unwrap(), other.unwrap());
    assert_eq!(store.append(event("evt_old")).await.unwrap(), Appended::Duplicate { seq: 1, conflict: false });
    let claim = store.claim(at(1), &[room("slack")]).await.unwrap().claims.remove(0);
    assert_eq!(claim.delivery.planned.id.as_str(), "dlv_old");
    assert_eq!((claim.receipt.clone(), claim.shown), (Some(receipt("1.2")), true));
    store.settle(&claim, delivered(), at(2)).await.unwrap();
    let lease = store.lease("a", at(2), at(60)).await.unwrap().unwrap();
    let close = Plan { ended: vec![End { lane: Lane("case_1".into()), closed: true }], ..Plan::default() };
    store.commit(&lease, close, at(3)).await.unwrap();
    assert_eq!(store.append(event("evt_new")).await.unwrap(), Appended::Fresh(2));
    let found = examine(&Secret::new(&*address), Path::new("")).await.unwrap();
    assert_eq!(found.schema, found.schema_known);
}

#[tokio::test]
async fn a_newer_schema_and_another_programs_tables_are_refused() {
    let newer = fresh();
    open_at(&newer).await.unwrap().close().await.unwrap();
    postgres::server().sql(&format!("UPDATE {}.fanfare SET schema = 99, oldest = 98", schema_of(&newer)));
    assert!(refusal(&newer).await.contains("made by a newer Fanfare (schema 99)"));
    assert!(examine(&Secret::new(&*newer), Path::new("")).await.unwrap_err().to_string().contains("newer Fanfare"));

    let others = fresh();
    postgres::server().sql(&format!("CREATE TABLE {}.deliveries (what text)", schema_of(&others)));
    assert!(refusal(&others).await.contains("tables of another program"));
    // Refused as a whole: nothing of ours was left there.
    let count = format!("SELECT count(*) FROM pg_tables WHERE schemaname = '{}'", schema_of(&others));
    assert_eq!(postgres::server().sql(&count), "1");
}

#[tokio::test]
async fn a_server_that_would_forget_is_refused() {
    for name in ["fsync", "full_page_writes"] {
        let server = Server::start(&format!("{name} = off"));
        let why = refusal(&server.fresh()).await;
        assert!(why.contains(&format!("`{name}` off")) && why.contains(&format!("set `{name} = on`")), "{why}");
    }
}

#[tokio::test]
async fn a_server_whose_storage_keeps_pages_by_other_means_is_let_in() {
    let server = Server::start("full_page_writes = off");
    let address = server.fresh();
    assert!(refusal(&address).await.contains("add `?pages=managed`"));
    let wrong = refusal(&format!("{address}&pages=whole")).await;
    assert!(wrong.contains("`pages` in the store's address is not `managed`"), "{wrong}");
    let declared = format!("{address}&pages=managed");
    open_at(&declared).await.unwrap().close().await.unwrap();
    let engine = |address: String| async move { examine(&Secret::new(&*address), Path::new("")).await.unwrap().engine };
    let said = engine(declared).await;
    assert!(said.contains("pages kept whole by its file system"), "{said}");

    // Aurora and Neon switch off both.
    for (like, sign) in
        [("Neon", "neon.timeline_id = 'de200bd42b49cc1814412c7e592dd6e9'".to_owned()), ("Aurora", String::new())]
    {
        let server = Server::start(&format!("fsync = off\nfull_page_writes = off\n{sign}"));
        let address = server.fresh();
        if sign.is_empty() {
            let why = refusal(&format!("{address}&pages=managed")).await;
            assert!(why.contains("`fsync` off"), "{why}");
            let named = format!("CREATE FUNCTION {}.aurora_version() RETURNS text LANGUAGE sql", schema_of(&address));
            server.sql(&format!("{named} AS $$SELECT '16.4.1'$$"));
        }
        open_at(&address).await.unwrap().close().await.unwrap();
        let said = engine(address).await;
        assert!(said.ends_with(&format!(", on {like}'s storage")), "{said}");
    }
}

#[tokio::test]
async fn what_only_speaks_as_postgresql_does_is_refused_by_its_name() {
    for (version, name) in [
        ("CockroachDB CCL v25.2.0 (x86_64-pc-linux-gnu)", "this is CockroachDB"),
        ("PostgreSQL 15.12-YB-2025.1.0.0-b0 on x86_64-pc-linux-gnu", "this is YugabyteDB"),
    ] {
        let address = fresh();
        let schema = schema_of(&address);
        let function =
            format!("CREATE FUNCTION {schema}.version() RETURNS text LANGUAGE sql AS $$SELECT '{version}'$$");
        postgres::server().sql(&function);
        let address = address.replace(&schema, &format!("{schema},pg_catalog"));
        let why = refusal(&address).await;
        assert!(why.contains(name) && why.contains("use PostgreSQL, 13 or later"), "{why}");
    }
}

#[tokio::test]
async fn a_program_that_keeps_a_transaction_open_is_named() {
    let server = Server::start("");
    let address = server.fresh();
    open_at(&address).await.unwrap().close().await.unwrap();
    let found = || async { examine(&Secret::new(&*address), Path::new("")).await.unwrap().open };
    assert_eq!(found().await, None);
    let dump = format!("{address}&application_name=pg_dump");
    let config: tokio_postgres::Config = dump.replace("&connections=6", "").parse().unwrap();
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.unwrap();
    assert_eq!(found().await.unwrap().0, "pg_dump");
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(found().await, None);
}

#[tokio::test]
async fn commits_wait_for_the_disk_whatever_the_servers_default() {
    let server = Server::start("synchronous_commit = off\nlog_statement = all\nlog_min_messages = log");
    let store = open_at(&server.fresh()).await.unwrap();
    store.append(event("evt_1")).await.unwrap();
    store.close().await.unwrap();
    server.down("immediate");
    server.up();
    let log = server.log();
    let begun = log.matches("BEGIN ISOLATION LEVEL READ COMMITTED").count();
    let durable = log.matches("SET LOCAL synchronous_commit = on").count();
    assert!(begun > 0 && begun == durable, "{log}");
}

#[tokio::test]
async fn an_address_that_is_wrong_is_refused_without_repeating_it() {
    let cases = [
        ("postgres://u:hunter2@", "names no host"),
        ("postgres://u:hunter2@/db", "names no host"),
        ("postgres://u:hunter2@h:x/db", "can't be read"),
        ("postgres://u:hunter2@h/db?hunter2=1", "can't be read"),
        ("postgres://u:hunter2@h/db?sslmode=hunter2", "`sslmode`"),
        ("postgres://u:hunter2@h/db?connections=hunter2", "`connections`"),
        ("postgresql://u:hunter2@127.0.0.1:1/db", "can't be reached"),
        ("postgres://u:hunter2@127.0.0.1:1/db?sslrootcert=none.pem&sslmode=verify-full", "none.pem"),
    ];
    for (address, expected) in cases {
        let why = refusal(address).await;
        assert!(why.contains(expected), "{address}: {why}");
        assert!(!why.contains("hunt") && !why.contains("er2"), "{why}");
    }
}

#[tokio::test]
async fn tls_is_as_strict_as_the_address_says() {
    let server = Server::start_with_tls("localhost");
    server.sql("ALTER ROLE fanfare PASSWORD 'hunter2'; CREATE SCHEMA tls");
    let ca = std::env::current_dir().unwrap().join("tests/support/tls/ca.pem");
    let at = |host: &str, password: &str, options: &str| {
        let path = ca.display().to_string().replace('/', "%2F");
        let options = options.replace("CA", &path);
        server.tcp(host, &format!("fanfare:{password}"), &format!("options=-csearch_path%3Dtls&{options}"))
    };
    for options in ["sslmode=verify-full&sslrootcert=CA", "sslmode=require&sslrootcert=CA", "sslmode=require", ""] {
        let store =
            open_at(&at("localhost", "hunter2", options)).await.unwrap_or_else(|error| panic!("{options}: {error}"));
        store.probe().await.unwrap();
    }
    // The public authorities don't know this one; and no plain connection is taken.
    for options in ["sslmode=verify-full", "sslmode=disable"] {
        let why = refusal(&at("localhost", "hunter2", options)).await;
        assert!(why.contains("can't be reached") && !why.contains("hunter2"), "{why}");
    }
    let why = refusal(&at("localhost", "wr0ng", "sslmode=require")).await;
    assert!(why.contains("password authentication failed") && !why.contains("wr0ng"), "{why}");
}

#[tokio::test]
async fn a_name_that_the_certificate_does_not_bear_is_refused() {
    let server = Server::start_with_tls("elsewhere");
    server.sql("ALTER ROLE fanfare PASSWORD 'hunter2'");
    let ca = std::env::current_dir().unwrap().join("tests/support/tls/ca.pem").display().to_string();
    let options = format!("sslmode=verify-full&sslrootcert={}", ca.replace('/', "%2F"));
    let why = refusal(&server.tcp("localhost", "fanfare:hunter2", &options)).await;
    assert!(why.contains("certificate"), "{why}");
}

#[tokio::test]
async fn a_task_that_ends_by_itself_is_reported_and_one_that_is_closed_is_not() {
    let server = Server::start("");
    let names = open_at(&server.fresh()).await.unwrap().threads();
    assert_eq!(names.len(), 4);
    for name in names {
        let store = open_at(&server.fresh()).await.unwrap();
        store.end_thread(name);
        let ended = tokio::time::timeout(Duration::from_secs(2), store.ended()).await.expect("nobody saw it");
        assert!(ended.contains(name), "{ended}");
        store.close().await.unwrap();
    }
    let store = open_at(&server.fresh()).await.unwrap();
    store.append(event("evt_1")).await.unwrap();
    for _ in 0..3 {
        store.probe().await.unwrap();
    }
    assert_eq!(store.census().await.unwrap().head, 1, "asking whether it can append leaves nothing");
    store.close().await.unwrap();
    let told = tokio::time::timeout(Duration::from_millis(50), store.ended()).await;
    assert!(told.is_err(), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_unavailable_at_once_and_ends_by_itself() {
    let server = Server::start("");
    let store = open_at(&server.fresh()).await.unwrap();
    store.append(event("evt_1")).await.unwrap();
    server.down("immediate");
    let began = Instant::now();
    assert!(matches!(store.append(event("evt_2")).await, Err(Error::Unavailable(_))));
    assert!(matches!(store.probe().await, Err(Error::Unavailable(_))));
    assert!(matches!(store.waiting(start(), 10).await, Err(Error::Unavailable(_))));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    server.up();
    assert!(matches!(store.append(event("evt_1")).await.unwrap(), Appended::Duplicate { seq: 1, .. }));
    assert!(matches!(store.append(event("evt_2")).await.unwrap(), Appended::Fresh(2)));
    store.close().await.unwrap();
}

/// What the relay does with what passes.
const PASS: u8 = 0;
/// Forwards the next commit, and cuts before its answer.
const CUT: u8 = 1;
/// Forwards nothing any more, and closes nothing.
const HOLD: u8 = 2;

/// Stands between a store and the server. Gives its port.
async fn relay(mode: Arc<AtomicU8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", postgres::server().port())).await.unwrap();
            tokio::spawn(pass(near, far, mode.clone()));
        }
    });
    port
}

async fn pass(mut near: TcpStream, mut far: TcpStream, mode: Arc<AtomicU8>) {
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            count = near.read(&mut asked) => {
                let Ok(count @ 1..) = count else { return };
                if mode.load(Ordering::SeqCst) == HOLD {
                    return std::future::pending().await;
                }
                far.write_all(&asked[..count]).await.unwrap();
                let commits = asked[..count].windows(7).any(|word| word == b"COMMIT\0");
                if commits && mode.swap(PASS, Ordering::SeqCst) == CUT {
                    return until_committed(far).await;
                }
            }
            count = far.read(&mut answered) => {
                let Ok(count @ 1..) = count else { return };
                if near.write_all(&answered[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Reads until the server says that it has committed: what was sent with the commit is answered before it.
async fn until_committed(mut far: TcpStream) {
    let (mut answered, mut said) = (vec![0; 65536], Vec::new());
    while !said.windows(7).any(|word| word == b"COMMIT\0") {
        let count = far.read(&mut answered).await.unwrap();
        assert!(count > 0, "the server has ended the connection");
        said.extend_from_slice(&answered[..count]);
    }
}

/// A store behind a relay.
async fn relayed() -> (Arc<dyn Store>, Arc<AtomicU8>) {
    let mode = Arc::new(AtomicU8::new(PASS));
    let port = relay(mode.clone()).await;
    let schema = schema_of(&fresh());
    let address =
        format!("postgres://fanfare@127.0.0.1:{port}/postgres?sslmode=disable&options=-csearch_path%3D{schema}");
    (open_at(&address).await.unwrap(), mode)
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unavailable_and_its_event_a_duplicate_afterwards() {
    let (store, mode) = relayed().await;
    for round in 0..10 {
        mode.store(CUT, Ordering::SeqCst);
        let id = format!("evt_{round}");
        let answer = store.append(event(&id)).await;
        assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
        let answer = store.append(event(&id)).await.unwrap();
        assert_eq!(answer, Appended::Duplicate { seq: round + 1, conflict: false });
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let (store, mode) = relayed().await;
    mode.store(HOLD, Ordering::SeqCst);
    let began = Instant::now();
    let (appended, read) = tokio::join!(store.append(event("evt_1")), store.waiting(start(), 1));
    assert!(matches!(appended, Err(Error::Unavailable(_))), "{appended:?}");
    assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    mode.store(PASS, Ordering::SeqCst);
    assert_eq!(store.append(event("evt_1")).await.unwrap(), Appended::Fresh(1));
}

#[tokio::test]
async fn text_that_postgres_cannot_hold_comes_back_as_it_was() {
    let store = open_at(&fresh()).await.unwrap();
    for (seq, odd) in ["a\0b", "\0", "\u{10ffff}", "\u{10ffff}0\0\u{10ffff}1", "é\u{202e}'\\"].into_iter().enumerate()
    {
        let place = i64::try_from(seq).unwrap() + 1;
        let odd_event = Event {
            kind: format!("track.{odd}").into(),
            id: EventId(odd.into()),
            raw: odd.as_bytes().into(),
            ..event_of(odd, "x", serde_json::Value::Null)
        };
        assert_eq!(store.append(odd_event.clone()).await.unwrap(), Appended::Fresh(place));
        assert_eq!(store.append(odd_event.clone()).await.unwrap(), Appended::Duplicate { seq: place, conflict: false });
        assert_eq!(store.events(&[place]).await.unwrap(), [(place, odd_event)]);
        assert_eq!(store.find_event(odd).await.unwrap(), [place]);
        let name = format!("dlv_{odd}");
        // One holder after the other.
        let (now, until) = (at(20 * place), at(20 * place + 10));
        let lease = store.lease(odd, now, until).await.unwrap().unwrap();
        assert_eq!(store.lease(odd, now, until).await.unwrap().unwrap(), lease);
        store.commit(&lease, plan_of(std::slice::from_ref(&name)), now).await.unwrap();
        let id = DeliveryId(name);
        assert_eq!(store.cancel(std::slice::from_ref(&id), odd, start()).await.unwrap(), 1);
        assert_eq!(store.delivery(&id).await.unwrap().unwrap().0.last_error.as_deref(), Some(odd));
    }
}

#[tokio::test]
async fn an_examination_finds_what_is_wrong_and_a_copy_is_pg_dumps() {
    let address = fresh();
    let secret = Secret::new(&*address);
    let nothing = examine(&secret, Path::new("")).await.unwrap_err().to_string();
    assert!(nothing.contains("holds nothing of Fanfare"), "{nothing}");

    let store = open_at(&address).await.unwrap();
    for n in 0..3 {
        store.append(event(&format!("evt_{n}"))).await.unwrap();
    }
    let found = examine(&secret, Path::new("")).await.unwrap();
    assert_eq!((found.events, found.faults.len()), (3, 0), "{found:?}");
    assert!(found.engine.starts_with("PostgreSQL 1") && found.bytes > 0, "{found:?}");

    let schema = schema_of(&address);
    let spoil = format!("UPDATE {schema}.inbox SET raw = 'x' WHERE seq = 2; DELETE FROM {schema}.planner");
    postgres::server().sql(&spoil);
    let found = examine(&secret, Path::new("")).await.unwrap();
    let expected =
        ["the planner's row is missing: nothing can be planned", "the body at position 2 was changed on disk"];
    assert_eq!(found.faults, expected);
    assert!(matches!(store.waiting(start(), 10).await.unwrap().entries.len(), 0..=3));

    let copied = backup(&secret, Path::new(""), Path::new("copy")).await.unwrap_err().to_string();
    assert!(copied.contains("pg_dump"), "{copied}");
}

#[tokio::test]
async fn the_stores_time_is_the_servers() {
    let time = open_at(&fresh()).await.unwrap().time().await.unwrap().unwrap();
    let apart = time.duration_since(RealClock.now()).abs();
    assert!(apart.as_secs() < 5, "{apart}");
    assert_eq!(open_at("memory:").await.unwrap().time().await.unwrap(), None);
}
