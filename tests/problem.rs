//! Problems: their places, how they are shown, and what is suggested.

use fanfare::problem::{File, Gravity, Location, Problem, Problems, nearest};

#[test]
fn places_know_their_line_and_column() {
    let file = File::new("a", "é1\r\nzwei\n\n");
    for (at, line, column) in [(0, 1, 1), (2, 1, 2), (5, 2, 1), (9, 2, 5), (10, 3, 1), (11, 4, 1), (99, 4, 1)] {
        let place = Location::new(&file, at..at);
        assert_eq!((place.line(), place.column()), (line, column), "at {at}");
    }
    let first = Location::new(&file, 1..8);
    assert_eq!(first.text(), "é1\r\nzwe", "moved to the border of a character");
    assert_eq!(first.first_line().text(), "é1");
    assert_eq!(first.part(usize::MAX, usize::MAX).text(), "");
}

#[test]
fn a_long_hint_stands_below_and_a_short_one_beside() {
    let file = File::new("a.yaml", "evnts: x\nother: y\n");
    let place = Location::new(&file, 0..5);
    let problem = Problem::error("unknown-key", "no key `evnts`").at(&place);
    assert_eq!(
        problem.clone().hint("did you mean `events`?").render(false),
        "error[unknown-key]: no key `evnts`\n --> a.yaml:1:1\n  |\n1 | evnts: x\n  | ^^^^^ did you mean `events`?"
    );
    let long = "known: `name`, `description`, `events`, `source`, `when`, `case`";
    assert_eq!(
        problem.hint(long).render(false),
        format!(
            "error[unknown-key]: no key `evnts`\n --> a.yaml:1:1\n  |\n1 | evnts: x\n  | ^^^^^\n  |\n  = help: {long}"
        )
    );
    assert_eq!(
        Problem::warning("unused", "nobody uses it").hint("say who").render(false),
        "warning[unused]: nobody uses it\n |\n = help: say who"
    );
}

#[test]
fn two_places_are_shown_together_only_where_they_are_near() {
    let far = File::new("a.yaml", format!("first\n{}last\n", "\n".repeat(5000)));
    let last = Location::new(&far, far.text.len() - 5..far.text.len() - 1);
    let problem = Problem::error("twice", "said twice").at(&last).also(&Location::new(&far, 0..5), "first here");
    let shown = problem.render(false);
    assert!(shown.contains("a.yaml:5002:1") && shown.contains("a.yaml:1:1"), "{shown}");
    assert!(shown.lines().count() < 16, "{shown}");
    let other = File::new("b.yaml", "elsewhere\n");
    let problem = Problem::error("twice", "said twice").at(&last).also(&Location::new(&other, 0..9), "first here");
    let shown = problem.render(false);
    assert!(shown.contains("b.yaml:1:1") && shown.contains("first here"), "{shown}");
}

#[test]
fn a_long_line_is_shown_in_part_or_not_at_all_and_named_with_its_column() {
    let file = File::new("a.yaml", format!("é\n{}MARK{}", "é".repeat(50_000), "x".repeat(50_000)));
    let at = file.text.find("MARK").unwrap();
    let shown = Problem::error("x", "here").at(&Location::new(&file, at..at + 4)).render(false);
    assert_eq!(shown, "error[x]: here\n--> a.yaml:2:50001");
    let file = File::new("a.yaml", format!("é\n{}MARK{}", "é".repeat(2000), "x".repeat(2000)));
    let at = file.text.find("MARK").unwrap();
    let shown = Problem::error("x", "here").at(&Location::new(&file, at..at + 4)).render(false);
    assert!(shown.contains("a.yaml:2:2001") && shown.contains("MARK") && shown.contains("^^^^"), "{shown}");
    assert!(shown.len() < 2000, "{shown}");
}

#[test]
fn a_file_can_not_steer_the_terminal_of_who_reads_about_it() {
    let evil = "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\u{202e}x\r";
    let file = File::new(format!("a{evil}.yaml"), format!("key: {evil}\n"));
    let problem = Problem::error("x", format!("`{evil}` is wrong"))
        .at(&Location::new(&file, 5..6))
        .also(&Location::new(&file, 0..3), evil)
        .hint(format!("not {evil}"));
    for said in [
        problem.render(false),
        problem.to_string(),
        Problem { hint: Some(evil.repeat(9)), ..problem.clone() }.render(false),
    ] {
        assert!(!said.contains(|c: char| c.is_control() && c != '\n') && !said.contains('\u{202e}'), "{said:?}");
    }
}

#[test]
fn problems_sort_by_place_and_are_said_once() {
    let file = File::new("a", "one two three");
    let at = |start: usize, message: &str| Problem::error("x", message).at(&Location::new(&file, start..start + 1));
    let mut problems = Problems::new();
    for problem in [at(4, "b"), at(0, "a"), at(4, "c"), at(4, "b"), Problem::warning("y", "z")] {
        problems.push(problem);
    }
    problems.sort();
    let said: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(said, ["z", "a", "b", "c"]);
    assert_eq!(problems.count(), (3, 1));
    assert_eq!(problems.iter().filter(|problem| problem.gravity == Gravity::Warning).count(), 1);
}

#[test]
fn the_nearest_name_is_near() {
    let known = ["events", "when", "closes_after", "Discord"];
    for (name, near) in [
        ("evnts", Some("events")),
        ("Events", Some("events")),
        ("closes-after", Some("closes_after")),
        ("discord", Some("Discord")),
        ("wehn", Some("when")),
        ("severity", None),
        ("", None),
    ] {
        assert_eq!(nearest(name, known), near, "{name}");
    }
    assert_eq!(nearest(&"x".repeat(1 << 20), known), None, "a long name is never compared letter by letter");
}
