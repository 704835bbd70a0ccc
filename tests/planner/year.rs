//! A year that leaps, played whole through the planner: 2028 in three zones, with both changes of summer time in each, a digest on
//! every month's last day, business days over Christmas, and months in which nothing came.
//!
//! Each moment is reckoned here by hand from the dates on which the zones change, without a time zone database.

use std::collections::BTreeMap;

use fanfare::event::Item;
use fanfare::planner::{DestinationFacts, Destinations};
use jiff::civil::{Date, date};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::world::World;

const RULES: &str = r#"
holidays: [2028-12-25, 2028-12-26, 2029-01-01]
rules:
  - name: month
    events: played
    actions:
      - {to: berlin, digest: {at: "09:00", month_days: last, timezone: Europe/Berlin}}
      - {to: york, digest: {at: "09:00", month_days: last, timezone: America/New_York}}
      - {to: sydney, digest: {at: "09:00", month_days: last, timezone: Australia/Sydney}}
  - name: night
    events: played
    actions:
      - {to: berlin, digest: {at: "02:30", timezone: Europe/Berlin}}
      - {to: york, digest: {at: "02:30", timezone: America/New_York}}
      - {to: sydney, digest: {at: "02:30", timezone: Australia/Sydney}}
  - name: stuck
    events: submitted
    case: $.data.id
    actions: [{to: berlin, text: stuck, after: 2bd}, {to: berlin, text: soon, at: 5bd before $.data.date}]
  - name: no-statement
    missing: {events: statement, each: month, by: "15 12:00"}
    actions: [{to: berlin, text: none}]
"#;

/// How a zone changes in 2028: its winter's and its summer's hours ahead of UTC, when summer begins and when it ends.
struct Zone {
    winter: i64,
    summer: i64,
    begins: Timestamp,
    ends: Timestamp,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zones() -> BTreeMap<&'static str, Zone> {
    let zone = |winter, begins, ends| Zone { winter, summer: winter + 1, begins: at(begins), ends: at(ends) };
    [
        ("berlin", zone(1, "2028-03-26T01:00:00Z", "2028-10-29T01:00:00Z")),
        ("york", zone(-5, "2028-03-12T07:00:00Z", "2028-11-05T06:00:00Z")),
        // Summer is at the year's end, and ends in April.
        ("sydney", zone(10, "2028-09-30T16:00:00Z", "2028-04-01T16:00:00Z")),
    ]
    .into()
}

impl Zone {
    fn is_summer(&self, at: Timestamp) -> bool {
        match self.begins < self.ends {
            true => self.begins <= at && at < self.ends,
            false => at >= self.begins || at < self.ends,
        }
    }

    /// When a wall shows this: the first time of two, and where it never does, the moment of the jump.
    fn moment(&self, day: Date, minutes: i64) -> Timestamp {
        let days = day.since(date(1970, 1, 1)).unwrap().get_days();
        let with =
            |hours: i64| Timestamp::from_second(i64::from(days) * 86_400 + minutes * 60 - hours * 3_600).unwrap();
        let (in_summer, in_winter) = (with(self.summer), with(self.winter));
        match (self.is_summer(in_summer), self.is_summer(in_winter)) {
            (true, _) => in_summer,
            (false, false) => in_winter,
            (false, true) => self.begins,
        }
    }
}

fn days() -> impl Iterator<Item = Date> {
    let first = date(2028, 1, 1);
    (0..366).map(move |day| first.checked_add(SignedDuration::from_hours(24 * day)).unwrap())
}

/// What is sent: when, the rule, where, and how many events it holds.
type Sent = (Timestamp, String, String, usize);

/// Plays the year: something is played every day at noon in UTC, a statement comes on the tenth of most months.
fn played() -> Vec<Sent> {
    let facts = || DestinationFacts {
        edits: false,
        hours: None,
        closes: false,
        goes_alone: false,
        shows_links: false,
        reports: false,
        reach: None,
        embargo: None,
        fallback: Vec::new(),
        fallback_after: None,
    };
    let places = Destinations {
        named: zones().into_keys().map(|name| (name.to_owned(), facts())).collect(),
        ..Destinations::default()
    };
    let mut world = World::in_zone("rules: []", places, Some("Europe/Berlin"));
    world.now = at("2027-12-31T11:00:00Z");
    world.reload(RULES);
    let mut sent = Vec::new();
    let mut send = |world: &mut World, when: Timestamp, kind: &str, data: serde_json::Value| {
        world.wait_until(when);
        let event = world.event(kind, &format!("{kind}-{when}"), when, data);
        world.put(Item::Event(Box::new(event)));
        world.drain();
        let took = std::mem::take(&mut world.sent).into_iter();
        sent.extend(took.map(|it| (it.due, it.rule, it.destination, it.assignment.events.len())));
        world.deliveries.clear();
    };
    for day in days() {
        let noon = jiff::tz::TimeZone::UTC.to_timestamp(day.at(12, 0, 0, 0)).unwrap();
        if day.day() == 10 && ![2, 6].contains(&day.month()) {
            send(&mut world, noon - SignedDuration::from_hours(1), "statement", json!({}));
        }
        if day == date(2028, 12, 18) {
            send(
                &mut world,
                noon - SignedDuration::from_hours(2),
                "submitted",
                json!({"id": "far", "date": "2029-01-02"}),
            );
        }
        if day == date(2028, 12, 21) {
            send(
                &mut world,
                noon - SignedDuration::from_hours(2),
                "submitted",
                json!({"id": "near", "date": "2029-03-01"}),
            );
        }
        send(&mut world, noon, "played", json!({}));
    }
    // Before the night of 1 January begins in Sydney.
    send(&mut world, at("2028-12-31T15:00:00Z"), "end", json!({}));
    sent
}

#[test]
fn a_leap_year_goes_right_in_three_zones_from_its_first_night_to_its_last() {
    let all = played();
    let of = |rule: &str, to: &str| -> Vec<(Timestamp, usize)> {
        let those = all.iter().filter(|(_, of, at, _)| of == rule && at == to);
        those.map(|(when, _, _, events)| (*when, *events)).collect()
    };
    let mut count = 0;
    for (name, zone) in zones() {
        // Each night's digest holds the noon before it; the first night has none.
        let nights: Vec<(Timestamp, usize)> = days().skip(1).map(|day| (zone.moment(day, 150), 1)).collect();
        assert_eq!(of("night", name), nights, "{name}");
        let mut last = Vec::new();
        for day in days().filter(|day| day.day() == day.days_in_month()) {
            // In New York, noon in UTC is before nine: there the last day of January is in it already.
            let lacks = usize::from(day.month() == 1 && name != "york");
            let events = usize::from(day.days_in_month().unsigned_abs()) - lacks;
            last.push((zone.moment(day, 9 * 60), events));
        }
        assert_eq!(of("month", name), last, "{name}");
        count += nights.len() + last.len();
    }
    assert_eq!(count, 3 * (365 + 12));
    let berlin = zones().remove("berlin").unwrap();
    let feb = of("month", "berlin")[1];
    assert_eq!(feb, (at("2028-02-29T08:00:00Z"), 29), "29 February is the last day");
    assert_eq!(of("night", "berlin")[84].0, at("2028-03-26T01:00:00Z"), "half past two doesn't exist that night");
    assert_eq!(berlin.moment(date(2028, 10, 29), 150), at("2028-10-29T00:30:00Z"), "the first of two");
    assert_eq!(
        of("no-statement", "berlin").into_iter().map(|(when, _)| when).collect::<Vec<_>>(),
        [at("2028-02-15T11:00:00Z"), at("2028-06-15T10:00:00Z"),]
    );
    // 22 December is a Friday; 25 and 26 are holidays, and so is 1 January.
    assert_eq!(
        of("stuck", "berlin").into_iter().map(|(when, _)| when).collect::<Vec<_>>(),
        [at("2028-12-20T10:00:00Z"), at("2028-12-20T23:00:00Z"), at("2028-12-27T10:00:00Z"),]
    );
}
