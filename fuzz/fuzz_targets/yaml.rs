//! See `targets::yaml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::yaml(data));
