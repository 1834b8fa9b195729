//! Uploads: once per file and number, and nothing that Meta would not take.

use chrono::TimeDelta;
use futures_util::future::join_all;
use kabar_channel::content::Media;
use kabar_channel::ports::Uploaded;
use kabar_channel::{Channel as _, Content, MediaRef, SendError};
use kabar_core::Clock as _;
use serde_json::json;

use crate::support::{
    FakeGraph, Files, FixedClock, NUMBER, Reply, TOKEN, cloud, device, media_id, outgoing,
};

fn stored() -> Media {
    Media::new(MediaRef::Stored(media_id()))
}

fn voice() -> Media {
    Media { voice: true, ..stored() }
}

#[tokio::test]
async fn a_file_is_uploaded_and_remembered_for_thirty_days() {
    let graph =
        FakeGraph::start([Reply::json(200, &json!({ "id": 1_037_543_291_543_636_u64 }))]).await;
    let files = Files::of("image/png; charset=binary", "PNG");
    let cloud = cloud(&graph.address, files.clone());
    let message = outgoing(Content::Image(stored()));

    let prepared = cloud.prepare(&device(), &message).await.unwrap();
    assert_eq!(prepared.json()["image"], json!({ "id": "1037543291543636" }));
    let again = cloud.prepare(&device(), &message).await.unwrap();
    assert_eq!(again, prepared);

    let asked = graph.asked();
    assert_eq!(asked.len(), 1, "the second time the upload is known");
    assert_eq!(asked[0].line(), format!("POST /v25.0/{NUMBER}/media"));
    assert_eq!(asked[0].headers["authorization"], format!("Bearer {TOKEN}"));
    assert!(asked[0].headers.contains_key("content-length"));
    let body = String::from_utf8_lossy(&asked[0].body).into_owned();
    for part in [
        "name=\"messaging_product\"\r\n\r\nwhatsapp",
        "name=\"type\"\r\n\r\nimage/png",
        "name=\"file\"; filename=\"stored.bin\"\r\nContent-Type: image/png\r\n\r\nPNG",
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
    let known = files.known.lock().unwrap().clone().unwrap();
    assert_eq!(known.expires_at, FixedClock.now() + TimeDelta::days(30));
}

#[tokio::test]
async fn sends_in_parallel_upload_a_file_once() {
    let graph = FakeGraph::start([Reply::json(200, &json!({ "id": "7" }))]).await;
    let cloud = cloud(&graph.address, Files::of("image/png", "PNG"));
    let (device, message) = (device(), outgoing(Content::Image(stored())));
    let sends = (0..20).map(|_| cloud.prepare(&device, &message));
    for prepared in join_all(sends).await {
        assert_eq!(prepared.unwrap().json()["image"]["id"], "7");
    }
    assert_eq!(graph.asked().len(), 1);
}

#[tokio::test]
async fn an_upload_about_to_expire_is_repeated() {
    let graph = FakeGraph::start([Reply::json(200, &json!({ "id": "new" }))]).await;
    let files = Files::of("application/pdf", "%PDF");
    *files.known.lock().unwrap() = Some(Uploaded {
        wire_media_id: "old".into(),
        expires_at: FixedClock.now() + TimeDelta::minutes(5),
    });
    let cloud = cloud(&graph.address, files);
    let message = outgoing(Content::Document(stored()));
    let prepared = cloud.prepare(&device(), &message).await.unwrap();
    assert_eq!(prepared.json()["document"]["id"], "new");
}

fn webp(flags: u8, size: usize) -> Vec<u8> {
    let mut bytes = b"RIFF....WEBPVP8X....".to_vec();
    bytes.push(flags);
    bytes.resize(size, 0);
    bytes
}

#[tokio::test]
async fn what_meta_would_not_take_is_refused_before_the_upload() {
    const MB: usize = 1024 * 1024;
    let image = || Content::Image(stored());
    let sticker = || Content::Sticker(stored());
    for (content, mime, bytes, code) in [
        (image(), "image/gif", vec![0; 10], "media_type"),
        (image(), "image/png", vec![0; 5 * MB + 1], "media_size"),
        (image(), "image/png", vec![], "media_size"),
        (Content::Video(stored()), "video/quicktime", vec![0; 10], "media_type"),
        (Content::Video(stored()), "video/mp4", vec![0; 16 * MB + 1], "media_size"),
        (Content::Audio(voice()), "audio/mpeg", vec![0; 10], "media_type"),
        (Content::Audio(stored()), "audio/wav", vec![0; 10], "media_type"),
        (Content::Document(stored()), "application/x-msdownload", vec![0; 10], "media_type"),
        (sticker(), "image/png", vec![0; 10], "media_type"),
        (sticker(), "image/webp", webp(0, 101 * 1024), "media_size"),
        (sticker(), "image/webp", webp(2, 501 * 1024), "media_size"),
    ] {
        let graph = FakeGraph::start([]).await;
        let cloud = cloud(&graph.address, Files::of(mime, bytes));
        let error = cloud.prepare(&device(), &outgoing(content)).await.unwrap_err();
        assert!(matches!(error, SendError::Refused { .. }), "{mime}: {error}");
        assert_eq!(error.reason().code, code, "{mime}: {error}");
        assert!(graph.asked().is_empty());
    }
}

#[tokio::test]
async fn types_that_meta_takes_are_uploaded_under_its_name_for_them() {
    for (content, mime, bytes, uploaded) in [
        (Content::Audio(voice()), "audio/ogg; codecs=opus", vec![1; 10], "audio/ogg"),
        (Content::Audio(stored()), "audio/x-m4a", vec![1; 10], "audio/mp4"),
        (Content::Image(stored()), "image/jpg", vec![1; 10], "image/jpeg"),
        (Content::Sticker(stored()), "image/webp", webp(2, 200 * 1024), "image/webp"),
        (Content::Document(stored()), "Text/Plain", vec![1; 10], "text/plain"),
    ] {
        let graph = FakeGraph::start([Reply::json(200, &json!({ "id": "7" }))]).await;
        let cloud = cloud(&graph.address, Files::of(mime, bytes));
        cloud.prepare(&device(), &outgoing(content)).await.unwrap();
        let body = String::from_utf8_lossy(&graph.asked()[0].body).into_owned();
        let line = format!("name=\"type\"\r\n\r\n{uploaded}\r\n");
        assert!(body.contains(&line), "{mime}");
    }
}

/// An upload may be repeated, so preparing is never uncertain.
#[tokio::test]
async fn a_failed_upload_is_never_uncertain() {
    for (reply, wanted) in [
        (Reply::raw(502, "<html>"), "retry"),
        (Reply::raw(200, "not json"), "retry"),
        (Reply::error(400, 131_053), "refused"),
        (Reply::error(401, 190), "down"),
        (Reply::error(429, 130_429), "slow"),
    ] {
        let graph = FakeGraph::start([reply]).await;
        let cloud = cloud(&graph.address, Files::of("image/png", "PNG"));
        let message = outgoing(Content::Image(stored()));
        let error = cloud.prepare(&device(), &message).await.unwrap_err();
        assert_eq!(crate::classify::word(&error), wanted, "{error}");
    }
}
