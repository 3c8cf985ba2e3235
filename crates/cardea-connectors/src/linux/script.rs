//! Scripts of administrators: the words that start one, and how it ended.

use std::time::Duration;

use cardea_domain::{ConnectorError, Script, ScriptOutcome};

use super::{answer::Answer, order::encode};

/// How much later than its limit a script's end may be told: it is asked to end first, and its output is read.
const END_LIMIT: Duration = Duration::from_secs(15);
const VARIABLES_MAX: usize = 64;
const VALUE_BYTES_MAX: usize = 4096;

/// When the host must have answered, counted from the latest moment at which the script begins.
pub(super) fn answer_limit(script: &Script) -> Duration {
    script.limit + END_LIMIT
}

/// GRANT LIMIT TEXT [NAME=VALUE...].
pub(super) fn words(script: &Script) -> Result<Vec<String>, ConnectorError> {
    let refused = |why: String| Err(ConnectorError::Refused(why));
    if script.text.is_empty() || script.text.len() > Script::TEXT_BYTES_MAX {
        return refused("the script is empty or longer than 64 KiB".to_owned());
    }
    if script.environment.len() > VARIABLES_MAX {
        return refused(format!("the script is given more than {VARIABLES_MAX} values"));
    }
    let limit = script.limit.as_secs().max(1).to_string();
    let mut words = vec![script.grant.to_string(), limit, encode(&script.text)];
    for (name, value) in &script.environment {
        if !is_variable(name) || value.len() > VALUE_BYTES_MAX || value.contains('\0') {
            return refused(format!(
                "`{name}` cannot be given to the script: names are of `A-Z0-9_`, values at most {VALUE_BYTES_MAX} bytes without NUL"
            ));
        }
        words.push(format!("{name}={}", encode(value)));
    }
    Ok(words)
}

/// Only names of ours: a script's PATH, say, is not for values to set.
fn is_variable(name: &str) -> bool {
    name.starts_with("CARDEA_") && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// `STATUS TIMED_OUT`, and the output line by line.
pub(super) fn outcome(answer: &Answer) -> Result<ScriptOutcome, ConnectorError> {
    let text = answer.text("script").ok_or_else(|| answer.incomplete())?;
    let (status, over) = text.split_once(' ').ok_or_else(|| answer.incomplete())?;
    let output: Vec<_> = answer.texts("out").collect();
    Ok(ScriptOutcome {
        status: status.parse().map_err(|_| answer.incomplete())?,
        timed_out: over == "yes",
        output: output.join("\n"),
    })
}
