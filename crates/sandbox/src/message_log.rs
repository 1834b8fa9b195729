//! The bounded memory of accepted messages, with the indexes that tests ask by.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::messages::{DeliveryStatus, MessageFilter, ReadMark, SentMessage, Tally, TallyBy};
use crate::people::customer_key;

/// Most repeated keys a tally names.
const MAX_REPEATED: usize = 1_000;

/// Most read marks that are remembered.
const MAX_READ_MARKS: usize = 100_000;

/// A message as it is kept: the body stays text until someone asks.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) sequence: u64,
    pub(crate) wamid: Arc<str>,
    pub(crate) phone_number_id: Arc<str>,
    pub(crate) to: Box<str>,
    pub(crate) customer: Arc<str>,
    pub(crate) kind: Box<str>,
    pub(crate) reference: Option<Arc<str>>,
    pub(crate) at_ms: u64,
    pub(crate) status: DeliveryStatus,
    pub(crate) body: Box<str>,
}

impl Accepted {
    fn view(&self) -> SentMessage {
        SentMessage {
            sequence: self.sequence,
            wamid: self.wamid.to_string(),
            phone_number_id: self.phone_number_id.to_string(),
            to: self.to.to_string(),
            customer: self.customer.to_string(),
            kind: self.kind.to_string(),
            reference: self.reference.as_deref().map(ToOwned::to_owned),
            accepted_at_ms: self.at_ms,
            status: self.status,
            body: serde_json::from_str(&self.body).unwrap_or_default(),
        }
    }
}

type Index = HashMap<Arc<str>, VecDeque<u64>>;

/// Accepted messages in order, the oldest dropped first.
#[derive(Debug)]
pub(crate) struct MessageLog {
    capacity: usize,
    /// Sequence of the last accepted message.
    last: u64,
    entries: VecDeque<Accepted>,
    by_wamid: HashMap<Arc<str>, u64>,
    by_customer: Index,
    by_reference: Index,
    read_marks: VecDeque<ReadMark>,
}

impl MessageLog {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            last: 0,
            entries: VecDeque::new(),
            by_wamid: HashMap::new(),
            by_customer: HashMap::new(),
            by_reference: HashMap::new(),
            read_marks: VecDeque::new(),
        }
    }

    /// Messages accepted so far, forgotten ones included.
    pub(crate) fn accepted(&self) -> u64 {
        self.last
    }

    /// Remembers a message and gives it its place.
    pub(crate) fn accept(&mut self, mut message: Accepted) {
        if self.entries.len() >= self.capacity {
            self.forget_oldest();
        }
        self.last += 1;
        message.sequence = self.last;
        self.by_wamid.insert(Arc::clone(&message.wamid), self.last);
        self.by_customer.entry(Arc::clone(&message.customer)).or_default().push_back(self.last);
        if let Some(reference) = &message.reference {
            self.by_reference.entry(Arc::clone(reference)).or_default().push_back(self.last);
        }
        self.entries.push_back(message);
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.entries.pop_front() else {
            return;
        };
        self.by_wamid.remove(&oldest.wamid);
        unindex(&mut self.by_customer, &oldest.customer);
        if let Some(reference) = &oldest.reference {
            unindex(&mut self.by_reference, reference);
        }
    }

    pub(crate) fn mark_read(&mut self, mark: ReadMark) {
        if self.read_marks.len() >= MAX_READ_MARKS {
            self.read_marks.pop_front();
        }
        self.read_marks.push_back(mark);
    }

    pub(crate) fn read_marks(&self) -> Vec<ReadMark> {
        self.read_marks.iter().cloned().collect()
    }

    fn position(&self, sequence: u64) -> Option<usize> {
        let first = self.entries.front()?.sequence;
        usize::try_from(sequence.checked_sub(first)?).ok()
    }

    fn by_sequence(&self, sequence: u64) -> Option<&Accepted> {
        self.entries.get(self.position(sequence)?)
    }

    pub(crate) fn get(&self, wamid: &str) -> Option<SentMessage> {
        self.by_sequence(*self.by_wamid.get(wamid)?).map(Accepted::view)
    }

    /// The last message a customer got from a number.
    pub(crate) fn last_to(&self, customer: &str, phone_number_id: &str) -> Option<Arc<str>> {
        let found = self.by_customer.get(customer)?.iter().rev();
        found
            .filter_map(|sequence| self.by_sequence(*sequence))
            .find(|entry| *entry.phone_number_id == *phone_number_id)
            .map(|entry| Arc::clone(&entry.wamid))
    }

    /// Records a status unless the message is further along already.
    pub(crate) fn advance(&mut self, wamid: &str, status: DeliveryStatus) {
        let position = self.by_wamid.get(wamid).and_then(|sequence| self.position(*sequence));
        if let Some(entry) = position.and_then(|at| self.entries.get_mut(at)) {
            entry.status = entry.status.max(status);
        }
    }

    pub(crate) fn list(&self, filter: &MessageFilter) -> Vec<SentMessage> {
        let key = filter.to.as_deref().map(customer_key);
        let index = match (&filter.reference, &key) {
            (Some(reference), _) => Some(self.by_reference.get(reference.as_str())),
            (None, Some(key)) => Some(self.by_customer.get(key.as_str())),
            (None, None) => None,
        };
        let after = filter.after.unwrap_or(0);
        let fits = |entry: &&Accepted| {
            entry.sequence > after
                && key.as_ref().is_none_or(|key| *entry.customer == **key || *entry.to == **key)
                && filter.phone_number_id.as_ref().is_none_or(|id| *entry.phone_number_id == **id)
        };
        let limit = filter.limit.unwrap_or(usize::MAX);
        match index {
            Some(found) => found
                .into_iter()
                .flatten()
                .filter_map(|sequence| self.by_sequence(*sequence))
                .filter(fits)
                .take(limit)
                .map(Accepted::view)
                .collect(),
            None => self.entries.iter().filter(fits).take(limit).map(Accepted::view).collect(),
        }
    }

    pub(crate) fn tally(&self, by: TallyBy) -> Tally {
        let index = match by {
            TallyBy::To => &self.by_customer,
            TallyBy::Reference => &self.by_reference,
        };
        Tally {
            total: index.values().map(|found| found.len() as u64).sum(),
            distinct: index.len() as u64,
            repeated: index
                .iter()
                .filter(|(_, found)| found.len() > 1)
                .take(MAX_REPEATED)
                .map(|(key, found)| (key.to_string(), found.len() as u64))
                .collect(),
        }
    }
}

/// Drops the oldest entry of a key; messages leave in the order they came.
fn unindex(index: &mut Index, key: &Arc<str>) {
    if let Some(found) = index.get_mut(key) {
        found.pop_front();
        if found.is_empty() {
            index.remove(key);
        }
    }
}
