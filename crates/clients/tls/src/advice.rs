//! Advice about failed connections, chosen by the types of their errors.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustls::{AlertDescription, CertificateError, InvalidMessage, OtherError};

use crate::verifier::Version1;

/// The advice for an error, if one of its causes has a known remedy.
pub fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    find(error, &|cause| {
        if let Some(cause) = cause.downcast_ref::<io::Error>() {
            return (cause.kind() == ErrorKind::ConnectionRefused)
                .then_some("nothing listens there");
        }
        match cause.downcast_ref::<rustls::Error>()? {
            rustls::Error::InvalidCertificate(certificate) => of_certificate(certificate),
            rustls::Error::AlertReceived(AlertDescription::UnknownCA) => {
                Some("it does not trust the CA that signed the client certificate")
            }
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                Some("it does not speak TLS")
            }
            _ => None,
        }
    })
}

fn of_certificate(error: &CertificateError) -> Option<&'static str> {
    match error {
        CertificateError::UnknownIssuer => {
            Some("the CA that signed the server's certificate is not among those trusted")
        }
        CertificateError::BadSignature => {
            Some("another CA of the same name signed the server's certificate")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some("the server's certificate is for another name than its address")
        }
        CertificateError::Other(OtherError(cause)) if cause.is::<Version1>() => Some(
            "the server's certificate is of version 1 of X.509, which can name no host: \
             make one with a subjectAltName",
        ),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            Some("a certificate is signed with SHA-1, or by a key that is too short or unknown")
        }
        _ => None,
    }
}

/// The advice for a TLS connection that the other side closed.
pub const CLOSED: &str = "perhaps it wants another client certificate, or no TLS";

/// Whether the other side closed the connection. In TLS 1.3 a server refuses a client's certificate
/// after the client's handshake has ended. The client then sees one of several errors, depending on
/// timing.
pub fn hung_up(error: &(dyn Error + 'static)) -> bool {
    let closed = Some(());
    find(error, &|cause| {
        if let Some(cause) = cause.downcast_ref::<io::Error>() {
            let is_end = match cause.kind() {
                ErrorKind::UnexpectedEof
                | ErrorKind::BrokenPipe
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted => true,
                // An alert of which the HTTP/2 library has kept only the text. An error of TLS that
                // kept its type is asked for its own advice.
                ErrorKind::InvalidData => {
                    !cause.get_ref().is_some_and(|held| held.is::<rustls::Error>())
                }
                _ => false,
            };
            return closed.filter(|()| is_end);
        }
        if let Some(cause) = cause.downcast_ref::<hyper::Error>() {
            return closed.filter(|()| {
                cause.is_incomplete_message() || cause.is_closed() || cause.is_canceled()
            });
        }
        let cause = cause.downcast_ref::<rustls::Error>()?;
        closed.filter(|()| matches!(cause, rustls::Error::AlertReceived(_)))
    })
    .is_some()
}

/// Searches a chain of errors for advice, from the outermost error inwards.
fn find<T>(
    error: &(dyn Error + 'static),
    ask: &dyn Fn(&(dyn Error + 'static)) -> Option<T>,
) -> Option<T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = ask(cause) {
            return Some(found);
        }
        // The `source` of such an error skips the error that it wraps.
        let held = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = held.and_then(|held| find(held, ask)) {
            return Some(found);
        }
        next = cause.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_that_a_library_made_a_text_of_is_recognised_and_a_certificate_is_not_blamed_on_it()
    {
        let invalid =
            |cause: Box<dyn Error + Send + Sync>| io::Error::new(ErrorKind::InvalidData, cause);
        let as_text = invalid("received fatal alert: BadCertificate".into());
        assert!(hung_up(&as_text));
        let alert = rustls::Error::AlertReceived(AlertDescription::BadCertificate);
        assert!(hung_up(&invalid(alert.into())));
        let expired = rustls::Error::InvalidCertificate(CertificateError::Expired);
        assert!(!hung_up(&invalid(expired.into())));
    }
}
