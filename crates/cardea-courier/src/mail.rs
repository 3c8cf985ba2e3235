//! Mail by SMTP. Headers are built from values by the library, never put together from text, and every value is checked
//! before: nothing that a person wrote can begin a header of its own.

use std::time::{Duration, UNIX_EPOCH};

use cardea_domain::{Mail, Secret, is_mail_address, is_unprintable};
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, MultiPart, header::HeaderName, header::HeaderValue},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
        extension::ClientId,
    },
};

use crate::with_causes;

/// How long the server may take for one command.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take for a mail.
const MAIL_LIMIT: Duration = Duration::from_secs(30);

/// Where mail is handed over.
pub struct MailServer {
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// Certificates in PEM that are trusted in place of the system's.
    pub ca: Option<Vec<u8>>,
    pub login: Option<Login>,
    /// From whom mail is: `cardea@example.com`, or `Cardea <cardea@example.com>`.
    pub from: String,
}

/// How the line is encrypted. Certificates are always checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    None,
    /// From the command STARTTLS on. A server that does not offer it gets nothing.
    StartTls,
    /// From the first byte.
    Tls,
}

/// Who may send.
pub struct Login {
    pub user: String,
    pub password: Secret,
}

pub(crate) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    pub(crate) fn new(server: MailServer) -> Result<Self, String> {
        let MailServer { host, port, security, ca, login, from } = server;
        let from = sender(&from).ok_or("from: write an address, as `Cardea <cardea@example.com>`")?;
        let mut parameters = TlsParameters::builder(host.clone());
        if let Some(ca) = ca {
            let certificates =
                Certificate::from_pem(&ca).map_err(|error| format!("ca_file: {}", with_causes(&error)))?;
            parameters = parameters.certificate_store(CertificateStore::None).add_root_certificate(certificates);
        }
        let tls = match security {
            Security::None => Tls::None,
            Security::StartTls | Security::Tls => {
                let parameters = parameters.build().map_err(|error| format!("security: {}", with_causes(&error)))?;
                if security == Security::Tls { Tls::Wrapper(parameters) } else { Tls::Required(parameters) }
            }
        };
        // Servers look at the name at most to see whether it is one; ours is in the sender's address.
        let hello = ClientId::Domain(from.email.domain().to_owned());
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .timeout(Some(COMMAND_LIMIT))
            .hello_name(hello);
        if let Some(Login { user, password }) = login {
            builder = builder.credentials(password.expose(|password| Credentials::new(user, password.clone())));
        }
        Ok(Self { transport: builder.build(), from })
    }

    pub(crate) async fn send(&self, mail: &Mail) -> Result<(), String> {
        let message = self.message(mail)?;
        match tokio::time::timeout(MAIL_LIMIT, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(with_causes(&error)),
            Err(_) => Err(format!("the mail server took longer than {} s", MAIL_LIMIT.as_secs())),
        }
    }

    fn message(&self, mail: &Mail) -> Result<Message, String> {
        if !is_mail_address(&mail.to) {
            return Err("the receiver has no mail address that can be used".to_owned());
        }
        let to: Address = mail.to.parse().map_err(|_| "the receiver's mail address cannot be used")?;
        let micros = u64::try_from(mail.at.as_micros()).unwrap_or_default();
        let subject: String = mail.subject.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect();
        let header = |name, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .date(UNIX_EPOCH + Duration::from_micros(micros))
            .message_id(Some(format!("<{}@{}>", mail.id, self.from.email.domain())))
            // RFC 3834: nobody's absence notice answers.
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("X-Auto-Response-Suppress", "All"))
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
            .map_err(|error| with_causes(&error))
    }
}

/// Whether mail can be from there.
pub fn is_sender(text: &str) -> bool {
    sender(text).is_some()
}

fn sender(text: &str) -> Option<Mailbox> {
    let (name, address) = match text.strip_suffix('>').and_then(|text| text.split_once('<')) {
        Some((name, address)) => (Some(name.trim().to_owned()), address),
        None => (None, text),
    };
    let is_name = |name: &String| !name.contains(|c: char| c.is_control() || "<>\"".contains(c)) && name.len() <= 200;
    if !is_mail_address(address) || !name.iter().all(is_name) {
        return None;
    }
    Some(Mailbox::new(name.filter(|name| !name.is_empty()), address.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_one_address_with_a_name_or_without() {
        for good in [
            "cardea@example.com",
            "Cardea <cardea@example.com>",
            "<cardea@example.com>",
            "Ärger & Söhne <a@example.com>",
        ] {
            assert!(is_sender(good), "{good}");
        }
        for bad in
            ["", "Cardea", "a@example.com, b@example.com", "C\r\nBcc: x <a@example.com>", "a <b> <c@example.com>"]
        {
            assert!(!is_sender(bad), "{bad:?}");
        }
    }
}
