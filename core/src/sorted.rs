//! A map that is a sorted list: for what is short, or comes nearly in order.
//!
//! Each further pair of types in a `BTreeMap` takes 3 to 7 KB of the module for JavaScript; in this one it takes some
//! hundred bytes. A key that goes in before `n` others moves them: whoever gives the keys must not make that many.

use std::{borrow::Borrow, mem};

#[derive(Clone, Debug)]
pub(crate) struct Sorted<K, V>(Vec<(K, V)>);

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> Sorted<K, V> {
    /// Sorts a list. Refuses one in which a key comes twice, and returns that key.
    pub(crate) fn of(mut list: Vec<(K, V)>) -> Result<Self, K> {
        list.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        match list.windows(2).position(|pair| pair[0].0 == pair[1].0) {
            Some(twice) => Err(list.swap_remove(twice).0),
            None => Ok(Self(list)),
        }
    }

    /// Sorts a list. Of a key that comes twice, the greater value stays.
    pub(crate) fn of_any(mut list: Vec<(K, V)>) -> Self
    where
        V: Ord,
    {
        list.sort_unstable();
        list.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                mem::swap(later, kept);
            }
            same
        });
        Self(list)
    }

    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(known, _)| known.borrow().cmp(key))
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        Some(&self.0[self.place(key).ok()?].1)
    }

    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).ok()?;
        Some(&mut self.0[at].1)
    }

    /// Returns the value of `key`, at first the default one.
    pub(crate) fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let at = self.place(&key).unwrap_or_else(|at| {
            self.0.insert(at, (key, V::default()));
            at
        });
        &mut self.0[at].1
    }

    /// Gives `key` a value.
    pub(crate) fn set(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        if let Ok(at) = self.place(key) {
            self.0.remove(at);
        }
    }

    /// Removes the keys from `first` on up to `end`, which stays.
    pub(crate) fn remove_between(&mut self, first: &K, end: &K) {
        let (first, end) = (self.count_before(first), self.count_before(end));
        self.0.drain(first..end.max(first));
    }

    /// Returns the pairs from the key `first` on.
    pub(crate) fn from(&self, first: &K) -> &[(K, V)] {
        &self.0[self.count_before(first)..]
    }

    fn count_before(&self, key: &K) -> usize {
        self.0.partition_point(|(known, _)| known < key)
    }

    /// Returns the pairs, in the order of their keys.
    pub(crate) fn pairs(&self) -> &[(K, V)] {
        &self.0
    }

    /// Returns the pairs as a list, in the order of their keys.
    #[cfg(feature = "report")]
    pub(crate) fn into_pairs(self) -> Vec<(K, V)> {
        self.0
    }

    /// Returns the pairs, in the order of their keys, their values to be changed.
    pub(crate) fn pairs_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (&*key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_a_map_holds_whatever_the_order() {
        let (mut sorted, mut map, mut state) = (Sorted::default(), std::collections::BTreeMap::new(), 7u64);
        for _ in 0..2000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (key, value) = (state >> 58, state >> 33);
            match state >> 40 & 3 {
                0 => {
                    sorted.remove(&key);
                    map.remove(&key);
                }
                1 => {
                    *sorted.or_default(key) += value;
                    *map.entry(key).or_default() += value;
                }
                _ => {
                    sorted.set(key, value);
                    map.insert(key, value);
                }
            }
            assert_eq!(sorted.get(&key), map.get(&key));
            assert!(sorted.pairs().iter().map(|(key, value)| (key, value)).eq(&map));
            assert_eq!(sorted.from(&key).first().map(|(key, _)| key), map.range(key..).next().map(|(key, _)| key));
        }
        sorted.remove_between(&10, &20);
        assert!(sorted.pairs().iter().map(|(key, _)| key).eq(map.keys().filter(|key| !(10..20).contains(*key))));
        sorted.remove_between(&40, &30);
        assert_eq!(sorted.get_mut(&35).copied(), map.get(&35).copied());
    }

    #[test]
    fn a_list_in_which_a_key_comes_twice_is_refused() {
        assert_eq!(Sorted::of(vec![(3, 'c'), (1, 'a'), (2, 'b')]).unwrap().pairs(), [(1, 'a'), (2, 'b'), (3, 'c')]);
        assert_eq!(Sorted::of(vec![(3, 'c'), (1, 'a'), (3, 'b')]).unwrap_err(), 3);
        assert_eq!(Sorted::of_any(vec![(3, 'c'), (1, 'a'), (3, 'b')]).pairs(), [(1, 'a'), (3, 'c')]);
    }
}
