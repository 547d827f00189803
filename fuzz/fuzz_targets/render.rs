//! See `targets::render`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::render(data));
