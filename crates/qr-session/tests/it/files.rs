//! Session files.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kabar_channel::Fence;
use kabar_channel::vault::VaultError;
use kabar_qr_session::VaultBackend;
use kabar_qr_session::backend::shelf;
use kabar_qr_session::import::{self, ImportError, Source};
use kabar_storage::testing::each_database;
use serde_json::{Value, json};
use wacore::libsignal::store::record_helpers::new_pre_key_record;
use wacore::store::Device;
use wacore::store::traits::{
    AppStateSyncKey, AppSyncStore as _, DeviceStore as _, MsgSecretStore as _, ProtocolStore as _,
    SignalStore as _,
};
use waproto::buffa::Message as _;

use crate::support::{paired, sessions};

fn record(id: u32) -> Vec<u8> {
    new_pre_key_record(id, &Device::new().noise_key).encode_to_vec()
}

fn document(device: &Device) -> Value {
    let prekeys: Vec<Value> =
        (1..=5).map(|id| json!({ "id": id, "record": STANDARD.encode(record(id)) })).collect();
    json!({
        "format": "kabar-session",
        "version": 1,
        "source": "sandbox",
        "device": device,
        "prekeys": prekeys,
    })
}

async fn bring_in(
    ours: &kabar_testkit::sessions::Sessions,
    fence: Fence,
    document: &Value,
) -> Result<Source, ImportError> {
    import::bring_in(&*ours.vault, fence, document.to_string().as_bytes()).await
}

#[tokio::test]
async fn a_session_is_brought_in_and_says_where_it_is_from() {
    each_database(|test| async move {
        let ours = sessions(&test);
        let (fence, device) = (ours.held().await, paired());
        assert_eq!(import::source(&*ours.vault, fence.device).await.unwrap(), Source::Kabar);
        // A pairing was begun and came to nothing.
        let backend = VaultBackend::new(Arc::clone(&ours.vault), fence);
        backend.create().await.unwrap();
        backend.store_prekey(77, b"left over", false).await.unwrap();
        let source = bring_in(&ours, fence, &document(&device)).await.unwrap();
        assert_eq!(source, Source::Sandbox);
        assert_eq!(import::source(&*ours.vault, fence.device).await.unwrap(), Source::Sandbox);
        let loaded = backend.load().await.unwrap().unwrap();
        assert_eq!(json!(loaded), json!(device));
        assert!(backend.load_prekey(5).await.unwrap().is_some());
        assert_eq!(backend.get_max_prekey_id().await.unwrap(), 5);
        // Over a session nothing is brought in.
        let again = bring_in(&ours, fence, &document(&paired())).await;
        assert!(matches!(again, Err(ImportError::Occupied)), "{again:?}");
        assert_eq!(json!(backend.load().await.unwrap().unwrap()), json!(device));
    })
    .await;
}

#[tokio::test]
async fn what_was_taken_along_is_the_same_elsewhere() {
    each_database(|test| async move {
        let ours = sessions(&test);
        let (here, there) = (ours.held().await, ours.held().await);
        let empty = import::take_along(&*ours.vault, here.device).await;
        assert!(matches!(empty.err(), Some(ImportError::Empty)));
        bring_in(&ours, here, &document(&paired())).await.unwrap();
        let backend = VaultBackend::new(Arc::clone(&ours.vault), here);
        backend.put_session("1@c.us.0", b"ratchet").await.unwrap();
        backend.mark_prekeys_uploaded(&[2]).await.unwrap();
        backend.store_prekey(9, &record(9), false).await.unwrap();
        backend
            .set_sender_key_status("g@g.us", &[("1@lid", true), ("2@lid", false)])
            .await
            .unwrap();
        backend.put_msg_secret("c", "s", "m", &[3; 32]).await.unwrap();
        let key = AppStateSyncKey { key_data: vec![1], fingerprint: vec![2], timestamp: 3 };
        backend.set_sync_key(b"\x00\xff", key).await.unwrap();

        let file = import::take_along(&*ours.vault, here.device).await.unwrap();
        let text = file.write().unwrap();
        let source = import::bring_in(&*ours.vault, there, &text).await.unwrap();
        assert_eq!(source, Source::Sandbox, "it stays what it was");
        let shelves = shelf::CARRIED.iter().chain([&shelf::DEVICE, &shelf::PREKEYS, &shelf::ABOUT]);
        let mut filled = 0;
        for shelf in shelves {
            let one = ours.vault.list(here.device, *shelf, &[]).await.unwrap();
            let other = ours.vault.list(there.device, *shelf, &[]).await.unwrap();
            filled += usize::from(!one.is_empty());
            assert_eq!(one, other, "{shelf}");
        }
        assert_eq!(filled, 8);
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_stored() {
    each_database(|test| async move {
        let ours = sessions(&test);
        let fence = ours.held().await;
        let device = paired();
        let good = document(&device);
        let with = |path: &str, value: Value| {
            let mut bad = good.clone();
            *bad.pointer_mut(path).unwrap() = value;
            bad
        };
        let swapped = STANDARD.encode(record(3));
        let mut unknown = good.clone();
        unknown["shelves"] = json!({ "pantry": [] });
        let mut odd_item = good.clone();
        odd_item["shelves"] = json!({ "sessions": [{ "key": "AA==", "value": "?" }] });
        let mut missing = good.clone();
        missing.as_object_mut().unwrap().remove("device");
        let mut other_signature = json!(device.signed_pre_key_signature.to_vec());
        other_signature[7] = json!(other_signature[7].as_u64().unwrap() ^ 1);
        let cases = [
            (with("/format", json!("other")), "format"),
            (with("/version", json!(2)), "version"),
            (with("/source", json!("moon")), "source"),
            (with("/device/noise_key", json!([1, 2])), "device.noise_key"),
            (with("/device/registration_id", json!("clear-secret")), "device.registration_id"),
            (with("/device/pn", Value::Null), "device.pn"),
            (with("/device/account", Value::Null), "device.account"),
            (
                with("/device/signed_pre_key_signature", other_signature),
                "device.signed_pre_key_signature",
            ),
            (with("/prekeys/1/id", json!(1)), "prekeys[1].id"),
            (with("/prekeys/1/id", json!(0)), "prekeys[1].id"),
            (with("/prekeys/1/id", json!(0x100_0000)), "prekeys[1].id"),
            (with("/prekeys/1/record", json!("clear-secret!")), "prekeys[1].record"),
            (with("/prekeys/1/record", json!("AAAA")), "prekeys[1].record"),
            (with("/prekeys/1/record", json!(swapped)), "prekeys[1].record"),
            (unknown, "shelves.pantry"),
            (odd_item, "shelves.sessions[0].value"),
            (missing, "the document"),
            (json!([]), "the document"),
        ];
        for (bad, wanted) in cases {
            let refused = bring_in(&ours, fence, &bad).await;
            let Err(ImportError::Field { field, problem }) = &refused else {
                panic!("{wanted}: {refused:?}");
            };
            assert_eq!(field, wanted, "{problem}");
            assert!(!problem.contains("clear-secret"), "{problem}");
        }
        for text in ["", "{", "nonsense"] {
            let refused = import::bring_in(&*ours.vault, fence, text.as_bytes()).await;
            assert!(matches!(refused, Err(ImportError::Field { .. })), "{refused:?}");
        }
        for shelf in [shelf::DEVICE, shelf::PREKEYS, shelf::ABOUT] {
            assert_eq!(ours.vault.count(fence.device, shelf).await.unwrap(), 0);
        }
        // Nor by somebody who does not own the device.
        ours.taken_over(fence).await;
        let refused = bring_in(&ours, fence, &good).await;
        let fenced = ImportError::Vault(VaultError::Fenced(fence.device)).to_string();
        assert_eq!(refused.unwrap_err().to_string(), fenced);
        assert_eq!(ours.vault.count(fence.device, shelf::DEVICE).await.unwrap(), 0);
    })
    .await;
}
