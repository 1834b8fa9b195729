//! The story, step by step. Each step checks what came of it.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value gives null where there is nothing; it never panics"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use kabar_sandbox::{CustomerPatch, DEFAULT_PHONE_NUMBER_ID, DEFAULT_TOKEN, DEFAULT_WABA_ID};
use serde_json::{Value, json};

use super::broadcast;
use super::town::Town;
use crate::rest::Api;

/// How long the whole conversation may take before the demo counts as failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// A row of the contact file.
struct Customer {
    name: String,
    phone: String,
    variables: BTreeMap<String, String>,
}

impl Customer {
    fn digits(&self) -> String {
        self.phone.chars().filter(char::is_ascii_digit).collect()
    }

    fn variable(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    /// What the customer will answer.
    fn answer(&self) -> String {
        format!("Order {} {}!", self.variable("order"), self.variable("qty"))
    }
}

/// Tells the story; fails if a step does not turn out as it should.
pub(super) async fn tell(town: &Town, file: &str) -> Result<(), Box<dyn Error>> {
    let customers = read(file)?;
    let admin = Api::new(&town.base_url(), town.admin_key.clone())?;
    println!("1. A new account with a device on Meta's Cloud API (here: the sandbox)");
    let account =
        admin.post("/accounts", &json!({ "name": "Warung Kabar", "country": "ID" })).await?;
    let account = text(&account["account"]["id"])?;
    let api = admin.within(&account);
    let device = device(&api).await?;
    println!("2. An autoreply rule: `order <item> <qty>`");
    rule(&api, &device).await?;
    println!("3. {} contacts from the file", customers.len());
    for customer in &customers {
        api.post(
            "/contacts",
            &json!({
                "name": customer.name,
                "phone": customer.phone,
                "variables": customer.variables,
            }),
        )
        .await?;
        town.sandbox.put_customer(
            &customer.digits(),
            CustomerPatch {
                name: Some(customer.name.clone()),
                reads: Some(true),
                // Answers the greeting, and leaves the thanks and the offer unanswered.
                replies_with: Some(vec![customer.answer(), String::new(), String::new()]),
                reply_delay_ms: Some(20),
                window_open: Some(true),
                ..CustomerPatch::default()
            },
        )?;
    }
    println!("4. A message to each of them, with its own words filled in");
    send(&api, &device, &customers).await?;
    let messages = watch(&api, customers.len()).await?;
    check(&customers, &messages)?;
    print(&api.all("/contacts").await?, &messages);
    broadcast::tell(&api, &device, customers.len()).await?;
    #[cfg(feature = "qr-session")]
    super::paired::tell(&api, &town.whatsapp).await?;
    Ok(())
}

fn read(file: &str) -> Result<Vec<Customer>, Box<dyn Error>> {
    let mut reader = csv::Reader::from_reader(file.as_bytes());
    let mut customers = Vec::new();
    for row in reader.deserialize::<BTreeMap<String, String>>() {
        let mut variables = row?;
        let mut take = |column: &str| {
            variables.remove(column).ok_or_else(|| format!("the contact file lacks `{column}`"))
        };
        let (name, phone) = (take("name")?, take("phone")?);
        customers.push(Customer { name, phone, variables });
    }
    if customers.is_empty() {
        return Err("the contact file holds no contact".into());
    }
    Ok(customers)
}

async fn device(api: &Api) -> Result<String, Box<dyn Error>> {
    let made = api
        .post(
            "/devices",
            &json!({
                "name": "Front desk",
                "channel": "cloud_api",
                "address": DEFAULT_PHONE_NUMBER_ID,
                "parent": DEFAULT_WABA_ID,
                "credential": DEFAULT_TOKEN,
            }),
        )
        .await?;
    println!("   {} ({})", made["device"]["phone"], made["device"]["verified_name"]);
    text(&made["device"]["id"])
}

async fn rule(api: &Api, device: &str) -> Result<(), Box<dyn Error>> {
    api.post(
        "/rules",
        &json!({
            "device_id": device,
            "name": "Orders",
            "matching": { "kind": "begin", "keywords": ["order <item> <qty>"] },
            "response": {
                "type": "message",
                "content": {
                    "type": "text",
                    "body": "Thank you, {name}! {qty} x {item} for {city}, coming up.",
                },
            },
        }),
    )
    .await
    .map(|_| ())
}

async fn send(api: &Api, device: &str, customers: &[Customer]) -> Result<(), Box<dyn Error>> {
    let messages: Vec<Value> = customers
        .iter()
        .map(|customer| {
            json!({
                "device_id": device,
                "to": { "phone": customer.phone },
                "content": {
                    "type": "text",
                    "body": "Hello {name}, {city} is open today. What may we bring you?",
                },
                "variables": {},
                "reference": "demo",
            })
        })
        .collect();
    api.post("/messages", &json!({ "messages": messages })).await.map(|_| ())
}

/// Follows the messages until everything that is expected has happened.
async fn watch(api: &Api, customers: usize) -> Result<Vec<Value>, Box<dyn Error>> {
    let bar = ProgressBar::new(customers as u64 * 3);
    bar.set_style(ProgressStyle::with_template("   [{bar:30}] {pos}/{len} {msg}")?);
    let began = Instant::now();
    loop {
        let messages = api.all("/messages").await?;
        let read = messages.iter().filter(|m| is(m, "out") && m["status"] == "read").count();
        let answers = messages.iter().filter(|m| is(m, "in")).count();
        bar.set_position((read + answers) as u64);
        bar.set_message(format!("{read} read, {answers} answers"));
        if read >= customers * 2 && answers >= customers {
            bar.finish();
            return Ok(messages);
        }
        if began.elapsed() > PATIENCE {
            bar.abandon();
            let seconds = PATIENCE.as_secs();
            return Err(format!(
                "after {seconds} s only {read} messages were read and {answers} answers came"
            )
            .into());
        }
        pause(Duration::from_millis(100)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a person watches; the next look may wait")]
pub(super) async fn pause(wait: Duration) {
    tokio::time::sleep(wait).await;
}

fn is(message: &Value, direction: &str) -> bool {
    message["direction"] == direction
}

/// Who said what, in order.
fn talk<'a>(messages: &'a [Value], contact: &Value) -> Vec<&'a Value> {
    let mut talk: Vec<&Value> =
        messages.iter().filter(|message| message["contact_id"] == *contact).collect();
    talk.sort_by_key(|message| message["id"].as_str().map(str::to_owned));
    talk
}

fn body(message: &Value) -> &str {
    message["content"]["body"].as_str().unwrap_or_default()
}

/// Every customer got its own words, answered, and got the captured words back.
fn check(customers: &[Customer], messages: &[Value]) -> Result<(), Box<dyn Error>> {
    for customer in customers {
        let mut wanted = vec![
            format!(
                "Hello {}, {} is open today. What may we bring you?",
                customer.name,
                customer.variable("city")
            ),
            format!(
                "Thank you, {}! {} x {} for {}, coming up.",
                customer.name,
                customer.variable("qty"),
                customer.variable("order"),
                customer.variable("city")
            ),
        ];
        let mut sent: Vec<&str> = messages
            .iter()
            .filter(|m| is(m, "out"))
            .map(body)
            .filter(|b| b.contains(&customer.name))
            .collect();
        wanted.sort();
        sent.sort_unstable();
        if sent != wanted {
            return Err(format!("{} got {sent:?} instead of {wanted:?}", customer.name).into());
        }
        let answer = customer.answer();
        if !messages.iter().any(|m| is(m, "in") && body(m) == answer) {
            return Err(format!("the answer of {} did not arrive", customer.name).into());
        }
    }
    Ok(())
}

fn print(contacts: &[Value], messages: &[Value]) {
    println!("5. What was said");
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for contact in contacts.iter().rev() {
        println!("   {} ({})", word(&contact["name"]), word(&contact["phone"]));
        for message in talk(messages, &contact["id"]) {
            let mark = if is(message, "out") { "→" } else { "←" };
            println!("     {mark} {}  [{}]", body(message), word(&message["status"]));
        }
    }
}

pub(super) fn text(value: &Value) -> Result<String, Box<dyn Error>> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("expected a text, got {value}").into())
}
