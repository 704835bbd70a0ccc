//! A mail server on loopback that keeps every mail, is strict about the protocol, and misbehaves as configured.
//!
//! ```ignore
//! let peer = SmtpPeer::start(Setup::default()).await;          // no TLS, no login, takes everything
//! peer.on(Moment::Rcpt("bob@label.example"), Act::Say("550 5.1.1 no such user"));
//! wire.send(&mail_to(peer.url()), deadline).await;
//! assert_eq!(peer.mails()[0].to, ["ann@label.example"]);
//! peer.assert_clean();                                         // no breach of RFC 5321 was seen
//! ```
//!
//! What it checks: commands in order and spelled as they must be, every line ended by CRLF and no longer than allowed
//! (512 bytes a command, 1,000 a line of content), dots stuffed, eight-bit content announced. Ends when it is dropped.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::mime::Mime;
use super::tls;

/// How a server is to be.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Whether TLS is there, and how it begins.
    pub tls: PeerTls,
    /// The certificate's name (see [`tls::acceptor`]); `localhost` if empty.
    pub certificate: &'static str,
    /// User and password that it demands.
    pub login: Option<(&'static str, &'static str)>,
    /// Whether it says what it offers in lower case.
    pub in_lower_case: bool,
}

/// TLS at a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PeerTls {
    /// None.
    #[default]
    Off,
    /// By STARTTLS.
    Start,
    /// From the first byte.
    Implicit,
}

/// When something is to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    Greeting,
    StartTls,
    Auth,
    Mail,
    /// This recipient.
    Rcpt(&'static str),
    Data,
    /// After the final dot; the mail is kept before.
    Content,
    Rset,
}

/// What happens then, in place of the usual answer.
#[derive(Debug, Clone)]
pub enum Act {
    /// This line is said. At `Content` and `Rcpt`, what is no 2yz means that it isn't kept.
    Say(&'static str),
    /// The connection closes.
    Drop,
    /// Nothing, forever.
    Hang,
    /// A line without end.
    Flood,
}

/// A mail as it was handed over.
#[derive(Debug, Clone)]
pub struct Kept {
    pub from: String,
    pub to: Vec<String>,
    /// The content, dots unstuffed.
    pub content: Vec<u8>,
    /// Whether it came over TLS.
    pub over_tls: bool,
    /// Who had logged in.
    pub user: Option<String>,
}

impl Kept {
    /// The content as headers and parts.
    pub fn mime(&self) -> Mime {
        Mime::parse(&self.content)
    }
}

/// Mails that a reader sees as one conversation.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// The subject of its first mail.
    pub subject: String,
    /// Its mails, each once however often it came, oldest first.
    pub mails: Vec<Mime>,
}

/// A mail server.
pub struct SmtpPeer {
    /// Where it listens.
    pub address: SocketAddr,
    setup: Setup,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    acts: Mutex<Vec<(Moment, Act)>>,
    mails: Mutex<Vec<Kept>>,
    hellos: Mutex<Vec<String>>,
    breaches: Mutex<Vec<String>>,
    came: Notify,
    connections: AtomicUsize,
}

impl SmtpPeer {
    /// Starts one.
    pub async fn start(setup: Setup) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let task = tokio::spawn(accept(listener, setup.clone(), state.clone()));
        Self { address, setup, state, task }
    }

    /// Its URL, with the login that it demands: `smtp://…?tls=none`, `smtp://localhost…` or `smtps://localhost…`.
    pub fn url(&self) -> String {
        let login = self.setup.login.map(|(user, password)| format!("{user}:{password}@")).unwrap_or_default();
        let port = self.address.port();
        match self.setup.tls {
            PeerTls::Off => format!("smtp://{login}127.0.0.1:{port}?tls=none"),
            PeerTls::Start => format!("smtp://{login}localhost:{port}"),
            PeerTls::Implicit => format!("smtps://{login}localhost:{port}"),
        }
    }

    /// From now on, does this at that moment.
    pub fn on(&self, moment: Moment, act: Act) -> &Self {
        let mut acts = self.state.acts.lock().unwrap();
        acts.retain(|(known, _)| *known != moment);
        acts.push((moment, act));
        self
    }

    /// From now on, behaves again.
    pub fn behave(&self) -> &Self {
        self.state.acts.lock().unwrap().clear();
        self
    }

    /// The mails so far.
    pub fn mails(&self) -> Vec<Kept> {
        self.state.mails.lock().unwrap().clone()
    }

    /// The conversations, as the strictest reader makes them, which is Gmail: a mail belongs to another if it answers
    /// what that one answers or is, and has its subject except for a `Re: `; a `Message-ID` that came before is no news.
    pub fn conversations(&self) -> Vec<Conversation> {
        let about = |mime: &Mime| {
            let subject = mime.header("Subject").unwrap_or_default();
            subject.strip_prefix("Re: ").unwrap_or(subject).to_owned()
        };
        let ids = |mime: &Mime| -> Vec<String> {
            let named = ["Message-ID", "In-Reply-To", "References"].into_iter().filter_map(|name| mime.header(name));
            named.flat_map(str::split_whitespace).map(str::to_owned).collect()
        };
        let mut all: Vec<Conversation> = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        for mime in self.mails().iter().map(Kept::mime) {
            let id = mime.header("Message-ID").expect("a mail has a Message-ID").to_owned();
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            let belongs =
                |other: &Mime| about(other) == about(&mime) && ids(other).iter().any(|id| ids(&mime).contains(id));
            match all.iter_mut().find(|conversation| conversation.mails.iter().any(belongs)) {
                Some(conversation) => conversation.mails.push(mime),
                None => {
                    let subject = mime.header("Subject").unwrap_or_default().to_owned();
                    all.push(Conversation { subject, mails: vec![mime] });
                }
            }
        }
        all
    }

    /// Waits until `count` mails have come, and gives them all.
    pub async fn received(&self, count: usize) -> Vec<Kept> {
        loop {
            let came = self.state.came.notified();
            let mails = self.mails();
            if mails.len() >= count {
                return mails;
            }
            came.await;
        }
    }

    /// By what it was greeted, each time.
    pub fn hellos(&self) -> Vec<String> {
        self.state.hellos.lock().unwrap().clone()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Fails if a client broke the protocol.
    pub fn assert_clean(&self) {
        assert_eq!(*self.state.breaches.lock().unwrap(), Vec::<String>::new(), "breaches of RFC 5321");
    }
}

impl Drop for SmtpPeer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, setup: Setup, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        state.connections.fetch_add(1, Ordering::SeqCst);
        let (state, setup) = (state.clone(), setup.clone());
        connections.spawn(async move { connection(tcp, &setup, &state).await });
    }
}

async fn connection(tcp: tokio::net::TcpStream, setup: &Setup, state: &State) -> Option<()> {
    let certificate = if setup.certificate.is_empty() { "localhost" } else { setup.certificate };
    if setup.tls == PeerTls::Implicit {
        let stream = tls::acceptor(certificate).accept(tcp).await.ok()?;
        Session::new(stream, setup, state, true).run(true).await?;
        return None;
    }
    let mut session = Session::new(tcp, setup, state, false);
    session.run(true).await?;
    // Ended without closing: STARTTLS. What was sent before it, in the clear, must not count after it.
    if !session.buffer.is_empty() {
        session.breach("bytes behind STARTTLS");
    }
    let stream = tls::acceptor(certificate).accept(session.stream).await.ok()?;
    Session::new(stream, setup, state, true).run(false).await
}

struct Session<'s, S> {
    stream: S,
    setup: &'s Setup,
    state: &'s State,
    over_tls: bool,
    buffer: Vec<u8>,
    greeted: bool,
    user: Option<String>,
    from: Option<String>,
    to: Vec<String>,
    eight_bit: bool,
}

impl<'s, S: AsyncRead + AsyncWrite + Unpin> Session<'s, S> {
    fn new(stream: S, setup: &'s Setup, state: &'s State, over_tls: bool) -> Self {
        Self {
            stream,
            setup,
            state,
            over_tls,
            buffer: Vec::new(),
            greeted: false,
            user: None,
            from: None,
            to: Vec::new(),
            eight_bit: false,
        }
    }

    /// Until the connection is to be closed (`None`) or TLS to begin.
    async fn run(&mut self, greets: bool) -> Option<()> {
        if greets {
            self.act(Moment::Greeting, "220 peer.example ESMTP").await?;
        }
        loop {
            let line = self.line(512).await?;
            let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" | "HELO" => self.ehlo(&line).await?,
                _ if !self.greeted => self.refuse("503 5.5.1 EHLO first", &line).await?,
                "STARTTLS" if self.setup.tls == PeerTls::Start && !self.over_tls => {
                    self.act(Moment::StartTls, "220 2.0.0 go ahead").await?;
                    return Some(());
                }
                "AUTH" => self.auth(&line).await?,
                "NOOP" => self.say("250 2.0.0 ok").await?,
                "RSET" => {
                    self.forget();
                    self.act(Moment::Rset, "250 2.0.0 ok").await?;
                }
                "QUIT" => {
                    self.say("221 2.0.0 bye").await?;
                    return None;
                }
                _ if self.setup.login.is_some() && self.user.is_none() => {
                    self.refuse("530 5.7.0 log in first", &line).await?;
                }
                "MAIL" => self.mail(&line).await?,
                "RCPT" => self.rcpt(&line).await?,
                "DATA" => self.data(&line).await?,
                _ => self.refuse("500 5.5.2 what", &line).await?,
            }
        }
    }

    async fn ehlo(&mut self, line: &str) -> Option<()> {
        if line.split(' ').count() != 2 {
            self.breach(line);
        }
        self.greeted = true;
        self.forget();
        let mut offers = vec!["peer.example", "8BITMIME", "ENHANCEDSTATUSCODES"];
        if self.setup.tls == PeerTls::Start && !self.over_tls {
            offers.push("STARTTLS");
        }
        if self.setup.login.is_some() {
            offers.push("AUTH PLAIN LOGIN");
        }
        self.state.hellos.lock().unwrap().push(line.split(' ').nth(1).unwrap_or_default().to_owned());
        let last = offers.len() - 1;
        let lines: Vec<String> = offers
            .iter()
            .enumerate()
            .map(|(at, offer)| format!("250{}{offer}", if at == last { " " } else { "-" }))
            .map(|line| if self.setup.in_lower_case { line.to_ascii_lowercase() } else { line })
            .collect();
        self.say(&lines.join("\r\n")).await
    }

    async fn auth(&mut self, line: &str) -> Option<()> {
        let expected = self.setup.login.map(|(user, password)| STANDARD.encode(format!("\0{user}\0{password}")));
        let given = line.strip_prefix("AUTH PLAIN ").map(str::to_owned);
        match self.acts(&Moment::Auth) {
            Some(_) => self.act(Moment::Auth, "").await.map(|_| ()),
            None if given.is_some() && given == expected => {
                self.user = self.setup.login.map(|(user, _)| user.to_owned());
                self.say("235 2.7.0 welcome").await
            }
            None => self.say("535 5.7.8 wrong user or password").await,
        }
    }

    async fn mail(&mut self, line: &str) -> Option<()> {
        let Some((from, options)) = path(line, "MAIL FROM:") else { return self.refuse("501 5.5.4 what", line).await };
        if self.from.is_some() {
            return self.refuse("503 5.5.1 nested MAIL", line).await;
        }
        let taken = self.act(Moment::Mail, "250 2.1.0 ok").await?;
        if taken {
            self.from = Some(from);
            self.eight_bit = options.contains("BODY=8BITMIME");
        }
        Some(())
    }

    async fn rcpt(&mut self, line: &str) -> Option<()> {
        let Some((to, _)) = path(line, "RCPT TO:") else { return self.refuse("501 5.5.4 what", line).await };
        if self.from.is_none() {
            return self.refuse("503 5.5.1 MAIL first", line).await;
        }
        let moment = self
            .state
            .acts
            .lock()
            .unwrap()
            .iter()
            .map(|(moment, _)| moment.clone())
            .find(|moment| matches!(moment, Moment::Rcpt(known) if *known == to));
        let taken = match moment {
            Some(moment) => self.act(moment, "").await?,
            None => self.say("250 2.1.5 ok").await.map(|()| true)?,
        };
        if taken {
            self.to.push(to);
        }
        Some(())
    }

    async fn data(&mut self, line: &str) -> Option<()> {
        if self.to.is_empty() {
            return self.refuse("503 5.5.1 RCPT first", line).await;
        }
        if !self.act(Moment::Data, "354 go on").await? {
            return Some(());
        }
        let content = self.content().await?;
        let kept = Kept {
            from: self.from.take().unwrap_or_default(),
            to: std::mem::take(&mut self.to),
            content,
            over_tls: self.over_tls,
            user: self.user.clone(),
        };
        self.forget();
        let refused = matches!(self.acts(&Moment::Content), Some(Act::Say(line)) if !line.starts_with('2'));
        if !refused {
            self.state.mails.lock().unwrap().push(kept);
            self.state.came.notify_waiters();
        }
        self.act(Moment::Content, "250 2.0.0 kept").await.map(|_| ())
    }

    /// The content up to the dot, checked, unstuffed.
    async fn content(&mut self) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            let line = self.line_bytes(1000).await?;
            if line == b"." {
                return Some(content);
            }
            if !self.eight_bit && !line.is_ascii() {
                self.breach("eight-bit content without BODY=8BITMIME");
            }
            let line = match line.strip_prefix(b".") {
                Some(rest) if rest.starts_with(b".") => rest.to_vec(),
                Some(_) => {
                    self.breach("a dot that is not stuffed");
                    line
                }
                None => line,
            };
            content.extend_from_slice(&line);
            content.extend_from_slice(b"\r\n");
        }
    }

    async fn line(&mut self, length_max: usize) -> Option<String> {
        let line = self.line_bytes(length_max).await?;
        match String::from_utf8(line) {
            Ok(line) if line.is_ascii() => Some(line),
            other => {
                self.breach(&format!("a command that is not ASCII: {other:?}"));
                None
            }
        }
    }

    /// A line without its end.
    async fn line_bytes(&mut self, length_max: usize) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=at).collect();
                if line.len() > length_max {
                    self.breach(&format!("a line of {} bytes", line.len()));
                }
                line.pop();
                if line.pop() != Some(b'\r') || line.contains(&b'\r') {
                    self.breach(&format!("a line not ended by CRLF: {:?}", String::from_utf8_lossy(&line)));
                }
                return Some(line);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
        self.eight_bit = false;
    }

    fn acts(&self, moment: &Moment) -> Option<Act> {
        self.state.acts.lock().unwrap().iter().find(|(known, _)| known == moment).map(|(_, act)| act.clone())
    }

    /// Does what is to be done now, or says `usual`. Whether that was a yes.
    async fn act(&mut self, moment: Moment, usual: &str) -> Option<bool> {
        match self.acts(&moment) {
            None => self.say(usual).await.map(|()| true),
            Some(Act::Say(line)) => {
                self.say(line).await?;
                Some(line.starts_with(['2', '3']))
            }
            Some(Act::Drop) => None,
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::Flood) => {
                self.stream.write_all(b"250-").await.ok()?;
                loop {
                    self.stream.write_all(&[b'x'; 64 * 1024]).await.ok()?;
                }
            }
        }
    }

    async fn say(&mut self, line: &str) -> Option<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.ok()?;
        self.stream.flush().await.ok()
    }

    async fn refuse(&mut self, answer: &str, line: &str) -> Option<()> {
        self.breach(line);
        self.say(answer).await
    }

    fn breach(&self, what: &str) {
        self.state.breaches.lock().unwrap().push(what.to_owned());
    }
}

/// The address between the angle brackets, and what follows.
fn path(line: &str, verb: &str) -> Option<(String, String)> {
    let rest = line.strip_prefix(verb)?.strip_prefix('<')?;
    let (address, options) = rest.split_once('>')?;
    let is_clean = !address.contains([' ', '<', ',', ';']) && (options.is_empty() || options.starts_with(' '));
    is_clean.then(|| (address.to_owned(), options.to_owned()))
}
