//! Any bytes as a compressed blob: its content, within a bound, or an error.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|blob: &[u8]| {
    let Ok((compression, stream)) = kiln_layer::decompress(std::io::Cursor::new(blob.to_vec()))
    else {
        return;
    };
    let mut plain = Vec::new();
    let read = stream.take(8 << 20).read_to_end(&mut plain);
    if read.is_ok() && compression == kiln_image::media::Compression::None {
        assert_eq!(plain, blob);
    }
});
