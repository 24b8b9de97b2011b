//! Leaving out what a failure does not need.

/// Makes `items` as few as still fail: leaves out halves, quarters and so on down to single items.
///
/// `fails` says whether some of the items fail on their own; `None`, that nobody knows, counts as no. What is left
/// cannot lose an item without ceasing to fail, provided that `fails` always knew and that more items fail
/// wherever fewer do. The second value says whether it knew.
pub(super) fn minimize<T: Clone>(
    mut items: Vec<T>,
    mut fails: impl FnMut(&[T]) -> Option<bool>,
) -> (Vec<T>, bool) {
    let mut is_certain = true;
    let mut size = items.len().div_ceil(2).max(1);
    loop {
        let mut start = 0;
        while start < items.len() {
            let end = (start + size).min(items.len());
            let rest = [&items[..start], &items[end..]].concat();
            match fails(&rest) {
                Some(true) => items = rest,
                Some(false) => start = end,
                None => {
                    is_certain = false;
                    start = end;
                }
            }
        }
        if size == 1 {
            return (items, is_certain);
        }
        size = size.div_ceil(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_needed_is_left_out() {
        let needed = [3, 17, 90];
        let mut calls = 0;
        let fails = |items: &[u32]| {
            calls += 1;
            Some(needed.iter().all(|item| items.contains(item)))
        };
        assert_eq!(minimize((0..1000).collect(), fails), (needed.to_vec(), true));
        assert!(calls < 80, "{calls}");
    }

    #[test]
    fn what_is_not_known_stays_and_is_told() {
        let fails = |items: &[u32]| (items.len() > 1).then_some(items.contains(&1));
        assert_eq!(minimize(vec![0, 1, 2, 3], fails), (vec![0, 1], false));
    }

    #[test]
    fn nothing_is_left_of_what_always_fails() {
        assert_eq!(minimize(vec![1, 2, 3], |_| Some(true)), (vec![], true));
    }
}
