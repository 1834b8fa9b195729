//! Media there and back.

use std::time::Duration;

use kabar_sandbox::{
    DEFAULT_PHONE_NUMBER_ID as NUMBER, DEFAULT_TOKEN, Inbound, InboundContent, MediaKind,
};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::bed::{Bed, CUSTOMER, answer, code};

async fn upload(bed: &Bed, mime: &str, bytes: Vec<u8>) -> (u16, Value) {
    let part = Part::bytes(bytes).file_name("a").mime_str(mime).unwrap();
    let form = Form::new()
        .text("messaging_product", "whatsapp")
        .text("type", mime.to_owned())
        .part("file", part);
    let url = bed.graph(&format!("{NUMBER}/media"));
    answer(bed.client.post(url).bearer_auth(DEFAULT_TOKEN).multipart(form)).await
}

#[tokio::test]
async fn a_file_goes_up_and_comes_down() {
    let bed = Bed::new().await;
    let (status, uploaded) = upload(&bed, "image/png", b"picture".to_vec()).await;
    assert_eq!(status, 200, "{uploaded}");
    let id = uploaded["id"].as_str().unwrap();
    let (_, info) = bed.get(&format!("{id}?phone_number_id={NUMBER}")).await;
    assert_eq!(info["mime_type"], "image/png");
    assert_eq!(info["file_size"], 7);
    assert_eq!(info["id"], id);
    assert_eq!(info["sha256"].as_str().unwrap().len(), 64);
    let url = info["url"].as_str().unwrap();
    assert_eq!(bed.client.get(url).send().await.unwrap().status(), 401);
    let download = || bed.client.get(url).bearer_auth(DEFAULT_TOKEN).send();
    let response = download().await.unwrap();
    assert_eq!(response.headers()["content-type"], "image/png");
    assert_eq!(response.bytes().await.unwrap(), "picture");
    bed.sandbox.advance_clock(Duration::from_mins(6));
    assert_eq!(download().await.unwrap().status(), 404);

    bed.open_window(CUSTOMER);
    let content = json!({"type": "image", "image": {"id": id}});
    assert_eq!(bed.send(content.clone()).await.0, 200);
    assert_eq!(bed.delete(id).await, (200, json!({"success": true})));
    let (status, answer) = bed.get(id).await;
    assert_eq!((status, code(&answer), &answer["error"]["error_subcode"]), (400, 100, &json!(33)));
    assert_eq!(code(&bed.send(content).await.1), 100);
}

#[tokio::test]
async fn sizes_and_types_are_limited() {
    let bed = Bed::new().await;
    let mb = 1024 * 1024;
    for (mime, size, expected) in [
        ("image/jpeg", 5 * mb, None),
        ("image/jpeg", 5 * mb + 1, Some(131_053)),
        ("audio/ogg; codecs=opus", 10, None),
        ("image/webp", 500 * 1024 + 1, Some(131_053)),
        ("video/mp4", 16 * mb + 1, Some(131_053)),
        ("application/pdf", 17 * mb, None),
        ("application/pdf", 0, Some(131_053)),
        ("application/x-tar", 10, Some(100)),
    ] {
        let (status, answer) = upload(&bed, mime, vec![0; size]).await;
        match expected {
            None => assert_eq!(status, 200, "{mime} {answer}"),
            Some(expected) => assert_eq!((status, code(&answer)), (400, expected), "{mime}"),
        }
    }
}

#[tokio::test]
async fn a_file_of_the_wrong_kind_fails_by_webhook() {
    let bed = Bed::new().await;
    bed.open_window(CUSTOMER);
    let id = bed.sandbox.store_media(NUMBER, "application/pdf", "pdf").unwrap();
    assert_eq!(bed.send(json!({"type": "image", "image": {"id": id}})).await.0, 200);
    bed.quiet().await;
    assert_eq!(bed.receiver.statuses()[0]["errors"][0]["code"], 131_053);
}

#[tokio::test]
async fn a_customers_picture_can_be_fetched() {
    let bed = Bed::new().await;
    let content = InboundContent::Media {
        kind: MediaKind::Image,
        data: "from the customer".into(),
        mime_type: "image/jpeg".to_owned(),
        caption: Some("look".to_owned()),
        filename: None,
        voice: false,
    };
    let receipt = bed.sandbox.customer_says(Inbound::new(CUSTOMER, content)).unwrap();
    bed.quiet().await;
    let message = bed.receiver.messages().remove(0);
    let image = &message["image"];
    assert_eq!(image["id"], receipt.media_id.unwrap());
    assert_eq!(image["caption"], "look");
    let (_, info) = bed.get(image["id"].as_str().unwrap()).await;
    for url in [&info["url"], &image["url"]] {
        let request = bed.client.get(url.as_str().unwrap()).bearer_auth(DEFAULT_TOKEN);
        assert_eq!(request.send().await.unwrap().text().await.unwrap(), "from the customer");
    }
}
