//! What happens: a broadcast to 1,000 goes out, beside it one that was paused, one that waits for its
//! time and a file of contacts; all that happens is told to a webhook receiver, and the server dies
//! again and again.

mod audience;
mod import;

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::api::Api;
use crate::database::Place;
use crate::log;
use crate::receiver::Receiver;
use crate::stage::Stage;
use audience::{Audience, HALTED, LATER, MAIN};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(3);
/// Statuses of messages that are still on their way.
const UNDERWAY: [&str; 3] = ["pending", "held", "processing"];
/// So long before its time the broadcast that waits is told it.
const AHEAD: TimeDelta = TimeDelta::seconds(8);

pub(crate) struct Story {
    stage: Stage,
    receiver: Receiver,
    /// The receiver's endpoint, as it was made.
    endpoint: Value,
}

/// What was begun before the server is killed, beside the main broadcast.
struct Begun {
    /// The path of an import of which a part was carried out.
    import: String,
    /// A broadcast that was paused after a part.
    halted: String,
    /// A broadcast that waits for its time.
    later: String,
}

fn state(thing: &Value) -> &str {
    thing["state"].as_str().unwrap()
}

fn path(broadcast: &str) -> String {
    format!("/broadcasts/{broadcast}")
}

/// Looks at something until it is so.
async fn until(api: &Api, path: &str, so: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let found = api.get(path).await;
        if so(&found) {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "never so: {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Makes a broadcast to everybody of an audience; returns its id.
async fn create(api: &Api, device: &str, audience: Audience) -> String {
    let new = audience.broadcast(device);
    let made = api.post("/broadcasts", &new, audience.name).await;
    let id = made["id"].as_str().unwrap().to_owned();
    let more = json!({ "recipients": audience.recipients(audience.size / 2..audience.size) });
    let once = format!("{} more", audience.name);
    api.post(&format!("{}/recipients", path(&id)), &more, &once).await;
    id
}

/// Gives a command until the broadcast is in one of the states that follow from it: the answer to a
/// command that was carried out may have been lost.
async fn command(api: &Api, broadcast: &str, word: &str, then: &[&str]) {
    let began = Instant::now();
    while !then.contains(&state(&api.get(&path(broadcast)).await)) {
        assert!(began.elapsed() < PATIENCE, "{word} is never obeyed");
        api.attempt(&format!("{}/{word}", path(broadcast)), None).await;
    }
}

/// Prepares a broadcast and waits until it can be started.
async fn prepare(api: &Api, broadcast: &str) {
    command(api, broadcast, "prepare", &["preparing", "ready"]).await;
    until(api, &path(broadcast), |broadcast| state(broadcast) == "ready").await;
}

/// The whole broadcast to 1,000, until it runs.
async fn send_main(api: Api, device: String) -> String {
    let id = create(&api, &device, MAIN).await;
    prepare(&api, &id).await;
    command(&api, &id, "start", &["running", "completed"]).await;
    id
}

impl Story {
    pub(crate) async fn begin(place: Place, seed: u64) -> Self {
        let settings = json!({ "uncertain": "hold", "settle_seconds": 2 });
        let stage = Stage::set(place, seed, settings).await;
        let receiver = Receiver::start(seed).await;
        let made = stage.api.post("/webhooks", &receiver.endpoint(), "endpoint").await;
        for audience in [MAIN, HALTED, LATER] {
            audience.open(&stage.sandbox);
        }
        Self { stage, receiver, endpoint: made["webhook"].clone() }
    }

    pub(crate) async fn tell(mut self, rounds: u32) {
        let api = self.stage.api.clone();
        let import = import::upload(&api).await;
        let later = self.wait_for_tomorrow().await;
        let halted = self.send_a_part().await;
        let main = tokio::spawn(send_main(api.clone(), self.stage.device.clone()));
        import::begin(&api, &import).await;
        command(&api, &halted, "pause", &["paused"]).await;
        let begun = Begun { import, halted, later };
        let part = self.die_at_once(rounds, &begun).await;
        for round in 1..rounds {
            self.die(round, rounds, &begun).await;
        }
        let main = main.await.unwrap();
        until(&api, &path(&main), |main| state(main) == "completed").await;
        self.check_later(&begun.later).await;
        self.go_on(&begun.halted, part).await;
        import::check(&api, &begun.import).await;
        self.until_quiet(&[&main, &begun.halted, &begun.later]).await;
        for (audience, id) in [(MAIN, &main), (HALTED, &begun.halted), (LATER, &begun.later)] {
            audience.check(&api, &self.stage.sandbox, id).await;
        }
        let log = log::until_told(&api, &self.receiver, &self.endpoint).await;
        log::check(log, &self.receiver);
        self.stage.clear().await;
    }

    /// A broadcast whose time is far away; returns its id.
    async fn wait_for_tomorrow(&self) -> String {
        let api = &self.stage.api;
        let id = create(api, &self.stage.device, LATER).await;
        schedule(api, &id, Utc::now() + TimeDelta::days(1)).await;
        until(api, &path(&id), |broadcast| state(broadcast) == "scheduled").await;
        id
    }

    /// A broadcast that has sent a part; returns its id.
    async fn send_a_part(&mut self) -> String {
        let api = &self.stage.api;
        let id = create(api, &self.stage.device, HALTED).await;
        prepare(api, &id).await;
        command(api, &id, "start", &["running", "completed"]).await;
        let part = 20 + self.stage.random.draw(100);
        self.until_sent(HALTED, usize::try_from(part).unwrap()).await;
        id
    }

    /// Waits until so many were reached.
    async fn until_sent(&self, audience: Audience, many: usize) {
        let began = Instant::now();
        while audience.count(&self.stage.sandbox) < many {
            assert!(began.elapsed() < PATIENCE, "{} never gets so far", audience.name);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The server dies right after the pause, while the main broadcast is made and the file is carried
    /// out; returns what the paused broadcast had sent.
    async fn die_at_once(&mut self, rounds: u32, begun: &Begun) -> usize {
        if rounds == 1 {
            self.give_time(begun).await;
        }
        let wait = self.stage.random.draw(20);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        self.stage.kill(&format!("1 of {rounds}, {wait} ms after the pause")).await;
        let part = self.until_arrived(HALTED).await;
        self.stage.revive().await;
        import::tell(&self.stage.api, &begun.import).await;
        self.check_waiting(&begun.halted, "paused").await;
        part
    }

    /// Waits until what the server sent before it died has been read from its connections; returns how
    /// many messages that makes. No server runs meanwhile.
    async fn until_arrived(&self, audience: Audience) -> usize {
        loop {
            let before = audience.count(&self.stage.sandbox);
            tokio::time::sleep(Duration::from_millis(500)).await;
            if audience.count(&self.stage.sandbox) == before {
                return before;
            }
        }
    }

    /// The server dies in its part of the main broadcast. Before the last time the broadcast that waits
    /// is given its time.
    async fn die(&mut self, round: u32, rounds: u32, begun: &Begun) {
        let part = u32::try_from(MAIN.size).unwrap() * round / rounds;
        self.until_sent(MAIN, usize::try_from(part).unwrap()).await;
        self.check_waiting(&begun.later, "scheduled").await;
        if round + 1 == rounds {
            self.give_time(begun).await;
        }
        let wait = self.stage.random.draw(700);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let sent = MAIN.count(&self.stage.sandbox);
        let when = format!("{} of {rounds}, after {sent} messages and {wait} ms", round + 1);
        self.stage.kill(&when).await;
        self.stage.revive().await;
        self.check_waiting(&begun.halted, "paused").await;
    }

    /// The broadcast that waits is to start soon.
    async fn give_time(&self, begun: &Begun) {
        schedule(&self.stage.api, &begun.later, Utc::now() + AHEAD).await;
    }

    async fn check_waiting(&self, broadcast: &str, word: &str) {
        let shown = self.stage.api.get(&path(broadcast)).await;
        assert_eq!(state(&shown), word, "{shown}");
    }

    /// It began by itself, at its time.
    async fn check_later(&self, later: &str) {
        let done = until(&self.stage.api, &path(later), |it| state(it) == "completed").await;
        let time = |value: &Value| value.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        let late = (time(&done["started_at"]) - time(&done["schedule"]["at"])).num_milliseconds();
        assert!((0..30_000).contains(&late), "{late} ms late: {done}");
        eprintln!("later: started by itself, {late} ms after its time");
    }

    /// What was paused still is, sent nothing since, and goes on when it is told to.
    async fn go_on(&self, halted: &str, part: usize) {
        let api = &self.stage.api;
        self.check_waiting(halted, "paused").await;
        let sent = HALTED.count(&self.stage.sandbox);
        assert_eq!(
            sent,
            part,
            "it is paused, yet sent: {:?}",
            HALTED.last(&self.stage.sandbox, sent - part)
        );
        command(api, halted, "resume", &["running", "completed"]).await;
        until(api, &path(halted), |it| state(it) == "completed").await;
        eprintln!("halted: paused after {part}, went on");
    }

    /// Waits until nothing moves any more: no message on its way, and everything that was read is
    /// counted as read.
    async fn until_quiet(&self, broadcasts: &[&String]) {
        let (api, sandbox) = (&self.stage.api, &self.stage.sandbox);
        let began = Instant::now();
        loop {
            let _ = sandbox.quiesce(Duration::from_secs(30)).await;
            let mut underway = 0;
            for status in UNDERWAY {
                underway += api.all(&format!("/messages?status={status}")).await.len();
            }
            let mut open = 0;
            for id in broadcasts {
                let progress = &api.get(&path(id)).await["progress"];
                let words = ["waiting", "queued", "sent", "delivered"];
                open += words.iter().filter_map(|word| progress[word].as_u64()).sum::<u64>();
            }
            if underway == 0 && open == 0 {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "never quiet: {underway} underway, {open} open");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}

/// Gives a broadcast its time; the same time again changes nothing.
async fn schedule(api: &Api, broadcast: &str, at: DateTime<Utc>) {
    let local = at.format("%Y-%m-%dT%H:%M:%S").to_string();
    let body = json!({ "local_time": local, "time_zone": "UTC" });
    let began = Instant::now();
    loop {
        api.attempt(&format!("{}/schedule", path(broadcast)), Some(&body)).await;
        if api.get(&path(broadcast)).await["schedule"]["local_time"] == local {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "it never has its time");
    }
}
