//! `[sign_in]`: how long sign-ins last, and who must show a second factor.

use std::time::Duration;

use cardea_app::SignInSettings;
use cardea_domain::{Period, Role};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::Failure;

/// The settings of sign-ins, as the product takes them.
pub(crate) struct SignIn {
    pub(crate) settings: SignInSettings,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Layer {
    lasts: Option<Period>,
    idle: Option<Period>,
    fresh: Option<Period>,
    second_factor_roles: Option<Roles>,
}

/// A list, or in a variable the names with commas between.
#[derive(Deserialize)]
#[serde(try_from = "Names")]
struct Roles(Vec<Role>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    List(Vec<String>),
    Text(String),
}

impl TryFrom<Names> for Roles {
    type Error = String;

    fn try_from(names: Names) -> Result<Self, String> {
        let names = match names {
            Names::List(names) => names,
            Names::Text(text) => {
                text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Into::into).collect()
            }
        };
        let role = |name: &String| {
            let found = Role::built_in(name);
            found.ok_or_else(|| format!("`{name}` is no built-in role: write some of administrator, auditor, user"))
        };
        names.iter().map(role).collect::<Result<_, _>>().map(Self)
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

impl Layer {
    pub(super) fn over(self, under: Self) -> Self {
        Self {
            lasts: self.lasts.or(under.lasts),
            idle: self.idle.or(under.idle),
            fresh: self.fresh.or(under.fresh),
            second_factor_roles: self.second_factor_roles.or(under.second_factor_roles),
        }
    }

    pub(super) fn resolve(self) -> Result<SignIn, Failure> {
        let default = SignInSettings::default();
        let within = |key: &str, given: Option<Period>, default: Duration, most: Duration, said: &str| {
            let value = given.map_or(default, Period::get);
            if (MINUTE..=most).contains(&value) {
                return Ok(value);
            }
            Err(Failure::Configuration(format!("sign_in.{key}: write {said}")))
        };
        let settings = SignInSettings {
            lasts: within("lasts", self.lasts, default.lasts, 31 * DAY, "1m to 31 days, as 12h")?,
            idle: within("idle", self.idle, default.idle, 31 * DAY, "1m to 31 days, as 2h")?,
            fresh: within("fresh", self.fresh, default.fresh, DAY, "1m to 24h, as 15m")?,
            second_factor_roles: self.second_factor_roles.map(|roles| roles.0).unwrap_or_default(),
            ..default
        };
        Ok(SignIn { settings })
    }
}

impl SignIn {
    pub(super) fn shown(&self) -> Value {
        let SignInSettings { lasts, idle, fresh, second_factor_roles, .. } = &self.settings;
        let roles: Vec<_> = second_factor_roles.iter().map(Role::name).collect();
        let period = |duration: &Duration| Period::from_seconds(duration.as_secs()).to_string();
        json!({
            "lasts": period(lasts),
            "idle": period(idle),
            "fresh": period(fresh),
            "second_factor_roles": roles,
        })
    }
}
