//! The order in which Go's `slices.SortFunc` leaves elements that compare as equal.
//!
//! It is a pattern-defeating quicksort, which is not stable. The Go tool sorts the libraries of `ld.so.cache` with
//! it, and a library that two directories hold has equal entries, so that the cache's bytes depend on every swap.
//! The algorithm is that of Orson Peters (<https://arxiv.org/abs/2106.05123>) with Go's parameters.

/// Up to this length ranges are sorted by insertion.
const INSERTION: usize = 12;
/// From this length on the pivot is a median of medians, and nearly sorted ranges are repaired.
const LONG: usize = 50;
/// How many pairs that are out of order a nearly sorted range may have.
const REPAIRS: usize = 5;

/// Sorts as Go's `slices.SortFunc` does, equal elements included.
pub(crate) fn sort<T>(data: &mut [T], less: impl Fn(&T, &T) -> bool) {
    let limit = usize::BITS - data.len().leading_zeros();
    let end = data.len();
    Sort { data, less }.range(0, end, limit);
}

#[derive(PartialEq)]
enum Hint {
    Increasing,
    Decreasing,
    Unknown,
}

struct Sort<'d, T, F> {
    data: &'d mut [T],
    less: F,
}

impl<T, F: Fn(&T, &T) -> bool> Sort<'_, T, F> {
    fn less(&self, a: usize, b: usize) -> bool {
        (self.less)(&self.data[a], &self.data[b])
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.data.swap(a, b);
    }

    /// Sorts `start..end`; after `limit` bad pivots by a heap.
    fn range(&mut self, mut start: usize, mut end: usize, mut limit: u32) {
        let mut balanced = true;
        let mut partitioned = true;
        loop {
            let length = end - start;
            if length <= INSERTION {
                return self.insertion(start, end);
            }
            if limit == 0 {
                return self.heap(start, end);
            }
            if !balanced {
                self.shuffle(start, end);
                limit -= 1;
            }
            let (mut pivot, mut hint) = self.pivot(start, end);
            if hint == Hint::Decreasing {
                self.data[start..end].reverse();
                pivot = (end - 1) - (pivot - start);
                hint = Hint::Increasing;
            }
            if balanced && partitioned && hint == Hint::Increasing && self.repair(start, end) {
                return;
            }
            // The element before the range is no greater than any in it: if the pivot equals it, so do many.
            if start > 0 && !self.less(start - 1, pivot) {
                start = self.partition_equal(start, end, pivot);
                continue;
            }
            let middle;
            (middle, partitioned) = self.partition(start, end, pivot);
            let (left, right) = (middle - start, end - middle);
            balanced = left.min(right) >= length / 8;
            if left < right {
                self.range(start, middle, limit);
                start = middle + 1;
            } else {
                self.range(middle + 1, end, limit);
                end = middle;
            }
        }
    }

    fn insertion(&mut self, start: usize, end: usize) {
        for next in start + 1..end {
            let mut at = next;
            while at > start && self.less(at, at - 1) {
                self.swap(at, at - 1);
                at -= 1;
            }
        }
    }

    fn heap(&mut self, start: usize, end: usize) {
        let length = end - start;
        for root in (0..length.div_ceil(2)).rev() {
            self.sift(start, root, length);
        }
        for last in (0..length).rev() {
            self.swap(start, start + last);
            self.sift(start, 0, last);
        }
    }

    fn sift(&mut self, start: usize, mut root: usize, length: usize) {
        loop {
            let mut child = 2 * root + 1;
            if child >= length {
                return;
            }
            if child + 1 < length && self.less(start + child, start + child + 1) {
                child += 1;
            }
            if !self.less(start + root, start + child) {
                return;
            }
            self.swap(start + root, start + child);
            root = child;
        }
    }

    /// Puts smaller elements before and others behind the pivot; where it is then, and whether they were so before.
    fn partition(&mut self, start: usize, end: usize, pivot: usize) -> (usize, bool) {
        self.swap(start, pivot);
        let (mut low, mut high) = (start + 1, end - 1);
        let mut swapped = false;
        loop {
            while low <= high && self.less(low, start) {
                low += 1;
            }
            while low <= high && !self.less(high, start) {
                high -= 1;
            }
            if low > high {
                self.swap(high, start);
                return (high, !swapped);
            }
            self.swap(low, high);
            swapped = true;
            low += 1;
            high -= 1;
        }
    }

    /// Puts what equals the pivot before what is greater; where the latter begins.
    fn partition_equal(&mut self, start: usize, end: usize, pivot: usize) -> usize {
        self.swap(start, pivot);
        let (mut low, mut high) = (start + 1, end - 1);
        loop {
            while low <= high && !self.less(start, low) {
                low += 1;
            }
            while low <= high && self.less(start, high) {
                high -= 1;
            }
            if low > high {
                return low;
            }
            self.swap(low, high);
            low += 1;
            high -= 1;
        }
    }

    /// Moves a few misplaced elements of a nearly sorted range; whether it is sorted then.
    fn repair(&mut self, start: usize, end: usize) -> bool {
        let mut next = start + 1;
        for _ in 0..REPAIRS {
            while next < end && !self.less(next, next - 1) {
                next += 1;
            }
            if next == end {
                return true;
            }
            if end - start < LONG {
                return false;
            }
            self.swap(next, next - 1);
            // It goes left beyond the range's start if it must: what is there is no greater.
            if next - start >= 2 {
                let mut at = next - 1;
                while at >= 1 && self.less(at, at - 1) {
                    self.swap(at, at - 1);
                    at -= 1;
                }
            }
            if end - next >= 2 {
                let mut at = next + 1;
                while at < end && self.less(at, at - 1) {
                    self.swap(at, at - 1);
                    at += 1;
                }
            }
        }
        false
    }

    /// Scatters three elements, always the same way for a length.
    fn shuffle(&mut self, start: usize, end: usize) {
        let length = end - start;
        let mut random = length as u64;
        let mask = (1_usize << (usize::BITS - length.leading_zeros())) - 1;
        let middle = start + length / 4 * 2;
        for at in middle - 1..=middle + 1 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let mut other = random as usize & mask;
            if other >= length {
                other -= length;
            }
            self.swap(at, start + other);
        }
    }

    fn pivot(&self, start: usize, end: usize) -> (usize, Hint) {
        let length = end - start;
        let mut swaps = 0;
        let mut at = [1, 2, 3].map(|quarter| start + length / 4 * quarter);
        if length >= LONG {
            at = at.map(|at| self.median([at - 1, at, at + 1], &mut swaps));
        }
        let pivot = self.median(at, &mut swaps);
        let hint = match swaps {
            0 => Hint::Increasing,
            12 => Hint::Decreasing,
            _ => Hint::Unknown,
        };
        (pivot, hint)
    }

    fn median(&self, [mut a, mut b, mut c]: [usize; 3], swaps: &mut usize) -> usize {
        let mut order = |x: &mut usize, y: &mut usize| {
            if self.less(*y, *x) {
                *swaps += 1;
                std::mem::swap(x, y);
            }
        };
        order(&mut a, &mut b);
        order(&mut b, &mut c);
        order(&mut a, &mut b);
        b
    }
}

#[cfg(test)]
mod tests {
    use super::sort;

    #[test]
    fn equal_elements_lie_where_go_leaves_them() {
        // Length, number of different keys, and a hash over the order that Go makes of `i * 7919 % keys`.
        let table: [(u64, u64, u64); 5] = [
            (13, 3, 4802450384414380818),
            (60, 7, 7525955582258415888),
            (200, 20, 13455022621429645616),
            (1000, 30, 1969226743664882982),
            (1000, 500, 4986606033629418216),
        ];
        for (length, keys, wanted) in table {
            let mut data: Vec<(u64, u64)> = (0..length).map(|i| (i * 7919 % keys, i)).collect();
            sort(&mut data, |a, b| a.0 < b.0);
            let hash = data
                .iter()
                .fold(0_u64, |hash, (_, i)| hash.wrapping_mul(31).wrapping_add(*i));
            assert_eq!(hash, wanted, "{length} elements, {keys} keys");
        }
    }

    proptest::proptest! {
        #[test]
        fn it_sorts(mut data in proptest::collection::vec(0_u8..40, 0..600)) {
            let mut wanted = data.clone();
            wanted.sort();
            sort(&mut data, |a, b| a < b);
            proptest::prop_assert_eq!(data, wanted);
        }
    }
}
