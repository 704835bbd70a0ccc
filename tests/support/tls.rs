//! TLS for the tests' receivers, with the certificates of `tests/support/tls/`.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The authority that signed the receivers' certificates, as PEM: what a test's wire trusts.
pub const AUTHORITY: &str = include_str!("tls/ca.pem");

/// Accepts TLS with the certificate of this name: `localhost`, `elsewhere` or `expired`.
pub fn acceptor(certificate: &str) -> TlsAcceptor {
    let file =
        |ending: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/support/tls/{certificate}.{ending}"));
    let chain = CertificateDer::pem_file_iter(file("pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(file("key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
