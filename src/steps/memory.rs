//! Gives memory that nothing uses any more back to the system. Touches the allocator, and nothing else.

/// Gives back what the allocator keeps for later. The GNU C library keeps what a flood took, for each thread that met it, for
/// as long as the process lives: after 64 bodies of a megabyte that is 100 MiB. Others give back by themselves.
///
/// It takes some milliseconds: call it on a thread that nobody waits for.
pub(super) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "there is no safe name for it; it may be called at any time (malloc_trim(3))")]
    // SAFETY: it takes no pointer, and locks each arena that it looks at.
    unsafe {
        libc::malloc_trim(0);
    }
}
