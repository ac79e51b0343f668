//! What a watch shows, and what changed between two of those.
//!
//! Invariant, a property test: whoever has one and applies the changes to another has the other.

use std::collections::HashMap;

use prost::Message;

use crate::proto::channelkpi::v1 as pb;
use crate::service::token::fnv1a;

/// All that a watch shows but its version: it may be the same at several.
#[derive(Debug)]
pub struct Shown {
    pub rows: Vec<pb::LeaderboardRow>,
    pub pinned: Vec<pb::PinnedRows>,
    pub ranked_count: i64,
    pub definition: pb::Definition,
    /// The same for equal ones, on every replica.
    pub hash: u64,
}

// === impl Shown ===

impl Shown {
    pub fn new(
        rows: Vec<pb::LeaderboardRow>,
        pinned: Vec<pb::PinnedRows>,
        ranked_count: i64,
        definition: pb::Definition,
    ) -> Self {
        let all = pb::BoardSnapshot {
            rows,
            pinned,
            ranked_count,
            definition: Some(definition),
            ..pb::BoardSnapshot::default()
        };
        let hash = fnv1a(&all.encode_to_vec());
        let pb::BoardSnapshot { rows, pinned, definition, .. } = all;
        Self { rows, pinned, ranked_count, definition: definition.unwrap_or_default(), hash }
    }

    /// What changed from `self` to `later`: without version and token.
    pub fn changes_to(&self, later: &Self) -> pb::BoardDelta {
        let known: HashMap<&str, &pb::LeaderboardRow> =
            self.rows.iter().map(|row| (row.subject_id.as_str(), row)).collect();
        let mut gone = known.clone();
        let mut put_rows = Vec::new();
        for row in &later.rows {
            gone.remove(row.subject_id.as_str());
            if known.get(row.subject_id.as_str()) != Some(&row) {
                put_rows.push(row.clone());
            }
        }
        // In the order of the rows that they had: the same on every replica.
        let removed = self.rows.iter().filter(|row| gone.contains_key(row.subject_id.as_str()));
        let pinned = self.pinned.iter().zip(&later.pinned).filter(|(before, now)| before != now);
        pb::BoardDelta {
            put_rows,
            removed_subject_ids: removed.map(|row| row.subject_id.clone()).collect(),
            pinned: pinned.map(|(_, now)| now.clone()).collect(),
            ranked_count: later.ranked_count,
            definition: (self.definition != later.definition).then(|| later.definition.clone()),
            version: None,
            resume_token: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn shown() -> impl Strategy<Value = Shown> {
        let ids = btree_set("[a-f]", 0..6).prop_map(|ids| ids.into_iter().collect::<Vec<_>>()).prop_shuffle();
        (ids, vec(0i64..3, 6), vec(0i64..3, 2), 0i64..3, 0i32..3).prop_map(
            |(ids, counts, of_pinned, ranked_count, day)| {
                let row = |place: usize, id: &String, won_count| pb::LeaderboardRow {
                    place: place as i64 + 1,
                    subject_id: id.clone(),
                    won_count,
                    ..pb::LeaderboardRow::default()
                };
                let rows = ids.iter().zip(counts).enumerate();
                let rows = rows.map(|(place, (id, count))| row(place, id, count)).collect();
                let pinned = of_pinned.into_iter().zip(["p", "q"]);
                let pinned = pinned.map(|(count, id)| pb::PinnedRows {
                    subject_id: id.to_owned(),
                    rows: vec![row(7, &id.to_owned(), count)],
                });
                let as_of = crate::proto::google::r#type::Date { year: 2024, month: 1, day };
                let definition = pb::Definition { as_of: Some(as_of), ..pb::Definition::default() };
                Shown::new(rows, pinned.collect(), ranked_count, definition)
            },
        )
    }

    proptest! {
        #[test]
        fn applying_the_changes_gives_the_later_one(before in shown(), later in shown()) {
            let delta = before.changes_to(&later);
            let mut rows: HashMap<String, pb::LeaderboardRow> =
                before.rows.iter().map(|row| (row.subject_id.clone(), row.clone())).collect();
            for id in &delta.removed_subject_ids {
                prop_assert!(rows.remove(id).is_some(), "{id} was there");
            }
            for row in &delta.put_rows {
                let known = rows.insert(row.subject_id.clone(), row.clone());
                prop_assert_ne!(known.as_ref(), Some(row), "it is put because it is otherwise");
            }
            let mut rows: Vec<pb::LeaderboardRow> = rows.into_values().collect();
            rows.sort_by_key(|row| row.place);
            let mut pinned = before.pinned.clone();
            for changed in delta.pinned {
                let place = pinned.iter().position(|known| known.subject_id == changed.subject_id);
                pinned[place.expect("the same are pinned")] = changed;
            }
            let definition = delta.definition.unwrap_or_else(|| before.definition.clone());
            let assembled = Shown::new(rows, pinned, delta.ranked_count, definition);
            prop_assert_eq!(&assembled.rows, &later.rows);
            prop_assert_eq!(assembled.hash, later.hash);
            prop_assert_eq!(before.hash == later.hash, before.rows == later.rows
                && before.pinned == later.pinned
                && before.ranked_count == later.ranked_count
                && before.definition == later.definition);
        }
    }
}
