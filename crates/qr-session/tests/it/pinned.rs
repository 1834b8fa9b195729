//! What the engine relies on, one by one.

use std::error::Error as _;
use std::sync::Arc;

use bytes::Bytes;
use kabar_channel::vault::VaultError;
use kabar_qr_session::VaultBackend;
use kabar_qr_session::backend::shelf;
use kabar_storage::testing::each_database;
use wacore::appstate::processor::AppStateMutationMAC;
use wacore::store::device::DEVICE_PROPS;
use wacore::store::error::StoreError;
use wacore::store::traits::{
    AppSyncStore as _, DeviceListRecord, DeviceStore as _, LidPnMappingEntry, MsgSecretEntry,
    MsgSecretStore as _, PendingInboundKey, PendingInboundRow, ProtocolStore as _,
    SignalStore as _, TcTokenEntry,
};

use crate::support::{Counting, sessions};

#[tokio::test]
async fn a_key_that_was_used_up_is_not_brought_back_by_its_upload() {
    each_database(|test| async move {
        let ours = sessions(&test);
        let fence = ours.held().await;
        let backend = VaultBackend::new(Arc::clone(&ours.vault), fence);
        let keys: Vec<(u32, Bytes)> = (1..=5).map(|id| (id, Bytes::from(vec![1; 70]))).collect();
        backend.store_prekeys_batch(&keys, false).await.unwrap();
        backend.remove_prekey(3).await.unwrap();
        backend.mark_prekeys_uploaded(&[1, 2, 3, 4]).await.unwrap();
        assert_eq!(backend.load_prekey(3).await.unwrap(), None);
        let stored = ours.vault.list(fence.device, shelf::PREKEYS, &[]).await.unwrap();
        let marks: Vec<Option<i64>> = stored.iter().map(|item| item.mark).collect();
        assert_eq!(marks, [Some(1), Some(1), Some(1), Some(0)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sent_message_is_taken_by_one() {
    each_database(|test| async move {
        let ours = sessions(&test);
        let backend = VaultBackend::new(Arc::clone(&ours.vault), ours.held().await);
        let backend = Arc::new(backend);
        backend.store_sent_message("chat", "id", b"payload").await.unwrap();
        let mut takers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let backend = Arc::clone(&backend);
            takers.spawn(async move { backend.take_sent_message("chat", "id").await.unwrap() });
        }
        let taken: Vec<Vec<u8>> = takers.join_all().await.into_iter().flatten().collect();
        assert_eq!(taken, [b"payload".to_vec()]);
    })
    .await;
}

/// The window of a secret never shrinks, whatever comes again.
#[tokio::test]
async fn deadlines_of_secrets_only_move_away() {
    each_database(|test| async move {
        let ours = sessions(&test);
        let backend = VaultBackend::new(Arc::clone(&ours.vault), ours.held().await);
        let entry = |expires_at, message_ts| MsgSecretEntry {
            chat: "c".into(),
            sender: "s".into(),
            msg_id: "m".into(),
            secret: [7; 32],
            expires_at,
            message_ts,
        };
        for (expires_at, message_ts) in [(100, 50), (90, 0), (120, 40)] {
            backend.put_msg_secrets(vec![entry(expires_at, message_ts)]).await.unwrap();
        }
        assert_eq!(backend.delete_expired_msg_secrets(119).await.unwrap(), 0);
        let (_, at) = backend.get_msg_secret_with_ts("c", "s", "m").await.unwrap().unwrap();
        assert_eq!(at, 50);
        // Never is later than any time, and stays.
        backend.put_msg_secrets(vec![entry(0, 0), entry(5, 0)]).await.unwrap();
        assert_eq!(backend.delete_expired_msg_secrets(i64::MAX - 1).await.unwrap(), 0);
        assert!(backend.get_msg_secret("c", "s", "m").await.unwrap().is_some());
    })
    .await;
}

async fn learn(backend: &VaultBackend, lid: &str, number: &str) {
    let entry = LidPnMappingEntry {
        lid: lid.to_owned(),
        phone_number: number.to_owned(),
        created_at: 1,
        updated_at: 1,
        learning_source: "usync".to_owned(),
    };
    backend.put_lid_mapping(&entry).await.unwrap();
}

async fn owner(backend: &VaultBackend, number: &str) -> Option<String> {
    backend.get_pn_mapping(number).await.unwrap().map(|entry| entry.lid)
}

/// A number that was given to another linked id is that one's, also when the first one moves on.
#[tokio::test]
async fn a_number_belongs_to_whom_it_was_given_last() {
    each_database(|test| async move {
        let ours = sessions(&test);
        let backend = VaultBackend::new(Arc::clone(&ours.vault), ours.held().await);
        learn(&backend, "A", "1").await;
        learn(&backend, "B", "1").await;
        learn(&backend, "A", "2").await;
        assert_eq!(owner(&backend, "1").await.as_deref(), Some("B"));
        assert_eq!(owner(&backend, "2").await.as_deref(), Some("A"));
        learn(&backend, "B", "3").await;
        assert_eq!(owner(&backend, "1").await, None);
    })
    .await;
}

/// Ids of messages are chosen by who sends them.
#[tokio::test]
async fn no_id_reaches_into_another_chat() {
    each_database(|test| async move {
        let ours = sessions(&test);
        let backend = VaultBackend::new(Arc::clone(&ours.vault), ours.held().await);
        backend.store_pending_inbound("a", "b", "c", b"mine").await.unwrap();
        for (chat, sender, id) in
            [("a", "b\0c", ""), ("ab", "", "c"), ("a", "", "bc"), ("", "ab", "c")]
        {
            backend.store_pending_inbound(chat, sender, id, b"theirs").await.unwrap();
        }
        let kept = backend.get_pending_inbound("a", "b", "c").await.unwrap();
        assert_eq!(kept.as_deref(), Some(&b"mine"[..]));
    })
    .await;
}

#[tokio::test]
async fn every_batch_is_one_call_of_the_vault() {
    each_database(|test| async move {
        let ours = sessions(&test);
        let counting = Counting::new(Arc::clone(&ours.vault));
        let backend = VaultBackend::new(counting.clone(), ours.held().await);
        let one = || counting.calls();
        let entries: Vec<(Arc<str>, Bytes)> =
            (0..9).map(|id| (Arc::from(format!("{id}@c.us")), Bytes::from_static(b"r"))).collect();
        let identities: Vec<(Arc<str>, [u8; 32])> =
            entries.iter().map(|(address, _)| (Arc::clone(address), [1; 32])).collect();
        backend.put_identities_batch(&identities).await.unwrap();
        assert_eq!(one(), 1);
        backend.put_sessions_batch(&entries).await.unwrap();
        assert_eq!(one(), 1);
        backend.put_sender_keys_batch(&entries).await.unwrap();
        assert_eq!(one(), 1);
        assert!(backend.has_signal_state_for_user("3").await.unwrap());
        assert_eq!(one(), 1);
        let keys: Vec<(u32, Bytes)> = (1..=812).map(|id| (id, Bytes::from(vec![1; 70]))).collect();
        backend.store_prekeys_batch(&keys, false).await.unwrap();
        assert_eq!(one(), 1);
        let ids: Vec<u32> = (1..=812).collect();
        backend.mark_prekeys_uploaded(&ids).await.unwrap();
        assert_eq!(one(), 1);
        assert_eq!(backend.load_prekeys_batch(&ids).await.unwrap(), keys);
        assert_eq!(one(), 1);
        rest_in_one_call(&backend, &one).await;
    })
    .await;
}

async fn rest_in_one_call(backend: &VaultBackend, one: &impl Fn() -> usize) {
    let mac = |byte: u8| AppStateMutationMAC { index_mac: vec![byte; 32], value_mac: vec![byte] };
    backend.put_mutation_macs("regular", 1, &[mac(1), mac(2)]).await.unwrap();
    assert_eq!(one(), 1);
    assert_eq!(backend.get_mutation_macs("regular", &[[1; 32], [3; 32]]).await.unwrap().len(), 1);
    assert_eq!(one(), 1);
    backend.delete_mutation_macs("regular", &[vec![1; 32], vec![2; 32]]).await.unwrap();
    assert_eq!(one(), 1);
    backend.set_sender_key_status("g", &[("a", true), ("b", false)]).await.unwrap();
    assert_eq!(one(), 1);
    backend.delete_sender_key_device_rows(&["a", "b"]).await.unwrap();
    assert_eq!(one(), 1);
    let entry = |lid: &str| LidPnMappingEntry {
        lid: lid.to_owned(),
        phone_number: format!("{lid}0"),
        created_at: 0,
        updated_at: 0,
        learning_source: String::new(),
    };
    backend.put_lid_mappings(&[entry("1"), entry("2")]).await.unwrap();
    assert_eq!(one(), 1);
    let list = |user: &str| DeviceListRecord {
        user: user.to_owned(),
        devices: Vec::new(),
        timestamp: 0,
        phash: None,
        raw_id: None,
    };
    backend.update_device_lists(vec![list("1"), list("2")]).await.unwrap();
    assert_eq!(one(), 1);
    let (chat, sender, message) = ("c", "s", &b"m"[..]);
    let rows = ["1", "2"].map(|id| PendingInboundRow { chat, sender, id, message });
    backend.store_pending_inbound_batch(&rows).await.unwrap();
    assert_eq!(one(), 1);
    let keys = ["1", "2"].map(|id| PendingInboundKey { chat, sender, id });
    backend.delete_pending_inbound_batch(&keys).await.unwrap();
    assert_eq!(one(), 1);
    // Nothing to do asks nobody.
    backend.put_sessions_batch(&[]).await.unwrap();
    backend.mark_prekeys_uploaded(&[]).await.unwrap();
    backend.put_msg_secrets(Vec::new()).await.unwrap();
    assert_eq!(one(), 0);
}

/// Two who write the two halves of a token at the same time do not undo each other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn halves_of_a_token_do_not_undo_each_other() {
    each_database(|test| async move {
        let ours = sessions(&test);
        let backend = VaultBackend::new(Arc::clone(&ours.vault), ours.held().await);
        for round in 1_i64..20 {
            let bytes = round.to_be_bytes();
            let (given, received) = tokio::join!(
                backend.touch_tc_token_sender_timestamp("1@lid", round),
                backend.store_received_tc_token("1@lid", &bytes, round),
            );
            given.unwrap();
            received.unwrap();
            let TcTokenEntry { token, token_timestamp, sender_timestamp } =
                backend.get_tc_token("1@lid").await.unwrap().unwrap();
            assert_eq!(token, bytes);
            assert_eq!((token_timestamp, sender_timestamp), (round, Some(round)));
        }
    })
    .await;
}

#[tokio::test]
async fn who_lost_the_device_is_told_and_asks_no_more() {
    each_database(|test| async move {
        let ours = sessions(&test);
        let fence = ours.held().await;
        let counting = Counting::new(Arc::clone(&ours.vault));
        let backend = VaultBackend::new(counting.clone(), fence);
        let mut fenced = backend.fenced();
        backend.put_session("a", b"1").await.unwrap();
        assert!(!*fenced.borrow_and_update());
        ours.taken_over(fence).await;
        let refused = backend.put_session("a", b"2").await.unwrap_err();
        assert!(matches!(&refused, StoreError::Database(_)), "{refused:?}");
        let source = refused.source().and_then(|source| source.downcast_ref::<VaultError>());
        assert!(matches!(source, Some(VaultError::Fenced(device)) if *device == fence.device));
        // The engine tries again what it takes for a passing lock.
        assert!(!refused.is_database_busy_or_locked());
        fenced.changed().await.unwrap();
        assert!(*fenced.borrow());
        // Whoever asks later is told, too.
        assert!(*backend.fenced().borrow());
        counting.calls();
        assert!(backend.put_session("a", b"3").await.is_err());
        assert!(backend.take_sent_message("a", "b").await.is_err());
        assert!(backend.delete_expired_sent_messages(1).await.is_err());
        assert_eq!(counting.calls(), 0);
        assert_eq!(backend.get_session("a").await.unwrap().as_deref(), Some(&b"1"[..]));
    })
    .await;
}

/// What the engine does not store must not be missing when a new device registers.
#[tokio::test]
async fn a_new_device_introduces_itself() {
    each_database(|test| async move {
        let ours = sessions(&test);
        let backend = VaultBackend::new(Arc::clone(&ours.vault), ours.held().await);
        assert!(!backend.exists().await.unwrap());
        backend.create().await.unwrap();
        let first = backend.load().await.unwrap().unwrap();
        assert_eq!(*first.device_props, *DEVICE_PROPS);
        // Creating it again keeps it.
        backend.create().await.unwrap();
        let again = backend.load().await.unwrap().unwrap();
        assert_eq!(again.registration_id, first.registration_id);
        assert_eq!(
            again.noise_key.private_key.serialize(),
            first.noise_key.private_key.serialize()
        );
    })
    .await;
}
