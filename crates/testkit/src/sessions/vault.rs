//! The vault: what is put there is there, and changes are whole.

use kabar_channel::vault::{Change, Fence, Item, SessionVault, Shelf};

use super::{OTHER, SHELF, Sessions};

pub(super) async fn contract(sessions: &Sessions) {
    let fence = sessions.held().await;
    let vault = &*sessions.vault;
    items_come_back(vault, fence).await;
    beginnings_are_found(vault, fence).await;
    changes_happen_in_their_order(vault, fence).await;
    numbers_only_grow(vault, fence).await;
    a_mark_makes_nothing(vault, fence).await;
    tags_find_their_items(vault, fence).await;
    an_item_is_taken_once(vault, fence).await;
    what_is_due_is_swept(vault, fence).await;
    many_and_large_items_fit(vault, fence).await;
    devices_have_their_own(sessions, fence).await;
}

pub(super) async fn put(vault: &dyn SessionVault, fence: Fence, shelf: Shelf, items: &[Item]) {
    let change = Change::Put { shelf, items: items.to_vec() };
    vault.write(fence, vec![change]).await.unwrap();
}

/// All of a shelf.
pub(super) async fn all(vault: &dyn SessionVault, fence: Fence, shelf: Shelf) -> Vec<Item> {
    vault.list(fence.device, shelf, &[]).await.unwrap()
}

async fn clear(vault: &dyn SessionVault, fence: Fence) {
    vault.write(fence, vec![Change::Clear]).await.unwrap();
    for shelf in [SHELF, OTHER] {
        assert!(all(vault, fence, shelf).await.is_empty());
    }
}

async fn items_come_back(vault: &dyn SessionVault, fence: Fence) {
    let odd: Vec<u8> = (0..=255).collect();
    let items = [
        Item::new(Vec::new(), &b"empty key"[..]),
        Item::new([0, 0], &b""[..]).due(i64::MAX).marked(i64::MIN).tagged([0, 255]),
        Item::new(odd.clone(), odd.clone()).due(-1),
        Item::new("text", &b"value"[..]).marked(0).tagged(Vec::new()),
    ];
    put(vault, fence, SHELF, &items).await;
    let mut sorted = items.to_vec();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(all(vault, fence, SHELF).await, sorted);
    let asked = [odd, b"absent".to_vec(), b"text".to_vec(), b"text".to_vec()];
    let mut found = vault.get(fence.device, SHELF, &asked).await.unwrap();
    found.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(found.iter().map(|item| item.due).collect::<Vec<_>>(), [Some(-1), None]);
    assert_eq!(vault.count(fence.device, SHELF).await.unwrap(), 4);
    assert_eq!(vault.count(fence.device, OTHER).await.unwrap(), 0);
    assert!(vault.get(fence.device, OTHER, &asked).await.unwrap().is_empty());
    assert!(vault.get(fence.device, SHELF, &[]).await.unwrap().is_empty());
    // The last of two with one key replaces what was there, all of it.
    let two = [Item::new("text", &b"1"[..]), Item::new("text", &b"2"[..]).due(7)];
    put(vault, fence, SHELF, &two).await;
    let found = vault.get(fence.device, SHELF, &[b"text".to_vec()]).await.unwrap();
    assert_eq!(found, [Item::new("text", &b"2"[..]).due(7)]);
    put(vault, fence, SHELF, &[]).await;
    vault.write(fence, Vec::new()).await.unwrap();
    clear(vault, fence).await;
}

async fn beginnings_are_found(vault: &dyn SessionVault, fence: Fence) {
    let keys: [&[u8]; 6] = [b"a", b"ab", b"ab\xff", b"ab\xff\xff", b"ac", b"\xff\xff"];
    let items: Vec<Item> = keys.iter().map(|key| Item::new(*key, &b"v"[..])).collect();
    put(vault, fence, SHELF, &items).await;
    for (prefix, wanted) in [
        (&b""[..], &keys[..]),
        (b"ab", &[b"ab", b"ab\xff", b"ab\xff\xff"]),
        (b"ab\xff", &[b"ab\xff", b"ab\xff\xff"]),
        (b"\xff", &[b"\xff\xff"]),
        (b"ad", &[]),
    ] {
        let found = vault.list(fence.device, SHELF, prefix).await.unwrap();
        let found: Vec<&[u8]> = found.iter().map(|item| item.key.as_slice()).collect();
        assert_eq!(found, wanted, "{prefix:?}");
        let any = vault.any(fence.device, &[(OTHER, prefix), (SHELF, prefix)]).await.unwrap();
        assert_eq!(any, !wanted.is_empty(), "{prefix:?}");
    }
    assert!(!vault.any(fence.device, &[]).await.unwrap());
    let remove = Change::RemovePrefix { shelf: SHELF, prefix: b"ab\xff".to_vec() };
    vault.write(fence, vec![remove]).await.unwrap();
    assert_eq!(all(vault, fence, SHELF).await.len(), 4);
    put(vault, fence, OTHER, &items).await;
    let remove = Change::RemovePrefix { shelf: SHELF, prefix: Vec::new() };
    vault.write(fence, vec![remove]).await.unwrap();
    assert!(all(vault, fence, SHELF).await.is_empty());
    assert_eq!(all(vault, fence, OTHER).await.len(), 6);
    clear(vault, fence).await;
}

async fn changes_happen_in_their_order(vault: &dyn SessionVault, fence: Fence) {
    let item = |value: &'static [u8]| Item::new("k", value);
    let put = |value| Change::Put { shelf: SHELF, items: vec![item(value)] };
    let remove = || Change::Remove { shelf: SHELF, keys: vec![b"k".to_vec()] };
    vault.write(fence, vec![put(b"1"), remove()]).await.unwrap();
    assert!(all(vault, fence, SHELF).await.is_empty());
    vault.write(fence, vec![remove(), put(b"2"), put(b"3")]).await.unwrap();
    assert_eq!(all(vault, fence, SHELF).await, [item(b"3")]);
    vault.write(fence, vec![Change::Clear, put(b"4")]).await.unwrap();
    assert_eq!(all(vault, fence, SHELF).await, [item(b"4")]);
    let nothing = Change::Remove { shelf: SHELF, keys: Vec::new() };
    vault.write(fence, vec![nothing]).await.unwrap();
    clear(vault, fence).await;
}

async fn numbers_only_grow(vault: &dyn SessionVault, fence: Fence) {
    let item = |value: &'static [u8], due, mark| Item { due, mark, ..Item::new("k", value) };
    let steps = [
        (item(b"1", None, Some(5)), (None, Some(5))),
        (item(b"2", Some(9), Some(3)), (Some(9), Some(5))),
        (item(b"3", None, None), (Some(9), Some(5))),
        (item(b"4", Some(9), Some(6)), (Some(9), Some(6))),
        (item(b"5", Some(i64::MAX), Some(-1)), (Some(i64::MAX), Some(6))),
    ];
    for (item, wanted) in steps {
        let value = item.value.clone();
        let change = Change::Raise { shelf: SHELF, items: vec![item] };
        vault.write(fence, vec![change]).await.unwrap();
        let found = all(vault, fence, SHELF).await;
        let found: Vec<_> = found.iter().map(|i| (&i.value, (i.due, i.mark))).collect();
        assert_eq!(found, [(&value, wanted)]);
    }
    // Within one change, too.
    let twice = vec![item(b"6", Some(1), Some(9)), item(b"7", None, Some(2))];
    vault.write(fence, vec![Change::Raise { shelf: OTHER, items: twice }]).await.unwrap();
    assert_eq!(all(vault, fence, OTHER).await, [item(b"7", Some(1), Some(9))]);
    clear(vault, fence).await;
}

async fn a_mark_makes_nothing(vault: &dyn SessionVault, fence: Fence) {
    put(vault, fence, SHELF, &[Item::new("here", &b"v"[..]).due(3)]).await;
    let keys = vec![b"here".to_vec(), b"gone".to_vec()];
    vault.write(fence, vec![Change::Mark { shelf: SHELF, keys, mark: 1 }]).await.unwrap();
    assert_eq!(all(vault, fence, SHELF).await, [Item::new("here", &b"v"[..]).due(3).marked(1)]);
    clear(vault, fence).await;
}

async fn tags_find_their_items(vault: &dyn SessionVault, fence: Fence) {
    let item = |key: &str, tag: &str| Item::new(key, &b""[..]).tagged(tag);
    let items = [item("1", "a"), item("2", "b"), item("3", "a"), Item::new("4", &b""[..])];
    put(vault, fence, SHELF, &items).await;
    put(vault, fence, OTHER, &items).await;
    let tags = vec![b"a".to_vec(), b"c".to_vec()];
    vault.write(fence, vec![Change::RemoveTagged { shelf: SHELF, tags }]).await.unwrap();
    let left = all(vault, fence, SHELF).await;
    assert_eq!(left.iter().map(|item| item.key.as_slice()).collect::<Vec<_>>(), [b"2", b"4"]);
    assert_eq!(all(vault, fence, OTHER).await.len(), 4);
    clear(vault, fence).await;
}

async fn an_item_is_taken_once(vault: &dyn SessionVault, fence: Fence) {
    let item = Item::new("k", &b"v"[..]).due(1);
    put(vault, fence, SHELF, std::slice::from_ref(&item)).await;
    assert_eq!(vault.take(fence, OTHER, b"k").await.unwrap(), None);
    let (one, two) = tokio::join!(vault.take(fence, SHELF, b"k"), vault.take(fence, SHELF, b"k"));
    let mut taken = [one.unwrap(), two.unwrap()];
    taken.sort_by_key(Option::is_none);
    assert_eq!(taken, [Some(item), None]);
    assert!(all(vault, fence, SHELF).await.is_empty());
}

async fn what_is_due_is_swept(vault: &dyn SessionVault, fence: Fence) {
    let item = |key: &str, due| Item { due, ..Item::new(key, &b"v"[..]) };
    let items = [item("1", Some(10)), item("2", Some(11)), item("3", None), item("4", Some(9))];
    put(vault, fence, SHELF, &items).await;
    put(vault, fence, OTHER, &items).await;
    assert_eq!(vault.sweep(fence, SHELF, 11).await.unwrap(), 2);
    assert_eq!(vault.sweep(fence, SHELF, 11).await.unwrap(), 0);
    let left = all(vault, fence, SHELF).await;
    assert_eq!(left.iter().map(|item| item.key.as_slice()).collect::<Vec<_>>(), [b"2", b"3"]);
    assert_eq!(all(vault, fence, OTHER).await.len(), 4);
    clear(vault, fence).await;
}

async fn many_and_large_items_fit(vault: &dyn SessionVault, fence: Fence) {
    // As many as a fresh pairing stores, and as large as a long history of chains.
    let many: Vec<Item> = (0_u32..1_700)
        .map(|id| Item::new(id.to_be_bytes(), id.to_le_bytes().repeat(20)).marked(0))
        .collect();
    put(vault, fence, SHELF, &many).await;
    assert_eq!(all(vault, fence, SHELF).await, many);
    let keys: Vec<Vec<u8>> = many.iter().map(|item| item.key.clone()).collect();
    assert_eq!(vault.get(fence.device, SHELF, &keys).await.unwrap().len(), many.len());
    let mark = Change::Mark { shelf: SHELF, keys: keys.clone(), mark: 1 };
    vault.write(fence, vec![mark]).await.unwrap();
    assert!(all(vault, fence, SHELF).await.iter().all(|item| item.mark == Some(1)));
    let large: Vec<Item> =
        (0_u8..8).map(|byte| Item::new([byte], vec![byte; 300 * 1024])).collect();
    put(vault, fence, OTHER, &large).await;
    assert_eq!(all(vault, fence, OTHER).await, large);
    vault.write(fence, vec![Change::Remove { shelf: SHELF, keys }]).await.unwrap();
    clear(vault, fence).await;
}

async fn devices_have_their_own(sessions: &Sessions, fence: Fence) {
    let vault = &*sessions.vault;
    let other = sessions.held().await;
    let item = |value: &'static [u8]| [Item::new("k", value).tagged("t").due(1)];
    put(vault, fence, SHELF, &item(b"mine")).await;
    put(vault, other, SHELF, &item(b"theirs")).await;
    assert_eq!(vault.sweep(other, SHELF, 2).await.unwrap(), 1);
    assert_eq!(vault.take(other, SHELF, b"k").await.unwrap(), None);
    let tags = vec![b"t".to_vec()];
    vault.write(other, vec![Change::RemoveTagged { shelf: SHELF, tags }]).await.unwrap();
    vault.write(other, vec![Change::Clear]).await.unwrap();
    assert_eq!(all(vault, fence, SHELF).await, item(b"mine"));
    clear(vault, fence).await;
}
