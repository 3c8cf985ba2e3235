//! `/metrics`: the operator's figures as Prometheus reads them (text format 0.0.4). Numbers and names of hosts only.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, State},
    http::{header, request::Parts},
    response::IntoResponse,
};
use cardea_app::{AppError, Figures, StepTimes};
use cardea_domain::{Permit, Secret, Verb};

use crate::{Api, actor::Caller, problem::Problem};

/// Who may scrape beside people, and what the server knows of its own process.
#[derive(Clone)]
pub struct MetricsSettings {
    /// What a scraper sends as `Authorization: Bearer …`; opens nothing but `/metrics`.
    pub token: Option<Arc<Secret>>,
    /// Looks at the process; nothing where that is not possible.
    pub process: fn() -> Option<ProcessFigures>,
}

/// The process, under the names that all Prometheus clients use.
#[derive(Clone, Copy, Debug)]
pub struct ProcessFigures {
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
    pub open_files: u64,
    /// Since 1970, UTC.
    pub started_at_seconds: f64,
}

/// Whoever may see the figures: the scraper, or somebody who may see all sessions.
pub(crate) struct Scraper;

impl FromRequestParts<Api> for Scraper {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        if let Some(token) = &api.metrics.token {
            let sent = parts.headers.get(header::AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
            if sent.split_at_checked(BEARER.len()).is_some_and(|(scheme, sent)| {
                scheme.eq_ignore_ascii_case(BEARER) && token.expose(|token| is_same(token.as_bytes(), sent))
            }) {
                return Ok(Self);
            }
        }
        Permit::ask(&Caller::from_request_parts(parts, api).await?.actor, Verb::SeeFigures).map_err(AppError::from)?;
        Ok(Self)
    }
}

const BEARER: &[u8] = b"Bearer ";

/// Takes as long for a wrong token as for the right one.
fn is_same(ours: &[u8], sent: &[u8]) -> bool {
    ours.len() == sent.len() && ours.iter().zip(sent).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

/// The figures of this moment, in the text format of Prometheus.
///
/// **Who:** administrators, auditors, the operator, and whoever sends the token of the setting `metrics.token_file`.
/// **Audit:** none.
#[utoipa::path(get, path = "/metrics", tag = "health",
    extensions(("x-permission" = json!("figures.see"))),
    responses((status = 200, body = String, content_type = "text/plain", description = "One line per figure.")))]
pub(crate) async fn show_metrics(State(api): State<Api>, _: Scraper) -> Result<impl IntoResponse, Problem> {
    let mut page = Page::default();
    page.figures(&*api.app.figures().await?);
    if let Some(process) = (api.metrics.process)() {
        page.process(process);
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.0))
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn figures(&mut self, figures: &Figures) {
        self.head("cardea_info", "gauge", "The version that runs.");
        self.labelled("cardea_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.head("cardea_sessions", "gauge", "Sessions on the active list, by status.");
        for (status, count) in &figures.sessions {
            self.labelled("cardea_sessions", &[("status", status.as_str())], count);
        }
        self.gauge("cardea_grants_out", "Privileges that are, or could be, on a host.", figures.grants_out);
        self.gauge(
            "cardea_cleanups_stalled",
            "Sessions whose clean-up has been failing for more than a minute.",
            figures.stalled,
        );
        self.gauge(
            "cardea_cleanup_stalled_oldest_seconds",
            "For how long the oldest stalled clean-up has been running; 0 without one.",
            figures.oldest_stalled.as_secs_f64(),
        );
        self.gauge("cardea_sessions_due", "Sessions that wait for the engine or are being worked on.", figures.due);
        self.gauge(
            "cardea_sessions_due_oldest_seconds",
            "For how long the first of them has been due; 0 without one.",
            figures.oldest_due.as_secs_f64(),
        );
        self.gauge(
            "cardea_reviews_overdue",
            "Reviews of sessions that began without approval, which should have been made by now.",
            figures.reviews_overdue,
        );
        self.gauge("cardea_workers_busy", "Sessions that are being worked on.", figures.workers_busy);
        self.gauge("cardea_workers_max", "How many can be worked on at once.", figures.workers_max);
        self.gauge(
            "cardea_store_units",
            "Units of work that wait for SQLite's writer, or that hold a connection to PostgreSQL.",
            figures.store_units,
        );
        self.head("cardea_notices", "gauge", "Mails and webhooks that wait to be sent, or were given up.");
        self.labelled("cardea_notices", &[("state", "waiting")], figures.notices.waiting);
        self.labelled("cardea_notices", &[("state", "failed")], figures.notices.failed);
        self.gauge(
            "cardea_notices_due_oldest_seconds",
            "For how long the first of those that wait has been due; 0 without one.",
            figures.oldest_notice.as_secs_f64(),
        );
        self.directories(figures);
        self.head("cardea_step_seconds", "histogram", "Time of the engine's steps, by host; scans are not among them.");
        for (host, times) in &figures.steps {
            self.histogram("cardea_step_seconds", host, times);
        }
    }

    fn directories(&mut self, figures: &Figures) {
        let (name, help) =
            ("cardea_directory_failing", "1 if the last look at a directory changed nothing: it failed, or was held.");
        self.head(name, "gauge", help);
        for (directory, figures) in &figures.directories {
            self.labelled(name, &[("directory", directory)], u8::from(figures.is_failing));
        }
        let (name, help) = ("cardea_directory_good_seconds", "How long ago the last good look at a directory was.");
        self.head(name, "gauge", help);
        for (directory, figures) in &figures.directories {
            if let Some(since) = figures.since_good {
                self.labelled(name, &[("directory", directory)], since.as_secs_f64());
            }
        }
    }

    fn process(&mut self, process: ProcessFigures) {
        self.head("process_cpu_seconds_total", "counter", "Processor time of the process.");
        self.labelled("process_cpu_seconds_total", &[], process.cpu_seconds);
        self.gauge("process_resident_memory_bytes", "Memory that the process occupies.", process.resident_bytes);
        self.gauge("process_open_fds", "Files and connections that the process has open.", process.open_files);
        self.gauge("process_start_time_seconds", "When the process started, since 1970.", process.started_at_seconds);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, "gauge", help);
        self.labelled(name, &[], value);
    }

    fn histogram(&mut self, name: &str, host: &str, times: &StepTimes) {
        let bucket = format!("{name}_bucket");
        for (bound, count) in StepTimes::BOUNDS.iter().zip(times.within) {
            self.labelled(&bucket, &[("host", host), ("le", &bound.to_string())], count);
        }
        self.labelled(&bucket, &[("host", host), ("le", "+Inf")], times.count);
        self.labelled(&format!("{name}_sum"), &[("host", host)], times.sum.as_secs_f64());
        self.labelled(&format!("{name}_count"), &[("host", host)], times.count);
    }

    fn labelled(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
        match labels.is_empty() {
            true => self.line(format_args!("{name} {value}")),
            false => self.line(format_args!("{name}{{{}}} {value}", labels.join(","))),
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.0 += &format!("{line}\n");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_name_cannot_leave_its_label() {
        let mut page = Page::default();
        let times = StepTimes { within: [1; StepTimes::BOUNDS.len()], count: 2, sum: Duration::from_millis(1500) };
        page.histogram("x", "a\"b\\c\nd", &times);
        assert!(page.0.starts_with("x_bucket{host=\"a\\\"b\\\\c\\nd\",le=\"0.025\"} 1\n"), "{}", page.0);
        assert!(page.0.contains("le=\"1\"} 1\n") && page.0.contains("le=\"+Inf\"} 2\n"), "{}", page.0);
        assert!(page.0.ends_with("x_sum{host=\"a\\\"b\\\\c\\nd\"} 1.5\nx_count{host=\"a\\\"b\\\\c\\nd\"} 2\n"));
    }

    #[test]
    fn only_the_same_bytes_are_the_same() {
        assert!(is_same(b"abc", b"abc"));
        assert!(!is_same(b"abc", b"abd") && !is_same(b"abc", b"ab") && !is_same(b"abc", b"abcd"));
    }
}
