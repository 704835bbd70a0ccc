//! The demo's page: what each channel's inbox got, as far as it got anything. All that came over the wire is escaped before it stands there.

use crate::channels;
use crate::cli::demo::inbox::Arrived;
use crate::message::html::escape;

/// The page: newest first, under one heading a channel.
pub(super) fn page(arrived: &[Arrived]) -> String {
    let mut page = String::from(HEAD);
    for channel in channels::ALL.iter().map(|kind| kind.name) {
        let of_channel: Vec<&Arrived> = arrived.iter().filter(|one| one.channel == channel).collect();
        if of_channel.is_empty() {
            continue;
        }
        page.push_str(&format!("<section><h2>{channel} <span>{}</span></h2>", of_channel.len()));
        of_channel.into_iter().rev().for_each(|one| page.push_str(&card(one)));
        page.push_str("</section>");
    }
    page.push_str("</main></body></html>");
    page
}

fn card(one: &Arrived) -> String {
    let Arrived { destination, picture, raw, .. } = one;
    let accent = picture.colour().unwrap_or("#8a8a99");
    format!(
        "<article style=\"border-left-color:{accent}\"><header>{}</header><h3>{}</h3>{}<details><summary>what was \
         sent</summary><pre>{}</pre></details></article>",
        escape(destination),
        escape(&picture.title),
        picture.html,
        escape(raw),
    )
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" \
content=\"5\"><meta name=\"viewport\" content=\"width=device-width\"><title>Fanfare demo: the inboxes</title><style>\
:root{color-scheme:light dark}body{margin:0;font:15px/1.5 system-ui,sans-serif;background:light-dark(#f3f3f7,#15151a);\
color:light-dark(#1d1d23,#ececf1)}h1{margin:0;padding:1rem 2rem;font-size:1.2rem}\
main{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:1.5rem;padding:0 2rem 2rem;align-items:start}\
h2{font-size:1rem;text-transform:capitalize;margin:.5rem 0}h2 span{opacity:.5;font-weight:400}\
article{background:light-dark(#fff,#1f1f26);border-left:4px solid;border-radius:6px;padding:.75rem 1rem;margin:0 0 1rem;\
box-shadow:0 1px 3px #0002;overflow-wrap:anywhere}article header{font-size:.8rem;opacity:.65}h3{margin:.1rem 0 .4rem;font-size:1.05rem}\
p{margin:.3rem 0}.name{opacity:.65}small{opacity:.65;display:block}.button{display:inline-block;border:1px solid #8888;\
border-radius:4px;padding:.1rem .6rem}pre{white-space:pre-wrap;font-size:.8rem;background:#8881;padding:.5rem;border-radius:4px;max-height:20rem;overflow:auto}\
summary{cursor:pointer;font-size:.8rem;opacity:.65}iframe{width:100%;height:22rem;border:1px solid #8884;border-radius:4px;background:#fff}\
</style></head><body><h1>Fanfare demo: what each channel got</h1><main>";
