//! The certificate and key that `tls` names: read, held against each other and against the date. Reads files, through the
//! environment that gives secrets.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::der::Decode;

use crate::config::files::shown;
use crate::config::substitute::Environment;
use crate::problem::{Location, Problem, Problems};

/// A certificate that expires within this is warned of: long enough to find out why nobody renewed it.
pub const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What `tls` says, and what stands in its files.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The file of the chain: the server's own certificate first.
    pub cert: PathBuf,
    /// The file of its key.
    pub key: PathBuf,
    /// Where `cert` stands.
    pub cert_place: Location,
    /// Where `key` stands.
    pub key_place: Location,
    /// What was read; none where no files are read, or they are broken.
    pub certificate: Option<Arc<Certificate>>,
}

/// A certificate with its key.
pub struct Certificate {
    /// What TLS is spoken with.
    pub key: Arc<CertifiedKey>,
    /// Until when it is good.
    pub expires: Timestamp,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl Certificate {
    /// What is wrong with its date, in words.
    pub fn lateness(&self, now: Timestamp) -> Option<String> {
        let left = self.expires.duration_since(now);
        let days = left.as_hours().abs() / 24;
        let day = self.expires.to_string();
        let day = day.split('T').next().unwrap_or_default();
        if left.is_negative() {
            Some(format!("expired on {day}, {days} days ago"))
        } else if left < SOON {
            Some(format!("expires on {day}, in {days} days"))
        } else {
            None
        }
    }
}

/// Reads both files, and says all that is wrong with them. `None` where TLS can't be spoken with them.
pub fn read(
    tls: &Tls,
    environment: &dyn Environment,
    now: Timestamp,
    problems: &mut Problems,
) -> Option<Arc<Certificate>> {
    let chain = chain(tls, environment).map_err(|wrong| problems.push(wrong.problem("tls-cert", &tls.cert_place))).ok();
    let key = key(tls, environment).map_err(|wrong| problems.push(wrong.problem("tls-key", &tls.key_place))).ok();
    let (chain, key) = (chain?, key?);
    let Some(expires) = chain.first().and_then(expires) else {
        problems.push(
            Problem::error("tls-cert", format!("the first certificate in `{}` can't be read", shown(&tls.cert)))
                .at(&tls.cert_place)
                .hint("put the server's own certificate first, then those that lead to its authority"),
        );
        return None;
    };
    match CertifiedKey::from_der(chain, key, &default_provider()) {
        Ok(key) => {
            let certificate = Certificate { key: Arc::new(key), expires };
            if let Some(lateness) = certificate.lateness(now) {
                problems.push(
                    Problem::warning("tls-expires", format!("the certificate in `{}` {lateness}", shown(&tls.cert)))
                        .at(&tls.cert_place)
                        .hint("renew it, and find out why it was not renewed: senders refuse an expired one"),
                );
            }
            Some(Arc::new(certificate))
        }
        Err(error) => {
            problems.push(unusable(tls, &error).at(&tls.key_place));
            None
        }
    }
}

fn unusable(tls: &Tls, error: &rustls::Error) -> Problem {
    let (cert, key) = (shown(&tls.cert), shown(&tls.key));
    if matches!(error, rustls::Error::InconsistentKeys(_)) {
        Problem::error("tls-key", format!("the key in `{key}` is not that of the certificate in `{cert}`"))
            .hint("name matching files; the server's own certificate comes first in its file")
    } else {
        Problem::error("tls-key", format!("TLS doesn't work with the key in `{key}`: {error}"))
            .hint("use a key of ECDSA P-256, or of RSA with 2048 bits or more")
    }
}

/// What is wrong with a file, and what to do.
struct Wrong {
    what: String,
    hint: String,
}

impl Wrong {
    fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }

    fn problem(self, code: &'static str, place: &Location) -> Problem {
        Problem::error(code, self.what).at(place).hint(self.hint)
    }
}

const EXCHANGED: &str = "`cert` names the certificate's file, `key` the key's";
const CUT: &str = "copy it again: a part is missing";

fn chain(tls: &Tls, environment: &dyn Environment) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let name = shown(&tls.cert);
    let text = text(&tls.cert, environment, "x509")?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) if text.contains("PRIVATE KEY-----") => {
            Err(Wrong::new(format!("`{name}` holds a key, and no certificate"), EXCHANGED))
        }
        Ok(_) => {
            Err(Wrong::new(format!("`{name}` holds no certificate"), "it is a text with `-----BEGIN CERTIFICATE-----`"))
        }
        // What the library says may quote the file, and a key may be in it.
        Err(_) => Err(Wrong::new(format!("`{name}` is not a whole PEM file"), CUT)),
    }
}

fn key(tls: &Tls, environment: &dyn Environment) -> Result<PrivateKeyDer<'static>, Wrong> {
    let name = shown(&tls.key);
    let text = text(&tls.key, environment, "pkey")?;
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(Wrong::new(
            format!("the key in `{name}` is encrypted, and Fanfare can't ask for a password"),
            format!("write it in the clear, readable for Fanfare only: `openssl pkey -in {name} -out {name}.plain`"),
        ));
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        pem::Error::NoItemsFound if text.contains("-----BEGIN CERTIFICATE-----") => {
            Wrong::new(format!("`{name}` holds a certificate, and no key"), EXCHANGED)
        }
        pem::Error::NoItemsFound => {
            Wrong::new(format!("`{name}` holds no key"), "it is a text with `-----BEGIN PRIVATE KEY-----`")
        }
        _ => Wrong::new(format!("`{name}` is not a whole PEM file"), CUT),
    })
}

/// A PEM file's text. `command` is what turns the binary form into it.
fn text(path: &Path, environment: &dyn Environment, command: &str) -> Result<String, Wrong> {
    environment.file(path).map_err(|error| {
        let name = shown(path);
        if is_der(path) {
            Wrong::new(
                format!("`{name}` is in the binary form DER, and PEM is wanted"),
                format!("`openssl {command} -inform der -in {name} -out {name}.pem`, and name that"),
            )
        } else {
            Wrong::new(
                format!("`{name}` can't be read: {error}"),
                "check the path, which is relative to the folder of this file, and its permissions",
            )
        }
    })
}

/// Whether a file begins as everything in DER does here: with a sequence.
fn is_der(path: &Path) -> bool {
    let is_file = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() < 64 * 1024);
    is_file && std::fs::read(path).is_ok_and(|bytes| matches!(bytes.as_slice(), [0x30, ..]))
}

fn expires(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let until = certificate.tbs_certificate.validity.not_after.to_unix_duration();
    Timestamp::from_second(i64::try_from(until.as_secs()).ok()?).ok()
}
