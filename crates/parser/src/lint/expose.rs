//! Words of EXPOSE that say more than a port, or say it in capitals.

use super::finding;
use crate::diagnostic::Diagnostic;
use crate::span::Span;

/// Looks at one port of EXPOSE, its variables replaced. `span` is where it stands.
pub fn expose(port: &str, span: Span) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let (address, protocol) = port.split_once('/').unwrap_or((port, ""));
    if protocol.chars().any(char::is_uppercase) {
        let message =
            format!("Defined protocol '{port}' in EXPOSE instruction should be lowercase");
        found.push(finding("ExposeProtoCasing", span, message));
    }
    let host = address.rsplit_once(':').map(|(host, _)| host);
    if host.is_some_and(|host| host.contains(|c| c != ':')) {
        let message = format!(
            "EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'"
        );
        found.push(finding("ExposeInvalidFormat", span, message));
    }
    found
}
