//! TLS for the tests' receivers, with the certificates of `tests/support/tls/`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The authority that signed the receivers' certificates, as PEM: what a test's wire trusts.
pub const AUTHORITY: &str = include_str!("tls/ca.pem");

/// The chain (`pem`) or key (`key`) of the certificate with this name: `localhost`, `elsewhere` or `expired`.
pub fn file(certificate: &str, ending: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/support/tls/{certificate}.{ending}"))
}

/// The same for axum's server.
pub async fn axum(certificate: &str) -> RustlsConfig {
    RustlsConfig::from_pem_file(file(certificate, "pem"), file(certificate, "key")).await.unwrap()
}

/// Accepts TLS with the certificate of this name.
pub fn acceptor(certificate: &str) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(file(certificate, "pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(file(certificate, "key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
