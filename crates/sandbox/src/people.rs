//! Customers and their 24-hour windows.

use std::collections::{BTreeMap, HashMap};

use crate::customers::{Customer, CustomerPatch};
use crate::random::fingerprint;

/// Length of the customer service window in milliseconds.
const WINDOW_MS: u64 = 24 * 60 * 60 * 1_000;

/// Everyone the sandbox has met, by number in digits.
#[derive(Debug, Default)]
pub(crate) struct People {
    customers: BTreeMap<String, Customer>,
    /// Number of each BSUID, and of each `wa_id` that differs from the number.
    aliases: HashMap<String, String>,
    /// Per customer and business number: time of the customer's last message.
    last_words: HashMap<(String, String), u64>,
    /// Per customer: window opened by hand on every number.
    opened: HashMap<String, u64>,
    /// How many automatic answers each customer gave.
    answers: HashMap<String, usize>,
}

impl People {
    pub(crate) fn len(&self) -> usize {
        self.customers.len()
    }

    pub(crate) fn all(&self) -> Vec<Customer> {
        self.customers.values().cloned().collect()
    }

    pub(crate) fn find(&self, key: &str) -> Option<&Customer> {
        let key = customer_key(key);
        let number = self.aliases.get(&key).unwrap_or(&key);
        self.customers.get(number)
    }

    /// The customer with this number or BSUID; an unknown number comes to life, an unknown BSUID
    /// does not.
    pub(crate) fn meet(&mut self, key: &str) -> Option<Customer> {
        if let Some(known) = self.find(key) {
            return Some(known.clone());
        }
        let number = customer_key(key);
        if !is_number(&number) {
            return None;
        }
        let customer = newcomer(&number);
        self.aliases.insert(customer.user_id.clone(), number.clone());
        self.customers.insert(number, customer.clone());
        Some(customer)
    }

    pub(crate) fn patch(
        &mut self,
        key: &str,
        patch: CustomerPatch,
        now_ms: u64,
    ) -> Option<Customer> {
        let number = self.meet(key)?.number;
        if let Some(open) = patch.window_open {
            self.last_words.retain(|(customer, _), _| open || *customer != number);
            self.opened.insert(number.clone(), if open { now_ms } else { 0 });
        }
        let customer = self.customers.get_mut(&number)?;
        self.aliases.retain(|_, known| *known != number);
        apply(customer, patch);
        let customer = customer.clone();
        self.aliases.insert(customer.user_id.clone(), number.clone());
        if customer.wa_id != number {
            self.aliases.insert(customer.wa_id.clone(), number);
        }
        Some(customer)
    }

    /// The customer wrote: the window opens.
    pub(crate) fn heard(&mut self, customer: &str, phone_number_id: &str, now_ms: u64) {
        self.last_words.insert((customer.to_owned(), phone_number_id.to_owned()), now_ms);
    }

    /// Whether free-form messages may go out.
    pub(crate) fn window_open(&self, customer: &str, phone_number_id: &str, now_ms: u64) -> bool {
        let said = self.last_words.get(&(customer.to_owned(), phone_number_id.to_owned()));
        let opened = self.opened.get(customer);
        said.into_iter().chain(opened).any(|at| now_ms.saturating_sub(*at) < WINDOW_MS)
    }

    /// The customer's next automatic answer.
    pub(crate) fn next_answer(&mut self, customer: &Customer) -> Option<String> {
        let turn = self.answers.entry(customer.number.clone()).or_default();
        let answer = customer.replies_with.get(*turn % customer.replies_with.len().max(1))?;
        *turn += 1;
        // An empty text is a turn in which the customer says nothing.
        Some(answer.clone()).filter(|answer| !answer.is_empty())
    }
}

fn apply(customer: &mut Customer, patch: CustomerPatch) {
    fn set<T>(field: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *field = value;
        }
    }
    set(&mut customer.wa_id, patch.wa_id);
    set(&mut customer.user_id, patch.user_id);
    set(&mut customer.hides_phone, patch.hides_phone);
    set(&mut customer.name, patch.name);
    set(&mut customer.on_whatsapp, patch.on_whatsapp);
    set(&mut customer.replies_with, patch.replies_with);
    set(&mut customer.reply_delay_ms, patch.reply_delay_ms);
    if patch.username.is_some() {
        customer.username = patch.username;
    }
    if patch.reads.is_some() {
        customer.reads = patch.reads;
    }
}

fn newcomer(number: &str) -> Customer {
    let tail = number.get(number.len().saturating_sub(4)..).unwrap_or(number);
    Customer {
        number: number.to_owned(),
        wa_id: number.to_owned(),
        user_id: format!("{}.{:020}", country(number), fingerprint(number)),
        username: None,
        hides_phone: false,
        name: format!("Customer {tail}"),
        reads: None,
        on_whatsapp: true,
        replies_with: Vec::new(),
        reply_delay_ms: 0,
    }
}

/// The country part of a BSUID, for the calling codes our users meet most.
fn country(number: &str) -> &'static str {
    const CODES: [(&str, &str); 12] = [
        ("62", "ID"),
        ("60", "MY"),
        ("65", "SG"),
        ("63", "PH"),
        ("66", "TH"),
        ("91", "IN"),
        ("55", "BR"),
        ("52", "MX"),
        ("44", "GB"),
        ("49", "DE"),
        ("34", "ES"),
        ("1", "US"),
    ];
    CODES.iter().find(|(code, _)| number.starts_with(code)).map_or("US", |(_, country)| country)
}

/// Digits of a phone number written in any way; anything else (a BSUID) as it is.
pub(crate) fn customer_key(text: &str) -> String {
    let written = |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')');
    if text.chars().all(written) {
        text.chars().filter(char::is_ascii_digit).collect()
    } else {
        text.to_owned()
    }
}

/// Whether the key can be a phone number (E.164: up to 15 digits).
pub(crate) fn is_number(key: &str) -> bool {
    (5..=15).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_digit())
}
