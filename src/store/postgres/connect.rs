//! Reads the address and connects.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::link::{Lines, STEP_MAX, within};
use super::platform::look_at;
use super::{schema, tls};
use crate::store::Error;

/// How many connections a process opens at most, unless `connections=N` says otherwise.
const CONNECTIONS: usize = 10;

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// How long what was sent may stay without the other side's receipt, before the connection is given up.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Where the server is, and how to speak to it.
pub(super) struct Address {
    pub config: Config,
    pub tls: MakeRustlsConnect,
    connections: usize,
    /// Whether the server's file system never writes a page in part.
    pub pages_managed: bool,
}

impl Address {
    /// Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE&…`. What is wrong is reported without repeating it,
    /// since a password that isn't percent-encoded may turn up in any part.
    pub fn read(address: &str, base: &Path) -> Result<Self, Error> {
        let (place, options) = address.split_once('?').unwrap_or((address, ""));
        let mut known = format!("{place}?");
        let (mut mode, mut authorities, mut connections, mut pages_managed) = (None, None, CONNECTIONS, false);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            match key {
                "sslmode" => mode = Some(value.to_owned()),
                "sslrootcert" => {
                    let decoded = url::form_urlencoded::parse(option.as_bytes()).next();
                    authorities = decoded.map(|(_, file)| base.join(&*file));
                }
                "pages" if value == "managed" => pages_managed = true,
                "pages" => {
                    let why =
                        "`pages` in the store's address is not `managed`: its file system never writes a page in part";
                    return Err(unusable(why.to_owned()));
                }
                "connections" => {
                    connections = value.parse().ok().filter(|count| (4..=1000).contains(count)).ok_or_else(|| {
                        unusable("`connections` in the store's address is not a number from 4 to 1000".to_owned())
                    })?;
                }
                // Writing to a String never fails.
                _ => drop(write!(known, "{option}&")),
            }
        }
        let mut config: Config = known.trim_end_matches(['&', '?']).parse().map_err(|_| {
            unusable(
                "the store's address can't be read: write `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, each part \
                 percent-encoded, with options such as `?sslmode=verify-full&sslrootcert=FILE&connections=10`"
                    .to_owned(),
            )
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(unusable(
                "the store's address names no host: write `postgres://HOST/…`, or `?host=/run/postgresql` for a socket"
                    .to_owned(),
            ));
        }
        let mode = mode.unwrap_or_else(|| default_mode(&config).to_owned());
        let verify = match &*mode {
            "disable" | "prefer" | "require" => false,
            "verify-full" => true,
            _ => {
                return Err(unusable(
                    "`sslmode` in the store's address is none of `disable`, `prefer`, `require` and `verify-full`"
                        .into(),
                ));
            }
        };
        config.ssl_mode(match &*mode {
            "disable" => SslMode::Disable,
            "prefer" => SslMode::Prefer,
            _ => SslMode::Require,
        });
        if config.get_application_name().is_none() {
            config.application_name("fanfare");
        }
        config.connect_timeout(CONNECT_MAX).tcp_user_timeout(SILENCE_MAX).keepalives_idle(Duration::from_secs(30));
        // Who names the authorities wants them looked at.
        let tls = tls::connector(verify || authorities.is_some() && mode == "require", authorities.as_deref())?;
        Ok(Self { config, tls, connections, pages_managed })
    }

    /// A pool of connections, none open yet.
    fn pool(&self, size: usize) -> Result<Pool, Error> {
        let settings = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(self.config.clone(), self.tls.clone(), settings);
        Pool::builder(manager)
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(STEP_MAX))
            .create_timeout(Some(STEP_MAX))
            .build()
            .map_err(|error| Error::Unavailable(error.to_string()))
    }
}

/// Without a word about TLS: what leaves the machine goes to a server that is known, or not at all.
fn default_mode(config: &Config) -> &'static str {
    let near = |host: &Host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    let all_near = config.get_hosts().iter().all(near) && config.get_hostaddrs().iter().all(|at| at.is_loopback());
    if all_near { "prefer" } else { "verify-full" }
}

fn unusable(why: String) -> Error {
    Error::Unusable(why)
}

/// Connects, looks at the server, and brings the schema up to date.
pub(super) async fn open(address: &Address) -> Result<Lines, Error> {
    let pool = address.pool(address.connections)?;
    let lines = Lines::new(pool.clone(), "on");
    let durable = within(STEP_MAX, async {
        let link = lines.link().await.map_err(|error| hinted(error, address))?;
        let durable = look_at(&link, address.pages_managed).await;
        link.end(durable)
    })
    .await?;
    let lines = Lines::new(pool, durable);
    schema::migrate(&lines).await?;
    Ok(lines)
}

/// Connects without changing anything: for `doctor`.
pub(super) async fn look_into(address: &Address) -> Result<Lines, Error> {
    let lines = Lines::new(address.pool(1)?, "on");
    let link = within(STEP_MAX, lines.link()).await.map_err(|error| hinted(error, address))?;
    link.end(Ok(()))?;
    Ok(lines)
}

/// A server that has no TLS is a common thing, and what to write then is not.
fn hinted(error: Error, address: &Address) -> Error {
    match error {
        Error::Unavailable(why) if why.contains("TLS") && address.config.get_ssl_mode() == SslMode::Require => {
            Error::Unavailable(format!(
                "{why}; if the network between is yours alone, add `?sslmode=disable` to the store's address"
            ))
        }
        other => other,
    }
}
