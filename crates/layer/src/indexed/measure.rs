//! The checksum by which tar-split knows a file again: CRC-64 of ISO 3309, reflected. No IO.

/// x⁶⁴ + x⁴ + x³ + x + 1, lowest bit first.
const POLYNOMIAL: u64 = 0xd800_0000_0000_0000;

/// What each byte does to the sum, at each of eight distances from the end of a step.
static TABLES: [[u64; 256]; 8] = tables();

const fn tables() -> [[u64; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 {
                sum >> 1 ^ POLYNOMIAL
            } else {
                sum >> 1
            };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
    }
    let mut step = 1;
    while step < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[step - 1][byte];
            tables[step][byte] = tables[0][(before & 0xff) as usize] ^ before >> 8;
            byte += 1;
        }
        step += 1;
    }
    tables
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Crc64(u64);

impl Crc64 {
    pub(super) fn new() -> Self {
        Self(!0)
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let (eights, rest) = bytes.as_chunks::<8>();
        let mut sum = self.0;
        for eight in eights {
            let mixed = (sum ^ u64::from_le_bytes(*eight)).to_le_bytes();
            sum = 0;
            for (table, byte) in TABLES.iter().rev().zip(mixed) {
                sum ^= table[usize::from(byte)];
            }
        }
        for byte in rest {
            sum = TABLES[0][usize::from(sum as u8 ^ byte)] ^ sum >> 8;
        }
        self.0 = sum;
    }

    pub(super) fn finish(self) -> u64 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sums() {
        let sum = |bytes: &[u8]| {
            let mut sum = Crc64::new();
            sum.update(bytes);
            sum.finish()
        };
        assert_eq!(sum(b""), 0);
        // The check value of CRC-64/GO-ISO.
        assert_eq!(sum(b"123456789"), 0xb909_56c7_75a4_1001);
        let mut parts = Crc64::new();
        for part in [&b"123"[..], b"", b"4567", b"89"] {
            parts.update(part);
        }
        assert_eq!(parts.finish(), sum(b"123456789"));
        let long = vec![7; 1000];
        let mut bytes = Crc64::new();
        for byte in &long {
            bytes.update(&[*byte]);
        }
        assert_eq!(bytes.finish(), sum(&long));
    }
}
