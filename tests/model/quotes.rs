//! What the reference quotes stands on the page: when that is reworded, the reference is read again.

use std::fs;

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The parts of quotations in the comments of a file, each of which stands on the page as it is.
fn quoted(file: &str) -> Vec<String> {
    let comments = file.lines().map(str::trim).filter(|line| line.starts_with("//"));
    let text: Vec<&str> = comments.map(|line| line.trim_start_matches(['/', '!'])).collect();
    let (text, mut all) = (words(&text.join(" ")), Vec::new());
    for quotation in text.split('"').skip(1).step_by(2) {
        all.extend(quotation.split('…').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()));
    }
    all
}

#[test]
fn what_the_reference_quotes_stands_on_the_page() {
    let page = fs::read_to_string("docs/RULES.md").unwrap();
    let lines: Vec<&str> = page.lines().map(|line| line.trim_start_matches(['|', '-'])).collect();
    let page = words(&lines.join(" "));
    let folder = fs::read_dir("tests/model/reference").unwrap().map(|file| file.unwrap().path());
    let mut count = 0;
    for path in folder.chain(["tests/model/reference.rs".into()]) {
        let file = fs::read_to_string(&path).unwrap();
        for quotation in quoted(&file) {
            count += 1;
            assert!(
                page.contains(&quotation),
                "{} quotes what docs/RULES.md does not say: {quotation}",
                path.display()
            );
        }
    }
    assert!(count > 40, "{count}");
}
