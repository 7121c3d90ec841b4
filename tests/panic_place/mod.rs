//! Where a panic is placed, as a panic hook is told.

use std::cell::RefCell;

thread_local! {
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Notes the places of panics from now on. For one test of a program.
pub(crate) fn note() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PLACE.set(info.location().map(ToString::to_string).unwrap_or_default());
        others(info);
    }));
}

/// That of the last panic of this thread: file, line and column.
pub(crate) fn last() -> String {
    PLACE.take()
}
