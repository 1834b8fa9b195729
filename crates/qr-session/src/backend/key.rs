//! Keys of items.

/// A key of several parts. Each but the last is preceded by its length: parts come from the network,
/// and a sender who chooses a message's id must not be able to choose another item's key.
pub(crate) fn join<const N: usize>(parts: [&[u8]; N]) -> Vec<u8> {
    let mut key = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for (place, part) in parts.iter().enumerate() {
        if place + 1 < N {
            key.extend(prefix(part));
        } else {
            key.extend_from_slice(part);
        }
    }
    key
}

/// How every key begins that has `part` first.
pub(crate) fn prefix(part: &[u8]) -> Vec<u8> {
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    let mut prefix = length.to_be_bytes().to_vec();
    prefix.extend_from_slice(part);
    prefix
}

/// The key of a number; numbers are in their order.
pub(crate) fn number(id: u32) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

/// The number of such a key.
pub(crate) fn to_number(key: &[u8]) -> Option<u32> {
    key.try_into().ok().map(u32::from_be_bytes)
}

/// The key of a shelf's only item.
pub(crate) fn only() -> Vec<u8> {
    b"only".to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        assert_ne!(join([b"ab", b"c"]), join([b"a", b"bc"]));
        assert_ne!(join([b"a", b"b\0c", b"d"]), join([b"a", b"b", b"c\0d"]));
        assert_ne!(join([b"", b"a"]), join([b"a", b""]));
        assert!(join([b"group", b"device"]).starts_with(&prefix(b"group")));
        assert!(!join([b"groups", b"device"]).starts_with(&prefix(b"group")));
    }

    #[test]
    fn numbers_keep_their_order() {
        let mut keys: Vec<Vec<u8>> = [300, 2, 70_000, 1].map(number).to_vec();
        keys.sort();
        let back: Vec<u32> = keys.iter().filter_map(|key| to_number(key)).collect();
        assert_eq!(back, [1, 2, 300, 70_000]);
        assert_eq!(to_number(b"short"), None);
    }
}
