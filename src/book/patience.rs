//! Patience: a long pass ends early where nobody waits any more for what it finds.

/// Whether somebody waits for the answer.
pub type IsAwaited<'a> = &'a dyn Fn() -> bool;

/// How many items go by between two looks.
const ITEMS_BETWEEN: usize = 1_024;

/// Yields the items until nobody waits: what is found from them is worthless then.
pub(super) fn while_awaited<T>(
    items: impl Iterator<Item = T>,
    is_awaited: IsAwaited<'_>,
) -> impl Iterator<Item = T> {
    items.enumerate().take_while(|(n, _)| n % ITEMS_BETWEEN != 0 || is_awaited()).map(|(_, item)| item)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_pass_ends_soon_after_nobody_waits() {
        let looks = Cell::new(0);
        let leaves_at_look = |last: usize| {
            move |looks: &Cell<usize>| {
                looks.set(looks.get() + 1);
                looks.get() < last
            }
        };
        for (last, expected_count) in [(1, 0), (2, ITEMS_BETWEEN), (4, 3 * ITEMS_BETWEEN)] {
            looks.set(0);
            let leaves = leaves_at_look(last);
            let is_awaited = || leaves(&looks);
            assert_eq!(while_awaited(0..1_000_000, &is_awaited).count(), expected_count);
        }
        assert_eq!(while_awaited(0..10_000, &|| true).count(), 10_000);
    }
}
