//! Media, up and down.

use kabar_sandbox::multi_device::Content;
use wacore::download::MediaType;
use whatsapp_rust::UploadOptions;
use whatsapp_rust::prelude::{MessageField, wa};

use crate::bed::{ALICE, BOB, PATIENCE, device, pn, server};

#[tokio::test(flavor = "multi_thread")]
async fn pictures_go_both_ways() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;
    let picture = vec![7_u8; 70_000];

    let content = Content::Image {
        data: picture.clone(),
        mime_type: "image/png".to_owned(),
        caption: Some("from the phone".to_owned()),
    };
    bob.send(ALICE, content).unwrap();
    let got = alice.message("a picture", |it| it.message.image_message.is_set()).await;
    let image = got.message.image_message.as_option().unwrap();
    assert_eq!(alice.client.download(image).await.unwrap(), picture);

    let upload = alice
        .client
        .upload(picture.clone(), MediaType::Image, UploadOptions::default())
        .await
        .unwrap();
    let image = wa::message::ImageMessage {
        url: Some(upload.url),
        direct_path: Some(upload.direct_path),
        media_key: Some(upload.media_key.to_vec()),
        file_sha256: Some(upload.file_sha256.to_vec()),
        file_enc_sha256: Some(upload.file_enc_sha256.to_vec()),
        file_length: Some(upload.file_length),
        mimetype: Some("image/png".to_owned()),
        ..Default::default()
    };
    let message = wa::Message { image_message: MessageField::some(image), ..Default::default() };
    let sent = alice.client.send_message(pn(BOB), message).await.unwrap();
    let got = bob.wait_for("it", PATIENCE, |it| it.id == sent.message_id).await.unwrap();
    assert_eq!(bob.download(&got.id).unwrap(), picture);
    alice.stop().await;
}
