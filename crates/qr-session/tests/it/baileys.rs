//! The state of a Baileys program.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kabar_qr_session::VaultBackend;
use kabar_qr_session::import::{self, ImportError, Left, Source};
use kabar_storage::testing::each_database;
use serde_json::{Value, json};
use wacore::libsignal::protocol::KeyPair;
use wacore::store::Device;
use wacore::store::traits::{DeviceStore as _, ProtocolStore as _, SignalStore as _};

use crate::support::sessions;

/// Bytes as `BufferJSON` writes them.
fn buffer(bytes: &[u8]) -> Value {
    json!({ "type": "Buffer", "data": STANDARD.encode(bytes) })
}

fn keys(pair: &KeyPair) -> Value {
    json!({
        "private": buffer(pair.private_key.serialize()),
        "public": buffer(pair.public_key.public_key_bytes()),
    })
}

/// The files of a device, as `useMultiFileAuthState` names them.
fn files(device: &Device) -> Value {
    let other = Device::new();
    json!({
        "creds.json": {
            "noiseKey": keys(&device.noise_key),
            "pairingEphemeralKeyPair": keys(&other.noise_key),
            "signedIdentityKey": keys(&device.identity_key),
            "signedPreKey": {
                "keyPair": keys(&device.signed_pre_key),
                "signature": buffer(&device.signed_pre_key_signature),
                "keyId": 1,
            },
            "registrationId": 77,
            "advSecretKey": STANDARD.encode(device.adv_secret_key),
            "processedHistoryMessages": [],
            "nextPreKeyId": 4,
            "firstUnuploadedPreKeyId": 3,
            "accountSyncCounter": 0,
            "accountSettings": { "unarchiveChats": false },
            "registered": false,
            "account": {
                "details": STANDARD.encode([1, 2]),
                "accountSignatureKey": STANDARD.encode([3; 32]),
                "accountSignature": STANDARD.encode([4; 64]),
                "deviceSignature": buffer(&[5; 64]),
            },
            "me": { "id": "628123:9@s.whatsapp.net", "lid": "1234:9@lid", "name": "Toko" },
            "routingInfo": { "type": "Buffer", "data": [8, 8, 5] },
            "platform": "android",
        },
        "pre-key-1.json": keys(&other.identity_key),
        "pre-key-2.json": keys(&other.noise_key),
        "pre-key-3.json": keys(&other.signed_pre_key),
        "session-1234_1.0.json": { "_sessions": {}, "version": "v1" },
        "sender-key-1@g.us--2--0.json": [],
        "sender-key-memory-1@g.us.json": {},
        "app-state-sync-key-AAAAAA.json": {},
        "app-state-sync-version-regular.json": {},
        "lid-mapping-628999.json": "4321",
        "lid-mapping-4321_reverse.json": "628999",
        "device-list-628999.json": ["0"],
    })
}

#[tokio::test]
async fn a_baileys_session_is_brought_in() {
    each_database(|test| async move {
        let ours = sessions(&test);
        let (fence, device) = (ours.held().await, Device::new());
        let text = files(&device).to_string();
        let left = import::bring_in_baileys(&*ours.vault, fence, text.as_bytes()).await.unwrap();
        assert_eq!(left, Left { sessions: 1, sender_keys: 1, app_state: 2, others: 2 });
        assert_eq!(import::source(&*ours.vault, fence.device).await.unwrap(), Source::Baileys);
        let backend = VaultBackend::new(Arc::clone(&ours.vault), fence);
        let loaded = backend.load().await.unwrap().unwrap();
        assert_eq!(loaded.pn.as_ref().unwrap().to_string(), "628123:9@s.whatsapp.net");
        assert_eq!(loaded.lid.as_ref().unwrap().to_string(), "1234:9@lid");
        assert_eq!((loaded.registration_id, loaded.push_name.as_str()), (77, "Toko"));
        assert_eq!((loaded.next_pre_key_id, loaded.first_unupload_pre_key_id), (4, 3));
        assert_eq!(loaded.adv_secret_key, device.adv_secret_key);
        assert_eq!(loaded.edge_routing_info.as_deref(), Some(&[8, 8, 5][..]));
        assert!(loaded.server_cert_chain.is_none(), "the first login proves the server anew");
        let private = |pair: &KeyPair| *pair.private_key.serialize();
        assert_eq!(private(&loaded.noise_key), private(&device.noise_key));
        assert_eq!(private(&loaded.identity_key), private(&device.identity_key));
        assert_eq!(backend.load_prekeys_batch(&[1, 2, 3, 4]).await.unwrap().len(), 3);
        let mapping = backend.get_pn_mapping("628999").await.unwrap().unwrap();
        assert_eq!(mapping.lid, "4321");
    })
    .await;
}

#[tokio::test]
async fn nobody_has_to_say_that_it_is_one() {
    each_database(|test| async move {
        let ours = sessions(&test);
        let (fence, text) = (ours.held().await, files(&Device::new()).to_string());
        let source = import::bring_in(&*ours.vault, fence, text.as_bytes()).await.unwrap();
        assert_eq!(source, Source::Baileys);
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_in_a_baileys_state_is_named() {
    let good = files(&Device::new());
    let file = |name: &str| good[name].clone();
    let with = |name: &str, content: Value| {
        let mut bad = good.clone();
        bad[name] = content;
        bad
    };
    let change = |name: &str, path: &str, value: Value| {
        let mut content = file(name);
        *content.pointer_mut(path).unwrap() = value;
        with(name, content)
    };
    let mut missing = good.clone();
    missing.as_object_mut().unwrap().remove("creds.json");
    let strange = keys(&Device::new().noise_key)["public"].clone();
    let cases = [
        (missing, "creds.json"),
        (change("creds.json", "/registrationId", json!("x")), "creds.json: registrationId"),
        (change("creds.json", "/noiseKey/private", json!(5)), "creds.json: noiseKey.private"),
        (change("creds.json", "/noiseKey/public", strange), "creds.json: noiseKey.public"),
        (change("creds.json", "/advSecretKey", json!("AAAA")), "creds.json: advSecretKey"),
        (change("creds.json", "/me/id", json!("nobody")), "creds.json: me.id"),
        (with("pre-key-2.json", json!({})), "pre-key-2.json: the document"),
        (with("pre-key-0.json", keys(&Device::new().noise_key)), "prekeys[0].id"),
    ];
    for (bad, wanted) in cases {
        let refused = import::read_baileys(bad.to_string().as_bytes());
        let Err(ImportError::Field { field, problem }) = refused.map(|_| ()) else {
            panic!("{wanted} is taken");
        };
        assert_eq!(field, wanted, "{problem}");
    }
}
