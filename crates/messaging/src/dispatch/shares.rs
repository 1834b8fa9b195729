//! Who gets how many of a node's hands.
//!
//! Accounts are served before their devices: whoever has the least in hand is next, so that many
//! devices are no bigger claim than one. A part of the hands is kept for accounts that have next to
//! nothing in hand: their first messages find a free one, however much another has waiting.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use kabar_core::AccountId;

/// Of all hands, the part kept for first messages: one in so many.
const KEPT: usize = 8;
/// What counts as next to nothing.
const FIRST: usize = 4;

/// A device that could send more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want {
    /// Its account.
    pub(super) account: AccountId,
    /// Its messages in hand.
    pub(super) in_hand: usize,
    /// How many more it could have.
    pub(super) more: usize,
}

/// How many more each device gets, in their order. `in_hand`: what each account has in hand on all
/// its devices; `parallel`: all hands; `turn`: who comes first among equals.
pub(super) fn shares(
    wants: &[Want],
    in_hand: &HashMap<AccountId, usize>,
    parallel: usize,
    turn: usize,
) -> Vec<usize> {
    let mut accounts = in_hand.clone();
    let mut free = parallel.saturating_sub(in_hand.values().sum());
    let kept = parallel / KEPT;
    let mut given = vec![0; wants.len()];
    let place =
        |index: usize| (index + wants.len() - turn % wants.len().max(1)) % wants.len().max(1);
    let mut line: BinaryHeap<_> = wants
        .iter()
        .enumerate()
        .map(|(index, want)| {
            let load = accounts.get(&want.account).copied().unwrap_or_default();
            Reverse((load, want.in_hand, place(index), index))
        })
        .collect();
    while free > 0 {
        let Some(Reverse((load, device_load, place, index))) = line.pop() else {
            break;
        };
        let (Some(want), Some(given)) = (wants.get(index), given.get_mut(index)) else {
            continue;
        };
        let account = accounts.entry(want.account).or_default();
        if *account != load {
            line.push(Reverse((*account, device_load, place, index)));
            continue;
        }
        if free <= kept && load >= FIRST {
            // All that follow have at least as much.
            break;
        }
        if *given < want.more {
            *given += 1;
            *account += 1;
            free -= 1;
            line.push(Reverse((*account, device_load + 1, place, index)));
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn account(n: usize) -> AccountId {
        AccountId::from(Uuid::from_u128(u128::try_from(n).expect("a small number")))
    }

    fn want(n: usize, more: usize) -> Want {
        Want { account: account(n), in_hand: 0, more }
    }

    #[test]
    fn one_alone_leaves_some_for_the_next() {
        let alone = shares(&[want(1, 1_000)], &HashMap::new(), 512, 0);
        assert_eq!(alone, [448]);
        let busy = HashMap::from([(account(1), 448)]);
        let both = shares(&[want(1, 1_000), want(2, 1_000)], &busy, 512, 0);
        assert_eq!(both, [0, FIRST]);
        let busy = HashMap::from([(account(1), 400), (account(2), 4)]);
        let both = shares(&[want(1, 1_000), want(2, 1_000)], &busy, 512, 0);
        assert_eq!(both, [0, 44]);
    }

    #[test]
    fn many_devices_are_no_bigger_claim() {
        let wants = [want(1, 100), want(1, 100), want(1, 100), want(2, 100)];
        let given = shares(&wants, &HashMap::new(), 64, 0);
        assert_eq!(given[3], given[..3].iter().sum::<usize>());
        // One hand: everybody has a turn.
        let first: Vec<usize> = (0..4)
            .map(|turn| {
                let wants = [want(1, 9), want(2, 9), want(3, 9), want(4, 9)];
                let given = shares(&wants, &HashMap::new(), 1, turn);
                given.iter().position(|given| *given == 1).expect("one is served")
            })
            .collect();
        assert_eq!(first, [0, 1, 2, 3]);
    }

    proptest! {
        #[test]
        fn nobody_is_forgotten_and_nothing_is_given_twice(
            mores in prop::collection::vec((0_usize..6, 1_usize..700), 1..12),
            held in prop::collection::vec(0_usize..200, 6),
            parallel in 1_usize..600,
            turn in 0_usize..100,
        ) {
            let wants: Vec<Want> = mores.iter().map(|(n, more)| want(*n, *more)).collect();
            let in_hand: HashMap<AccountId, usize> =
                held.iter().enumerate().map(|(n, held)| (account(n), *held)).collect();
            let given = shares(&wants, &in_hand, parallel, turn);
            let sum: usize = given.iter().sum();
            let free = parallel.saturating_sub(held.iter().sum());
            prop_assert!(sum <= free);
            for (want, given) in wants.iter().zip(&given) {
                prop_assert!(*given <= want.more);
            }
            let load = |n: usize| {
                let got: usize = wants.iter().zip(&given)
                    .filter(|(want, _)| want.account == account(n)).map(|(_, given)| given).sum();
                (held[n] + got, got)
            };
            // Max-min: nobody is given more while another, who has less, still wants.
            for one in 0..6 {
                for other in 0..6 {
                    let (one_has, one_got) = load(one);
                    let (other_has, _) = load(other);
                    let hungry = wants.iter().zip(&given)
                        .any(|(want, given)| want.account == account(other) && *given < want.more);
                    if one_got > 0 && hungry {
                        prop_assert!(one_has <= other_has + 1, "{one_has} {other_has}");
                    }
                }
            }
        }
    }
}
