//! A mail server as its URL says: `smtps://user:password@smtp.example.com`. Pure.

use std::fmt;

use url::{Host, Url};

use crate::secret::Secret;

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte: `smtps://`.
    Implicit,
    /// By STARTTLS, and nothing is said without it: `smtp://`.
    Required,
    /// By STARTTLS where the server offers it: `?tls=opportunistic`. No password is sent without it.
    Opportunistic,
    /// Not at all: `?tls=none`.
    None,
}

/// A mail server.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its host.
    pub host: Host<String>,
    /// Its port: 465 for `smtps`, 587 for `smtp`, unless the URL says another.
    pub port: u16,
    /// How the connection is protected.
    pub tls: Tls,
    /// Who we are to it: user and password.
    pub login: Option<(String, Secret)>,
}

impl Server {
    /// Reads the URL. An `Err` says what is wrong and quotes nothing that may be secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("this is not a URL: {error}"))?;
        let tls = match url.query_pairs().find(|(key, _)| key != "tls") {
            Some((key, _)) => return Err(format!("a mail server's URL has no option `{key}`, only `tls`")),
            None => url.query_pairs().next().map(|(_, value)| value.into_owned()),
        };
        let tls = match (url.scheme(), tls.as_deref()) {
            ("smtps", None) => Tls::Implicit,
            ("smtps", Some(_)) => return Err("`smtps` uses TLS from the first byte: remove `tls`".into()),
            ("smtp", None | Some("required")) => Tls::Required,
            ("smtp", Some("opportunistic")) => Tls::Opportunistic,
            ("smtp", Some("none")) => Tls::None,
            ("smtp", Some(_)) => return Err("`tls` is `required`, `opportunistic` or `none`".into()),
            _ => return Err("a mail server's URL begins with `smtps://` or `smtp://`".into()),
        };
        // For schemes that it does not know the URL parser leaves the host as it is: read it as `https` would be.
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("the URL has no host")?;
        let host = Host::parse(host).map_err(|error| format!("the URL's host can't be read: {error}"))?;
        let port = url.port().unwrap_or(if tls == Tls::Implicit { 465 } else { 587 });
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            (_, None) => return Err("the URL has a user and no password".into()),
            (user, Some(password)) => Some((decoded(user)?, Secret::new(decoded(password)?))),
        };
        if !matches!(url.path(), "" | "/") {
            return Err("a mail server's URL has no path: put the name for the greeting into `helo`".into());
        }
        Ok(Self { host, port, tls, login })
    }
}

/// Whether a mail server can be greeted by this name.
pub fn is_hello(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    (1..=255).contains(&name.len()) && name.chars().all(fits)
}

impl fmt::Display for Server {
    /// `smtp.example.com:465`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Percent-decoded; what is not UTF-8, or holds a NUL, which separates the parts of a login, is refused.
fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let pair: Vec<u8> = rest.by_ref().take(2).collect();
        let byte = std::str::from_utf8(&pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
        bytes.push(byte.ok_or("a `%` in the URL's user or password must be written `%25`")?);
    }
    let text = String::from_utf8(bytes).map_err(|_| "the URL's user or password is not UTF-8")?;
    if text.contains('\0') { Err("the URL's user or password holds a NUL".into()) } else { Ok(text) }
}
