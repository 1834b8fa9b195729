//! Webhooks: handshake, signature, order, repeats, batches.

use kabar_sandbox::{
    DEFAULT_WABA_ID, DeliveryStatus, Inbound, RawWebhook, RetryPlan, Settings, WebhookConfig,
};
use serde_json::json;

use crate::bed::{Bed, CUSTOMER, receiver, signed, wamid};

#[tokio::test]
async fn a_message_is_sent_delivered_and_read() {
    let bed = Bed::new().await;
    bed.open_window(CUSTOMER);
    let (_, answer) =
        bed.send(json!({"text": {"body": "hi"}, "biz_opaque_callback_data": "ref-1"})).await;
    bed.quiet().await;
    assert_eq!(bed.receiver.status_names(), ["sent", "delivered", "read"]);
    for status in bed.receiver.statuses() {
        assert_eq!(status["id"], wamid(&answer).as_str());
        assert_eq!(status["recipient_id"], CUSTOMER);
        assert_eq!(status["biz_opaque_callback_data"], "ref-1");
        assert!(status["timestamp"].as_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000);
    }
    let pricing = &bed.receiver.statuses()[0]["pricing"];
    assert_eq!(pricing["pricing_model"], "PMP");
    assert_eq!(pricing["category"], "service");
    let body = &bed.receiver.bodies()[0];
    assert_eq!(body["object"], "whatsapp_business_account");
    assert_eq!(body["entry"][0]["id"], DEFAULT_WABA_ID);
    assert_eq!(body["entry"][0]["changes"][0]["field"], "messages");
    assert_eq!(bed.sandbox.message(&wamid(&answer)).unwrap().status, DeliveryStatus::Read);
}

#[tokio::test]
async fn bodies_are_escaped_and_signed() {
    let bed = Bed::new().await;
    bed.sandbox.customer_says(Inbound::text(CUSTOMER, "h\u{e9} \u{1F600}")).unwrap();
    let raw = r#"{"strange":  "bödy"}"#;
    let text = RawWebhook { text: Some(raw.to_owned()), copies: Some(2), ..RawWebhook::default() };
    assert_eq!(bed.sandbox.post_webhook(text).unwrap(), 2);
    bed.quiet().await;
    {
        let posts = bed.receiver.posts.lock().unwrap();
        assert_eq!(posts.len(), 3);
        assert!(posts.iter().all(|(headers, body)| signed(headers, body)));
        assert_eq!(posts.iter().filter(|(_, body)| *body == raw.as_bytes()).count(), 2);
        let escaped = posts
            .iter()
            .any(|(_, body)| String::from_utf8_lossy(body).contains(r"h\u00e9 \ud83d\ude00"));
        assert!(escaped);
    }
    let forged = RawWebhook { json: Some(json!({})), bad_signature: true, ..RawWebhook::default() };
    bed.sandbox.post_webhook(forged).unwrap();
    bed.quiet().await;
    let posts = bed.receiver.posts.lock().unwrap();
    let (headers, body) = posts.last().unwrap();
    assert!(!signed(headers, body));
}

#[tokio::test]
async fn refused_webhooks_are_repeated_until_taken() {
    let retry = RetryPlan { gap_ms: 1, max_gap_ms: 4, ..RetryPlan::default() };
    let bed = Bed::with(Settings { retry, ..Settings::default() }).await;
    bed.receiver.script(&[500, 404, 301, 204]);
    bed.sandbox.customer_says(Inbound::text(CUSTOMER, "hi")).unwrap();
    bed.quiet().await;
    assert_eq!(bed.receiver.messages().len(), 1);
    let counts = bed.sandbox.pending();
    assert_eq!((counts.pending, counts.delivered, counts.attempts), (0, 1, 5));
    assert_eq!(bed.sandbox.webhooks(10)[0].attempts, 5);
}

#[tokio::test]
async fn repeats_end_after_the_total() {
    let retry = RetryPlan { gap_ms: 1, max_gap_ms: 1, total_ms: 3 };
    let bed = Bed::with(Settings { retry, ..Settings::default() }).await;
    bed.receiver.script(&[500; 50]);
    bed.sandbox.customer_says(Inbound::text(CUSTOMER, "hi")).unwrap();
    bed.quiet().await;
    let counts = bed.sandbox.pending();
    assert_eq!((counts.delivered, counts.abandoned), (0, 1));
    assert_eq!(bed.sandbox.webhooks(10)[0].status, Some(500));
}

#[tokio::test]
async fn a_callback_is_saved_only_after_the_handshake() {
    let bed = Bed::new().await;
    let other = receiver().await;
    let url = other.url.lock().unwrap().clone();
    let config =
        WebhookConfig { verify_token: Some("mine".to_owned()), ..WebhookConfig::new(&url) };
    let failed = bed.sandbox.set_webhook(config.clone()).await.unwrap();
    assert_eq!((failed.passed, failed.status), (false, Some(403)));
    assert_ne!(bed.sandbox.overview().callback_url.as_ref(), Some(&url));
    "mine".clone_into(&mut other.verify_token.lock().unwrap());
    assert!(bed.sandbox.set_webhook(config).await.unwrap().passed);
    bed.sandbox.customer_says(Inbound::text(CUSTOMER, "hi")).unwrap();
    bed.quiet().await;
    assert_eq!((other.messages().len(), bed.receiver.messages().len()), (1, 0));
}

#[tokio::test]
async fn updates_may_share_a_post() {
    let bed = Bed::with(Settings { batch: 1_000, ..Settings::default() }).await;
    bed.receiver.script(&[503]);
    for i in 0..50 {
        bed.sandbox.customer_says(Inbound::text(CUSTOMER, format!("{i}"))).unwrap();
    }
    bed.quiet().await;
    let texts: Vec<_> =
        bed.receiver.messages().iter().map(|it| it["text"]["body"].clone()).collect();
    assert_eq!(texts.len(), 50);
    assert!(bed.receiver.bodies().len() < 50);
}

#[tokio::test]
async fn without_a_callback_updates_are_counted_and_dropped() {
    let bed = Bed::new().await;
    bed.sandbox.clear_webhook();
    bed.sandbox.customer_says(Inbound::text(CUSTOMER, "hi")).unwrap();
    bed.quiet().await;
    assert_eq!(bed.sandbox.pending().unrouted, 1);
}
