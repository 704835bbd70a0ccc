//! A stand-in of GitHub's GraphQL API and of GitLab's REST API: it keeps the comments of one pull request, and refuses what
//! they refuse.

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::support::http_peer::{Answer, HttpPeer, Recorded};

/// A comment; `mine` is one of the token's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    pub mine: bool,
    pub body: String,
}

type Comments = Arc<Mutex<Vec<Comment>>>;

/// Where pull request 7 of `label/rules` is, which is project 12 in GitLab.
pub struct Host {
    pub peer: HttpPeer,
    comments: Comments,
    is_gitlab: bool,
}

impl Host {
    /// GitHub, with comments there already.
    pub async fn github(comments: &[(bool, &str)]) -> Self {
        Self::start(comments, false).await
    }

    /// GitLab, with comments there already.
    pub async fn gitlab(comments: &[(bool, &str)]) -> Self {
        Self::start(comments, true).await
    }

    async fn start(comments: &[(bool, &str)], is_gitlab: bool) -> Self {
        let comment = |(mine, body): &(bool, &str)| Comment { mine: *mine, body: (*body).to_owned() };
        let comments: Comments = Arc::new(Mutex::new(comments.iter().map(comment).collect()));
        let kept = comments.clone();
        let serve = move |request: &Recorded| {
            let mut kept = kept.lock().unwrap();
            let answer = if is_gitlab { gitlab(request, &mut kept) } else { github(request, &mut kept) };
            answer.map_or_else(|| Answer::status(400).body(request.text()), |value| Answer::status(200).json(&value))
        };
        Self { peer: HttpPeer::serving(serve).await, comments, is_gitlab }
    }

    /// What a job knows of it.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        if self.is_gitlab {
            let api = self.peer.url("/api/v4");
            return vec![("GITLAB_CI", "true".into()), ("CI_API_V4_URL", api), ("CI_PROJECT_ID", "12".into())];
        }
        let api = self.peer.url("/graphql");
        vec![
            ("GITHUB_ACTIONS", "true".into()),
            ("GITHUB_GRAPHQL_URL", api),
            ("GITHUB_REPOSITORY", "label/rules".into()),
        ]
    }

    pub fn comments(&self) -> Vec<Comment> {
        self.lock().clone()
    }

    /// Somebody changes a comment.
    pub fn rewrite(&self, at: usize, body: &str) {
        body.clone_into(&mut self.lock()[at].body);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Comment>> {
        self.comments.lock().unwrap()
    }
}

/// GraphQL, as the document of GitHub's schema has it: `addComment` takes `subjectId`, `updateIssueComment` `id`.
fn github(request: &Recorded, comments: &mut Vec<Comment>) -> Option<Value> {
    let asks = (request.method.as_str(), request.target.as_str(), request.header("authorization"));
    if asks != ("POST", "/graphql", Some("Bearer t0ken")) {
        return None;
    }
    let body = request.json();
    let query = body["query"].as_str()?;
    let variables = &body["variables"];
    let text = || variables["text"].as_str().map(str::to_owned);
    if query.contains("addComment(input: {subjectId: $id, body: $text})") && variables["id"] == "PR_7" {
        comments.push(Comment { mine: true, body: text()? });
    } else if query.contains("updateIssueComment(input: {id: $id, body: $text})") {
        let at: usize = variables["id"].as_str()?.strip_prefix("IC_")?.parse().ok()?;
        comments.get_mut(at)?.body = text()?;
    } else if query.starts_with("query") && *variables == json!({"owner": "label", "name": "rules", "number": 7}) {
        let node = |(at, comment): (usize, &Comment)| json!({"id": format!("IC_{at}"), "body": comment.body, "mine": comment.mine});
        let nodes: Vec<Value> = comments.iter().enumerate().map(node).collect();
        return Some(json!({"data": {"repository": {"pullRequest": {"id": "PR_7", "comments": {"nodes": nodes}}}}}));
    } else {
        return None;
    }
    Some(json!({"data": {}}))
}

fn gitlab(request: &Recorded, comments: &mut Vec<Comment>) -> Option<Value> {
    if request.header("private-token") != Some("t0ken") {
        return None;
    }
    let text = || Some(request.json()["body"].as_str()?.to_owned());
    let notes = request.target.strip_prefix("/api/v4/projects/12/merge_requests/7/notes");
    match (request.method.as_str(), request.target.as_str(), notes) {
        ("GET", "/api/v4/user", _) => Some(json!({"id": 9})),
        ("GET", _, Some("?per_page=100")) => {
            let author = |mine: bool| json!({"id": if mine { 9 } else { 8 }});
            let note = |(at, comment): (usize, &Comment)| json!({"id": at, "body": comment.body, "author": author(comment.mine)});
            Some(comments.iter().enumerate().map(note).collect())
        }
        ("POST", _, Some("")) => {
            comments.push(Comment { mine: true, body: text()? });
            Some(json!({}))
        }
        ("PUT", _, Some(id)) => {
            comments.get_mut(id.strip_prefix('/')?.parse::<usize>().ok()?)?.body = text()?;
            Some(json!({}))
        }
        _ => None,
    }
}
