//! Mapped memory: one `Mapping` owns a range of address space from `mmap` to `munmap`.
//!
//! A mapping is private, anonymous, readable and writable, and reserves nothing: a page costs memory from its
//! first touch until [`Mapping::discard`]. Huge pages are refused for the whole of it, since with them the
//! first touch of each stack would cost 2 MiB.
//!
//! Parts of a mapping can be made inaccessible in two ways. [`Mapping::mark`] sets markers in the page table
//! (Linux 6.13 and later): the mapping stays one area for the kernel, however many parts are marked.
//! [`Mapping::protect`] works everywhere, and splits the area: each part costs two more of the areas which
//! `vm.max_map_count` limits.

use std::ffi::c_void;
use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};

use rustix::mm::{self, MapFlags, MprotectFlags, ProtFlags};

/// `MADV_GUARD_INSTALL` of Linux 6.13.
#[cfg(target_os = "linux")]
const GUARD_INSTALL: libc::c_int = 102;

/// The size of a page of memory.
pub(crate) fn page_size() -> usize {
    rustix::param::page_size()
}

/// Has the processor fetch memory, a byte or more, into its caches, where it can be told to. Any address will do: what is not mapped is
/// not fetched.
#[inline]
pub(crate) fn prefetch<T>(start: *const T, len: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: it is a hint, which neither faults nor changes anything; SSE is part of the architecture.
        let fetch = |at| unsafe { _mm_prefetch::<_MM_HINT_T0>(start.cast::<i8>().wrapping_add(at)) };
        (0..len).step_by(64).for_each(fetch);
        fetch(len - 1);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, len);
}

/// A range of address space, unmapped on drop.
pub(crate) struct Mapping {
    start: NonNull<c_void>,
    len: usize,
}

impl Mapping {
    /// Maps `len` bytes, a multiple of the page size.
    pub(crate) fn new(len: usize) -> io::Result<Mapping> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a null hint lets the kernel choose addresses which nothing uses yet.
        let start = unsafe { mm::mmap_anonymous(ptr::null_mut(), len, access, flags()) }?;
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        // What lies on a stack is reached through addresses kept as integers.
        start.as_ptr().expose_provenance();
        let mapping = Mapping { start, len };
        mapping.refuse_huge_pages();
        Ok(mapping)
    }

    /// The addresses of the mapping.
    pub(crate) fn range(&self) -> Range<usize> {
        let start = self.start.as_ptr().addr();
        start..start + self.len
    }

    /// Makes a part of the mapping inaccessible by markers in the page table.
    ///
    /// # Errors
    ///
    /// `InvalidInput` where the kernel does not know such markers or cannot set them in this mapping.
    ///
    /// # Safety
    ///
    /// Nothing lives in the part.
    #[cfg(target_os = "linux")]
    pub(crate) unsafe fn mark(&self, part: Range<usize>) -> io::Result<()> {
        let at = self.pointer(&part);
        // SAFETY: the part is inside this mapping, and the caller lets its contents go.
        match unsafe { libc::madvise(at, part.len(), GUARD_INSTALL) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Only Linux has markers: always `InvalidInput`.
    ///
    /// # Safety
    ///
    /// Nothing lives in the part.
    #[cfg(not(target_os = "linux"))]
    pub(crate) unsafe fn mark(&self, _part: Range<usize>) -> io::Result<()> {
        Err(io::ErrorKind::InvalidInput.into())
    }

    /// Makes a part of the mapping inaccessible by its access rights.
    ///
    /// # Safety
    ///
    /// Nothing lives in the part.
    pub(crate) unsafe fn protect(&self, part: Range<usize>) -> io::Result<()> {
        let at = self.pointer(&part);
        // SAFETY: the part is inside this mapping, and the caller lets its contents go.
        unsafe { mm::mprotect(at, part.len(), MprotectFlags::empty()) }.map_err(Into::into)
    }

    /// Gives the memory of a part back to the system; it reads as zeros afterwards, and inaccessible pages in
    /// it stay inaccessible.
    ///
    /// # Safety
    ///
    /// Nothing lives in the part.
    pub(crate) unsafe fn discard(&self, part: Range<usize>) -> io::Result<()> {
        // Elsewhere than on Linux, MADV_DONTNEED is a hint about reading ahead which frees nothing.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        const DISCARD: libc::c_int = libc::MADV_DONTNEED;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        const DISCARD: libc::c_int = libc::MADV_FREE;
        let at = self.pointer(&part);
        // SAFETY: the part is inside this mapping, and the caller lets its contents go.
        match unsafe { libc::madvise(at, part.len(), DISCARD) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Asks the kernel whether it finds the byte at `address` inaccessible.
    ///
    /// Some emulations of Linux take every advice and do nothing; a guard that is only believed to exist would
    /// be worse than none.
    pub(crate) fn is_inaccessible(&self, address: usize) -> bool {
        let path = self.pointer(&(address..address + 1)).cast();
        // SAFETY: the kernel looks for a path at an address of this mapping and answers EFAULT where it cannot
        // read one; nothing is read in this process, and nothing is changed.
        let answer = unsafe { libc::access(path, libc::F_OK) };
        answer != 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
    }

    /// A kernel without huge pages answers with an error, and has nothing to refuse.
    fn refuse_huge_pages(&self) {
        #[cfg(target_os = "linux")]
        // SAFETY: the advice is about this mapping alone, and does not change its contents.
        let _ = unsafe { mm::madvise(self.start.as_ptr(), self.len, mm::Advice::LinuxNoHugepage) };
    }

    /// A pointer to the first byte of `part`.
    ///
    /// # Panics
    ///
    /// If the part is not inside the mapping: the system calls would change other memory.
    fn pointer(&self, part: &Range<usize>) -> *mut c_void {
        let whole = self.range();
        assert!(
            whole.start <= part.start && part.start <= part.end && part.end <= whole.end,
            "{part:x?} is not inside the mapping {whole:x?}"
        );
        self.start.as_ptr().with_addr(part.start)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new`, and whoever owned the mapping has let it go. The call can fail
        // only by splitting an area at the limit of areas; the address space is then lost, and nothing else.
        let _ = unsafe { mm::munmap(self.start.as_ptr(), self.len) };
    }
}

/// MAP_STACK changes the meaning of a mapping on some systems. On Linux it only refuses huge pages; OpenBSD runs
/// no code on a stack without it.
fn flags() -> MapFlags {
    #[cfg(target_os = "linux")]
    return MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::STACK;
    #[cfg(target_os = "openbsd")]
    return MapFlags::PRIVATE | MapFlags::STACK;
    #[cfg(not(any(target_os = "linux", target_os = "openbsd")))]
    MapFlags::PRIVATE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protected_page_is_inaccessible_and_its_neighbour_is_not() {
        let page = page_size();
        let mapping = Mapping::new(2 * page).unwrap();
        let start = mapping.range().start;
        // SAFETY: nothing lives in a fresh mapping.
        unsafe { mapping.protect(start..start + page) }.unwrap();
        assert!(mapping.is_inaccessible(start));
        assert!(!mapping.is_inaccessible(start + page));
    }

    #[test]
    fn a_mapping_too_large_for_the_address_space_is_an_error() {
        let error = Mapping::new(1 << 62).map(drop).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    }

    #[test]
    #[should_panic = "is not inside the mapping"]
    fn a_part_outside_the_mapping_is_refused() {
        let mapping = Mapping::new(page_size()).unwrap();
        mapping.is_inaccessible(mapping.range().end);
    }
}
