//! Work on many things at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does the same with all items on as many threads as the machine has processors; the results keep their order.
///
/// # Errors
/// With that of the first item that fails, by order; no further item is begun after one has failed.
pub(crate) fn in_parallel<T: Sync, R: Send, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(items.len());
    if threads <= 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((place, item)) = {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    items.get(place).map(|item| (place, item))
                } {
                    let result = work(item);
                    if result.is_err() {
                        // What comes before was begun before, and is waited for.
                        next.fetch_max(items.len(), Ordering::Relaxed);
                    }
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.push((place, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_what_they_are_of() {
        let items: Vec<usize> = (0..1000).collect();
        let doubled = in_parallel(&items, |item| Ok::<_, ()>(item * 2)).unwrap();
        assert!(
            doubled
                .iter()
                .enumerate()
                .all(|(place, doubled)| *doubled == place * 2)
        );
    }

    #[test]
    fn the_first_failure_by_order_is_told_and_ends_the_work() {
        let items: Vec<usize> = (0..100_000).collect();
        let done = AtomicUsize::new(0);
        let fail = |item: &usize| {
            done.fetch_add(1, Ordering::Relaxed);
            if *item >= 50 { Err(*item) } else { Ok(()) }
        };
        assert_eq!(in_parallel(&items, fail), Err(50));
        assert!(done.load(Ordering::Relaxed) < items.len());
    }
}
