//! The faults, and how each strikes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harbour::fleet::Fleet;
use crate::line::Line;

/// For how long a fault lasts that lasts.
pub(crate) const LASTS: Duration = Duration::from_mins(1);

/// How a fault strikes.
#[derive(Debug, Clone)]
pub(crate) enum Strike {
    /// Every connection ends so, once.
    End(Value),
    /// Every connection is dropped, and every login ends so for a minute.
    Login(Value),
    /// It strikes so many times a session, where stanzas pass.
    Stanza { on: &'static str, effect: Value },
    /// It strikes wherever such a stanza passes, for a minute.
    Always { on: &'static str, effect: Value },
    /// WhatsApp cannot be reached for a minute.
    Away,
}

/// A fault by name.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) strike: Strike,
    /// The state in which it has to end after two minutes.
    pub(crate) ends: &'static str,
}

const fn case(name: &'static str, ends: &'static str, strike: Strike) -> Case {
    Case { name, strike, ends }
}

fn stream_error(code: u16) -> Value {
    json!({ "kind": "stream_error", "code": code })
}

fn failure(reason: u16) -> Strike {
    Strike::Login(json!({ "kind": "failure", "reason": reason }))
}

/// Seconds of the ban: it is over, and its minute of grace too, before the two minutes are.
const BAN: u64 = 30;

/// Every fault.
pub(crate) fn all() -> Vec<Case> {
    let mut all = ended();
    all.extend(refused());
    all.extend(troubled());
    all
}

/// Connections that end.
fn ended() -> Vec<Case> {
    use Strike::{Away, End};
    let kind = |kind: &str| json!({ "kind": kind });
    vec![
        case("connection dropped", "connected", End(kind("drop"))),
        case("connection closed", "connected", End(kind("close"))),
        case("connection half open", "connected", End(kind("half_open"))),
        case("stream error 429", "connected", End(stream_error(429))),
        case("stream error 500", "connected", End(stream_error(500))),
        case("stream error 503", "connected", End(stream_error(503))),
        case("stream error 515", "connected", End(stream_error(515))),
        case("stream error 401", "logged_out", End(stream_error(401))),
        case("stream error 516", "logged_out", End(stream_error(516))),
        case("device removed", "logged_out", End(kind("device_removed"))),
        case("conflict: replaced", "connected", End(kind("replaced"))),
        case("WhatsApp away for a minute", "connected", Away),
    ]
}

/// Logins that fail for a minute.
fn refused() -> Vec<Case> {
    use Strike::Login;
    let ban = json!({ "kind": "failure", "reason": 402, "code": 101, "expire": BAN });
    let long = json!({ "kind": "failure", "reason": 402, "code": 101, "expire": 3_600 });
    vec![
        case("login refused: 401", "logged_out", failure(401)),
        case("login refused: 402, a ban of 30 s", "connected", Login(ban)),
        case("login refused: 402, a ban of an hour", "banned", Login(long)),
        case("login refused: 403", "logged_out", failure(403)),
        case("login refused: 405", "disconnected", failure(405)),
        case("login refused: 406", "logged_out", failure(406)),
        case("login refused: 409", "disconnected", failure(409)),
        case("login refused: 500", "connected", failure(500)),
        case("login refused: 503", "connected", failure(503)),
        case("every login: stream error 429", "reconnecting", Login(stream_error(429))),
        case("every login: stream error 503", "connected", Login(stream_error(503))),
        case("every login: stream error 515", "connected", Login(stream_error(515))),
        case("every login: replaced", "connected", Login(json!({ "kind": "replaced" }))),
        case("every login: dropped", "connected", Login(json!({ "kind": "drop" }))),
        case("every login: half open", "connected", Login(json!({ "kind": "half_open" }))),
    ]
}

/// Stanzas that meet with trouble.
fn troubled() -> Vec<Case> {
    use Strike::{Always, Stanza};
    let on = |on, effect| Stanza { on, effect };
    let slow = json!({ "kind": "slow_link", "ms": 2_000 });
    let all = |name, strike| case(name, "connected", strike);
    vec![
        all("ack lost", on("send", json!({ "kind": "lose_ack" }))),
        all(
            "dropped after a message was taken",
            on("send", json!({"kind": "drop", "accept": true})),
        ),
        all("dropped before it was taken", on("send", json!({ "kind": "drop" }))),
        all(
            "half open after it was taken",
            on("send", json!({"kind": "half_open", "accept": true})),
        ),
        all("message refused: 463", on("send", json!({ "kind": "ack_error", "code": 463 }))),
        all("message refused: 429", on("send", json!({ "kind": "ack_error", "code": 429 }))),
        all("delivered twice", on("deliver", json!({ "kind": "duplicate", "copies": 2 }))),
        all("ciphertext damaged", on("deliver", json!({ "kind": "corrupt" }))),
        all("link of 2 s a stanza", on("request", slow)),
        all(
            "questions unanswered for a minute",
            Always { on: "request", effect: json!({ "kind": "lose_answer" }) },
        ),
    ]
}

impl Strike {
    /// Strikes.
    pub(crate) async fn begin(&self, fleet: &Fleet, line: &Line) {
        let whatsapp = &fleet.whatsapp;
        let end = async |ending: &Value| {
            for ship in &fleet.ships {
                whatsapp.end(&ship.number, ending).await;
            }
        };
        match self {
            Self::End(ending) => end(ending).await,
            Self::Login(effect) => {
                let fault = json!({ "on": "login", "effect": effect, "times": null });
                whatsapp.fault(&fault).await;
                end(&json!({ "kind": "drop" })).await;
            }
            Self::Stanza { on, effect } => {
                for ship in &fleet.ships {
                    let fault = json!({ "on": on, "effect": effect, "account": ship.number });
                    whatsapp.fault(&fault).await;
                }
            }
            Self::Always { on, effect } => {
                let fault = json!({ "on": on, "effect": effect, "times": null });
                whatsapp.fault(&fault).await;
            }
            Self::Away => line.cut(),
        }
    }

    /// Is over, if it lasts.
    pub(crate) async fn end(&self, fleet: &Fleet, line: &Line) {
        match self {
            Self::Login(_) | Self::Always { .. } => fleet.whatsapp.clear_faults().await,
            Self::Away => line.mend(),
            Self::End(_) | Self::Stanza { .. } => {}
        }
    }
}
