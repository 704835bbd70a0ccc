//! The page in a real browser.

use super::{delivery, start};
use crate::support::browser::{Browser, Screen};
use crate::support::http_peer::HttpPeer;

#[tokio::test]
async fn a_browser_shows_what_came() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    delivery(&app, &peer, "evt_1", "delivered").await;
    let browser = Browser::start();
    let page = browser.page(Screen::PHONE).await;
    page.go(&format!("http://{}/", app.admin)).await;
    page.sees("release.live").await;
    assert_eq!(page.complaints(), Vec::<serde_json::Value>::new());
    app.end().await;
}
