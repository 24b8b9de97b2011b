//! Work that threads take one after the other.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

/// Work for threads.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    is_closed: bool,
}

/// Closes a queue when it is dropped, whatever happened, so that no thread waits for ever.
pub(super) struct Closing<'a, T>(pub(super) &'a Queue<T>);

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                is_closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn push(&self, work: T) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.push_back(work);
        self.changed.notify_one();
    }

    /// Waits for work; `None` once the queue is closed.
    pub(super) fn pop(&self) -> Option<T> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_while(state, |state| state.waiting.is_empty() && !state.is_closed);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        match state.is_closed {
            true => None,
            false => state.waiting.pop_front(),
        }
    }
}

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_closed = true;
        self.0.changed.notify_all();
    }
}
