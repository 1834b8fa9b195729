//! Message templates: what is seeded, and what a send must bring along.

use serde_json::{Value, json};

/// A template of a WABA, in Meta's shape.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) language: String,
    pub(crate) status: String,
    pub(crate) category: String,
    pub(crate) named: bool,
    pub(crate) components: Vec<Value>,
}

impl Template {
    /// Reads a template in Meta's shape; none if it has no name. A missing status means approved.
    pub(crate) fn read(id: String, value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        Some(Self {
            id,
            name: text("name")?.to_owned(),
            language: text("language").unwrap_or("en_US").to_owned(),
            status: text("status").unwrap_or("APPROVED").to_uppercase(),
            category: text("category").unwrap_or("UTILITY").to_uppercase(),
            named: text("parameter_format").is_some_and(|it| it.eq_ignore_ascii_case("named")),
            components: value
                .get("components")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
        })
    }

    /// The template as `GET /W/message_templates` lists it.
    pub(crate) fn view(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "language": self.language,
            "status": self.status,
            "category": self.category,
            "parameter_format": if self.named { "NAMED" } else { "POSITIONAL" },
            "components": self.components,
            "quality_score": {"score": "GREEN", "date": 1_767_225_600},
            "rejected_reason": "NONE",
        })
    }

    /// The component of a type such as `BODY`.
    pub(crate) fn component(&self, kind: &str) -> Option<&Value> {
        self.components.iter().find(|it| is_kind(it, kind))
    }

    /// Its buttons.
    pub(crate) fn buttons(&self) -> &[Value] {
        self.component("BUTTONS")
            .and_then(|it| it.get("buttons"))
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }
}

/// Whether the object's `type` is this one, in any case.
pub(crate) fn is_kind(value: &Value, kind: &str) -> bool {
    value.get("type").and_then(Value::as_str).is_some_and(|it| it.eq_ignore_ascii_case(kind))
}

/// The distinct variables of a text: the names between `{{` and `}}`.
pub(crate) fn variables(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for part in text.split("{{").skip(1) {
        if let Some((name, _)) = part.split_once("}}") {
            let name = name.trim();
            if !name.is_empty() && !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

/// The templates every new account starts with.
pub(crate) fn seeds() -> Vec<Value> {
    let mut seeds = vec![
        json!({
            "name": "appointment_named", "language": "en_US", "category": "UTILITY",
            "parameter_format": "NAMED",
            "components": [{
                "type": "BODY",
                "text": "Hi {{first_name}}, we expect you on {{day}} at the clinic.",
                "example": {"body_text_named_params": [
                    {"param_name": "first_name", "example": "Jessica"},
                    {"param_name": "day", "example": "Monday"},
                ]},
            }],
        }),
        json!({
            "name": "under_review", "language": "en_US", "category": "MARKETING",
            "status": "PENDING",
            "components": [{"type": "BODY", "text": "Still waiting for approval."}],
        }),
    ];
    for (language, hello, order, promo, button) in [
        (
            "en_US",
            "Welcome and congratulations!! This message shows that messaging works.",
            "Hi {{1}}, your order {{2}} is confirmed.",
            "Hello {{1}}, this week everything is on sale!",
            ["Not interested", "Open the shop"],
        ),
        (
            "id",
            "Selamat datang! Pesan ini menunjukkan bahwa pengiriman berhasil.",
            "Halo {{1}}, pesanan {{2}} sudah dikonfirmasi.",
            "Halo {{1}}, minggu ini semua produk diskon!",
            ["Tidak tertarik", "Buka toko"],
        ),
    ] {
        seeds.push(hello_world(language, hello));
        seeds.push(order_confirmation(language, order));
        seeds.push(promo_banner(language, promo, button));
    }
    seeds
}

fn hello_world(language: &str, body: &str) -> Value {
    json!({
        "name": "hello_world", "language": language, "category": "UTILITY",
        "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Hello World"},
            {"type": "BODY", "text": body},
            {"type": "FOOTER", "text": "WhatsApp Business Platform sample message"},
        ],
    })
}

fn order_confirmation(language: &str, body: &str) -> Value {
    json!({
        "name": "order_confirmation", "language": language, "category": "UTILITY",
        "components": [
            {"type": "BODY", "text": body, "example": {"body_text": [["Jessica", "SKBUP2-4CPIG9"]]}},
        ],
    })
}

fn promo_banner(language: &str, body: &str, [reply, link]: [&str; 2]) -> Value {
    json!({
        "name": "promo_banner", "language": language, "category": "MARKETING",
        "components": [
            {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4::aW1hZ2U="]}},
            {"type": "BODY", "text": body, "example": {"body_text": [["Jessica"]]}},
            {"type": "BUTTONS", "buttons": [
                {"type": "QUICK_REPLY", "text": reply},
                {"type": "URL", "text": link, "url": "https://shop.example/{{1}}", "example": ["sale"]},
            ]},
        ],
    })
}
