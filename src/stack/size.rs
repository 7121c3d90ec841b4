//! The sizes that a stack may have.

use std::io;

use crate::sys::memory::page_size;

/// The size of a stack when none is asked for: room for a panic with a backtrace, or for a deep library.
pub(crate) const DEFAULT_STACK_SIZE: usize = 256 * 1024;

/// The smallest stack: a signal frame, a panic and a few frames of one's own fit. A smaller size is raised to it.
pub(crate) const MIN_STACK_SIZE: usize = 32 * 1024;

/// The largest stack. More than this is a mistake in a computation.
const MAX_STACK_SIZE: usize = 1024 * 1024 * 1024;

/// The size of a stack asked for with `size` bytes: whole pages, the guard among them.
///
/// # Errors
///
/// `InvalidInput` for a size above 1 GiB.
pub(super) fn rounded(size: usize) -> io::Result<usize> {
    if size > MAX_STACK_SIZE {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "a greenlet stack of {size} bytes was asked for; the size must be between {MIN_STACK_SIZE} bytes \
                 (32 KiB) and {MAX_STACK_SIZE} bytes (1 GiB)"
            ),
        ));
    }
    Ok(size.max(smallest(page_size())).next_multiple_of(page_size()))
}

/// With pages of 16 or 64 KiB the guard would eat up the smallest stack; the usable part keeps its size.
const fn smallest(page: usize) -> usize {
    const USABLE: usize = MIN_STACK_SIZE - 4096;
    page + USABLE.next_multiple_of(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_pages_of_at_least_the_minimum() {
        let page = page_size();
        assert_eq!(rounded(0).unwrap(), smallest(page));
        assert_eq!(rounded(DEFAULT_STACK_SIZE).unwrap(), DEFAULT_STACK_SIZE);
        assert_eq!(rounded(DEFAULT_STACK_SIZE + 1).unwrap(), DEFAULT_STACK_SIZE + page);
        assert_eq!(rounded(MAX_STACK_SIZE).unwrap(), MAX_STACK_SIZE);
    }

    #[test]
    fn the_smallest_stack_is_usable_whatever_the_page_size() {
        assert_eq!(smallest(4096), MIN_STACK_SIZE);
        assert_eq!(smallest(16384), 48 * 1024);
        assert_eq!(smallest(65536), 128 * 1024);
    }

    #[test]
    fn an_absurd_size_is_refused_with_the_range() {
        for size in [MAX_STACK_SIZE + 1, usize::MAX] {
            let error = rounded(size).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            let text = error.to_string();
            assert!(text.contains("32 KiB") && text.contains("1 GiB"), "{text}");
        }
    }
}
