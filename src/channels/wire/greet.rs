//! What is said to a mail server until its connection is protected: its greeting, EHLO, STARTTLS (RFC 3207); and the name
//! that we say EHLO by.
//!
//! lettre takes over behind it. It is kept from STARTTLS because it reads the server's offers by their exact spelling, and
//! because what stands behind the answer to STARTTLS must never be read as if it came through TLS.

use std::net::IpAddr;
use std::sync::Arc;

use lettre::transport::smtp::extension::ClientId;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Take};
use tokio::net::TcpStream;

use crate::channels::wire::mail::Stop;

/// All that a server may say before TLS.
const SAID_MAX: u64 = 64 * 1024;

/// Greets, and asks for TLS where it is offered. Whether it is to begin now.
pub(super) async fn starttls(tcp: &mut TcpStream, hello: &ClientId) -> Result<bool, Stop> {
    let mut reader = BufReader::new(tcp.take(SAID_MAX));
    expect(reply(&mut reader).await?, 220)?;
    let offers = expect(ask(&mut reader, &format!("EHLO {hello}\r\n")).await?, 250)?;
    if !offers.iter().any(|offer| offer.trim().eq_ignore_ascii_case("STARTTLS")) {
        return Ok(false);
    }
    expect(ask(&mut reader, "STARTTLS\r\n").await?, 220)?;
    if reader.buffer().is_empty() {
        Ok(true)
    } else {
        Err(Stop::NotSent("the mail server went on in the clear after STARTTLS".into()))
    }
}

type Reader<'t> = BufReader<Take<&'t mut TcpStream>>;

async fn ask(reader: &mut Reader<'_>, command: &str) -> Result<(u16, Vec<String>), Stop> {
    reader.get_mut().get_mut().write_all(command.as_bytes()).await.map_err(lost)?;
    reply(reader).await
}

/// A reply: its code and the text of its lines (RFC 5321, section 4.2).
async fn reply(reader: &mut Reader<'_>) -> Result<(u16, Vec<String>), Stop> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).await.map_err(lost)?;
        if !line.ends_with(b"\n") {
            let why = if reader.get_ref().limit() == 0 { "the server's answer is too large" } else { "it hung up" };
            return Err(Stop::NotSent(format!("could not greet the mail server: {why}")));
        }
        let line = String::from_utf8_lossy(&line);
        let (code, text) = line.trim_end().split_at_checked(3).unwrap_or_default();
        let Ok(code) = code.parse() else {
            return Err(Stop::NotSent("could not greet the mail server: what it says is not SMTP".into()));
        };
        lines.push(text.get(1..).unwrap_or_default().to_owned());
        if !text.starts_with('-') {
            return Ok((code, lines));
        }
    }
}

fn expect((code, lines): (u16, Vec<String>), expected: u16) -> Result<Vec<String>, Stop> {
    if code == expected { Ok(lines) } else { Err(Stop::Said(code, lines.join(" "))) }
}

fn lost(error: std::io::Error) -> Stop {
    Stop::NotSent(format!("could not greet the mail server: {}", super::io_in_words(&error)))
}

/// By what we say EHLO: the name that is configured; else this host's full name; else the domain that sends; else the
/// address that the server sees, as a literal (RFC 5321, section 4.1.4). Servers refuse a name that can't be looked up.
pub(super) fn hello(configured: Option<&str>, from: &str, local: IpAddr) -> ClientId {
    let name = match ClientId::default() {
        ClientId::Domain(name) => name,
        _ => String::new(),
    };
    let domain = from.rsplit_once('@').map(|(_, domain)| domain);
    let names = configured.into_iter().chain([name.as_str()].into_iter().chain(domain).filter(|name| is_full(name)));
    match (names.into_iter().next(), local.to_canonical()) {
        (Some(name), _) => ClientId::Domain(name.to_owned()),
        (None, IpAddr::V4(address)) => ClientId::Ipv4(address),
        (None, IpAddr::V6(address)) => ClientId::Ipv6(address),
    }
}

/// Whether a name is one that others could look up.
fn is_full(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    name.contains('.')
        && name.split('.').all(label)
        && name.parse::<IpAddr>().is_err()
        && !["local", "localdomain", "internal", "lan", "home"].contains(&last.as_str())
}

/// Takes any certificate: what `?tls=opportunistic` asks for. It keeps those out who only listen.
#[derive(Debug)]
pub(super) struct AnyCertificate(pub(super) Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
