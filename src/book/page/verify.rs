//! Checks of a page's invariants.

use super::*;

impl Page {
    /// Checks the invariants against the rows alone.
    pub fn verify(&self, pools: &Pools) {
        let mut fresh = Page::default();
        for sheet in self.sheets() {
            let rows: Vec<&Row> = sheet.rows().collect();
            sheet.rows.verify();
            if let Some(Some(by_desk)) = sheet.by_desk.get() {
                by_desk.verify(&sheet.rows);
            }
            let foreign = rows.iter().filter(|row| row.value().foreign_currency().is_some()).count();
            assert_eq!(sheet.foreign_row_count, foreign);
            for row in rows {
                let mut alone = None;
                let shares = row.shares(sheet, &mut alone);
                assert_eq!(row.is_shared(), shares.len() > 1);
                let mine = shares[if row.is_shared() { usize::from(row.part) } else { 0 }];
                assert_eq!((mine.slot, mine.role), (row.slot, row.role()));
                if row.role() == Role::Sourced {
                    let amount = row.value().amount().map(|whole| sourced_part(whole, shares, row.slot));
                    fresh.by_slot.entry(row.slot).or_default().add(row.on, row.measures(amount));
                }
                if row.part == 0 {
                    let whole = row.measures(row.value().amount());
                    *fresh.by_desk.entry(row.desk).or_default() += whole;
                    *fresh.by_day.entry(row.on).or_default() += whole;
                }
            }
        }
        fn filled<K: Ord + Copy>(sums: &BTreeMap<K, Measures>) -> BTreeMap<K, Measures> {
            let is_filled = |(_, sum): &(&K, &Measures)| **sum != Measures::default();
            sums.iter().filter(is_filled).map(|(&key, &sum)| (key, sum)).collect()
        }
        let months = |page: &Page| -> BTreeMap<Slot, (u32, Measures)> {
            page.by_slot.iter().map(|(&slot, sums)| (slot, (sums.row_count, sums.month))).collect()
        };
        assert_eq!(months(self), months(&fresh), "by_slot");
        let with_days = self.by_slot.iter().filter(|(_, sums)| sums.days.is_some()).map(|(&slot, _)| slot);
        assert_eq!(self.slots_by_days, with_days.collect::<Vec<_>>());
        for (&slot, sums) in &self.by_slot {
            assert!(!sums.lacks_days(), "{slot:?} has days");
            if let Some(days) = &sums.days {
                let mut expected = BTreeMap::<Date, Measures>::new();
                self.each_sourced(slot, Date::FIRST, Date::NEVER, |happened| {
                    *expected.entry(happened.on).or_default() += happened.measures();
                });
                assert_eq!(filled(days), filled(&expected), "days of {slot:?}");
            }
        }
        assert_eq!(filled(&self.by_desk), filled(&fresh.by_desk), "by_desk");
        assert_eq!(filled(&self.by_day), filled(&fresh.by_day), "by_day");
        assert_eq!(self.month, sum(fresh.by_day.values().copied()), "month");
        if let Some(net) = self.net.get() {
            assert!(net.equals(&Net::of(self)), "the net is that of the sums");
        }
        if let Some(fates) = self.fates.get() {
            fates.verify(self);
        }
        if let Some(cycles) = self.cycles.get() {
            assert_eq!(*cycles, Cycles::of(self), "cycles");
        }
        if let Some(won) = self.won.get() {
            assert_eq!(*won, WonByDesk::of(self), "won");
        }
        // Told here, so that what comes next changes it.
        assert_eq!(*self.lasting.get_or_init(|| Lasting::of(self)), Lasting::of(self), "lasting");
        if let Some(by_region) = self.by_region.get() {
            by_region.verify(self, pools);
        }
        self.together.each(|desks, together| together.verify(self, desks));

        for sheet in self.sheets() {
            let shared_row_count = sheet.rows().filter(|row| row.is_shared()).count();
            assert_eq!(
                sheet.shared.values().map(|shared| shared.shares.len()).sum::<usize>(),
                shared_row_count
            );
        }
        let amounts = |sums: &mut dyn Iterator<Item = &Measures>| {
            sums.fold([0; 4], |[opened, won, lost, expired], sum| {
                let Measures { opened: o, won: w, lost: l, expired: e, .. } = sum;
                [opened + o.amount_e4, won + w.amount_e4, lost + l.amount_e4, expired + e.amount_e4]
            })
        };
        let (parts, whole) =
            (amounts(&mut self.by_slot.values().map(|sums| &sums.month)), amounts(&mut self.by_day.values()));
        assert_eq!(parts, whole, "the parts and the uncredited rest add up");
    }

    /// All that the page holds, to be compared, but how deals stand: how many versions say that isn't restored.
    pub fn contents(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let sheets = self.sheets().map(|sheet| {
            let shared: BTreeMap<_, _> =
                sheet.shared.iter().map(|(key, shared)| (*key, shared.shares.clone())).collect();
            let rows = sheet.rows().map(Row::without_terms).collect::<Vec<_>>();
            (rows, shared, sheet.foreign_row_count)
        });
        let filled = |sum: &Measures| *sum != Measures::default();
        let months = self.by_slot.iter().map(|(&slot, sums)| (slot, sums.month));
        let by_slot: Vec<_> = months.filter(|(_, sum)| filled(sum)).collect();
        let by_desk: Vec<_> = self.by_desk.clone().into_iter().filter(|(_, sum)| filled(sum)).collect();
        let by_day: Vec<_> = self.by_day.clone().into_iter().filter(|(_, sum)| filled(sum)).collect();
        (sheets, by_slot, by_desk, by_day)
    }
}
