//! The codec of a snapshot: a tenant's records as a stream of opaque entries, wherever it is stored.
//!
//! ```text
//! header   "CKPISNAP" · format u32 · began_at u64 · tenant length u8 · tenant · crc u32
//! block    'B' · entries u32 · raw bytes u32 · packed bytes u32 · zstd(lengths u32…, entries…) · crc u32
//! closing  'E' · entries u64 · blocks u64 · crc u32
//! ```
//! Numbers are little-endian.
//!
//! Invariants, checked by the reader:
//! 1. A `crc` is the CRC-32C of everything before it, from the file's first byte: no byte can
//!    change and no block can be lost, repeated or moved unnoticed.
//! 2. Only the closing block ends a snapshot, and nothing follows it: a torn file is no snapshot.
//! 3. No length is believed before its checksum is: a damaged file can't ask for much memory.
//!
//! Deliberately absent: what an entry means (its bytes carry their own version), and the file system.

use std::io::{self, ErrorKind, Read, Write};

use zstd::bulk::{Compressor, Decompressor};

use super::Revision;
use crate::domain::ids::TenantId;

/// The longest entry that a snapshot takes.
pub const ENTRY_BYTES_MAX: usize = 16 << 20;

const MAGIC: [u8; 8] = *b"CKPISNAP";
/// What is written. Of format 1 only what the entries say is otherwise.
const FORMAT: u32 = 2;
const ZSTD_LEVEL: i32 = 1;
const BLOCK_ENTRIES_MAX: usize = 64 << 10;
/// A longer entry fills a block alone.
const BLOCK_BYTES_MAX: usize = 1 << 20;
const TAG_BLOCK: u8 = b'B';
const TAG_CLOSING: u8 = b'E';

/// Why bytes are no snapshot that can be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("it is not a snapshot of channel-kpi: it doesn't begin with \"CKPISNAP\"")]
    Foreign,
    #[error(
        "it has format {found}, this version of channel-kpi reads 1 to {FORMAT}: it is from a newer one or damaged"
    )]
    Format { found: u32 },
    #[error("it ends too early, after {block_count} whole blocks")]
    Torn { block_count: u64 },
    #[error("it is damaged after {block_count} whole blocks: {reason}")]
    Corrupt { block_count: u64, reason: &'static str },
    #[error("it can't be read: {0}")]
    Io(#[from] io::Error),
}

/// Packs entries, pushed one at a time, into checksummed blocks. A snapshot that isn't
/// [finished](Self::finish) is torn: readers refuse it.
pub struct SnapshotWriter<W: Write> {
    out: Checksummed<W>,
    compressor: Compressor<'static>,
    lengths: Vec<u8>, // of the block being filled: u32s
    entries: Vec<u8>, // of the block being filled, one after another
    entry_count: u64,
    block_count: u64,
}

/// Checks and unpacks what a [`SnapshotWriter`] wrote, a block at a time.
pub struct SnapshotReader<R: Read> {
    input: Checksummed<R>,
    format: u32,
    tenant: TenantId,
    began_at: Revision,
    decompressor: Decompressor<'static>,
    entry_count: u64,
    block_count: u64,
    ended: bool,
}

/// Some entries of a snapshot, in the order in which they were pushed.
pub struct Block {
    raw: Vec<u8>, // the lengths, then the entries
    entry_count: usize,
}

/// A block whose checksum held, still packed.
struct PackedBlock {
    packed: Vec<u8>,
    raw_bytes: usize,
    entry_count: usize,
}

/// A reader or writer with the checksum of all that went through it.
struct Checksummed<T> {
    inner: T,
    crc: u32,
}

// === impl SnapshotWriter ===

impl<W: Write> SnapshotWriter<W> {
    /// Begins a snapshot that holds at least all that `tenant` had at `began_at`.
    pub fn begin(out: W, tenant: &TenantId, began_at: Revision) -> io::Result<Self> {
        let name = tenant.as_str().as_bytes();
        let name_bytes = u8::try_from(name.len()).expect("an id has at most 128 bytes");
        let mut header = Vec::new();
        header.extend(MAGIC);
        header.extend(FORMAT.to_le_bytes());
        header.extend(began_at.0.to_le_bytes());
        header.push(name_bytes);
        header.extend(name);
        let mut out = Checksummed { inner: out, crc: 0 };
        out.write_sealed(&header)?;
        Ok(Self {
            out,
            compressor: Compressor::new(ZSTD_LEVEL)?,
            lengths: Vec::new(),
            entries: Vec::new(),
            entry_count: 0,
            block_count: 0,
        })
    }

    pub fn push(&mut self, entry: &[u8]) -> io::Result<()> {
        if entry.len() > ENTRY_BYTES_MAX {
            let reason = format!("an entry has {} bytes, must have at most {ENTRY_BYTES_MAX}", entry.len());
            return Err(io::Error::new(ErrorKind::InvalidInput, reason));
        }
        let full = self.lengths.len() / 4 == BLOCK_ENTRIES_MAX
            || self.lengths.len() + 4 + self.entries.len() + entry.len() > BLOCK_BYTES_MAX;
        if full && !self.lengths.is_empty() {
            self.write_block()?;
        }
        self.lengths.extend((entry.len() as u32).to_le_bytes()); // fits: at most ENTRY_BYTES_MAX
        self.entries.extend(entry);
        Ok(())
    }

    /// Writes what is left and the closing block. Making it durable is the caller's affair.
    pub fn finish(mut self) -> io::Result<()> {
        if !self.lengths.is_empty() {
            self.write_block()?;
        }
        let mut closing = vec![TAG_CLOSING];
        closing.extend(self.entry_count.to_le_bytes());
        closing.extend(self.block_count.to_le_bytes());
        self.out.write_sealed(&closing)?;
        self.out.inner.flush()
    }

    fn write_block(&mut self) -> io::Result<()> {
        let entry_count = self.lengths.len() / 4;
        let mut raw = std::mem::take(&mut self.lengths);
        raw.append(&mut self.entries);
        let packed = self.compressor.compress(&raw)?;
        let mut block = Vec::with_capacity(packed.len() + 13);
        block.push(TAG_BLOCK);
        // All three fit: a block is bounded by BLOCK_BYTES_MAX or one entry.
        block.extend((entry_count as u32).to_le_bytes());
        block.extend((raw.len() as u32).to_le_bytes());
        block.extend((packed.len() as u32).to_le_bytes());
        block.extend(packed);
        self.out.write_sealed(&block)?;
        self.entry_count += entry_count as u64;
        self.block_count += 1;
        Ok(())
    }
}

// === impl SnapshotReader ===

impl<R: Read> SnapshotReader<R> {
    /// Reads and checks the header.
    pub fn open(input: R) -> Result<Self, SnapshotError> {
        let mut input = Checksummed { inner: input, crc: 0 };
        let torn = |error: io::Error| match error.kind() {
            ErrorKind::UnexpectedEof => SnapshotError::Torn { block_count: 0 },
            _ => SnapshotError::Io(error),
        };
        let corrupt = |reason| SnapshotError::Corrupt { block_count: 0, reason };
        if input.read_array().map_err(torn)? != MAGIC {
            return Err(SnapshotError::Foreign);
        }
        // Before the checksum, since another format may have it elsewhere.
        let format = u32::from_le_bytes(input.read_array().map_err(torn)?);
        if !(1..=FORMAT).contains(&format) {
            return Err(SnapshotError::Format { found: format });
        }
        let began_at = Revision(u64::from_le_bytes(input.read_array().map_err(torn)?));
        let [name_bytes] = input.read_array().map_err(torn)?;
        let name = input.read_vec(name_bytes.into()).map_err(torn)?;
        if !input.read_seal().map_err(torn)? {
            return Err(corrupt("the header's checksum doesn't match"));
        }
        let name = String::from_utf8(name).map_err(|_| corrupt("the tenant's id is not UTF-8"))?;
        let tenant = TenantId::try_new(&name).map_err(|_| corrupt("the tenant's id is no id"))?;
        let decompressor = Decompressor::new()?;
        let (entry_count, block_count, ended) = (0, 0, false);
        Ok(Self { input, format, tenant, began_at, decompressor, entry_count, block_count, ended })
    }

    /// What its entries are written in.
    pub fn format(&self) -> u32 {
        self.format
    }

    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The revision after which to follow the journal: everything up to it is in the entries.
    pub fn began_at(&self) -> Revision {
        self.began_at
    }

    /// Reads to the end, checks every checksum, unpacks nothing. Returns the number of entries.
    pub fn verify(mut self) -> Result<u64, SnapshotError> {
        while self.next_packed()?.is_some() {}
        Ok(self.entry_count)
    }

    /// The next block; `None` after the closing one.
    fn next_packed(&mut self) -> Result<Option<PackedBlock>, SnapshotError> {
        match self.read_array()? {
            [TAG_BLOCK] => {}
            [TAG_CLOSING] => return self.read_closing().map(|()| None),
            _ => return Err(self.corrupt("neither a block nor the end begins here")),
        }
        let entry_count = u32::from_le_bytes(self.read_array()?) as usize;
        let raw_bytes = u32::from_le_bytes(self.read_array()?) as usize;
        let packed_bytes = u32::from_le_bytes(self.read_array()?);
        let packed = self.input.read_vec(packed_bytes).map_err(|error| self.torn(error))?;
        self.check_seal()?;
        self.entry_count += entry_count as u64;
        self.block_count += 1;
        Ok(Some(PackedBlock { packed, raw_bytes, entry_count }))
    }

    fn read_closing(&mut self) -> Result<(), SnapshotError> {
        let totals = [u64::from_le_bytes(self.read_array()?), u64::from_le_bytes(self.read_array()?)];
        self.check_seal()?;
        if totals != [self.entry_count, self.block_count] {
            return Err(self.corrupt("the closing block counts other entries than there are"));
        }
        match self.input.inner.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(self.corrupt("something follows the closing block")),
        }
    }

    fn unpack(&mut self, block: PackedBlock) -> Result<Block, SnapshotError> {
        let PackedBlock { packed, raw_bytes, entry_count } = block;
        let raw = self
            .decompressor
            .decompress(&packed, raw_bytes)
            .map_err(|_| self.corrupt("a block can't be decompressed"))?;
        let lengths_bytes = entry_count * 4;
        let fits = lengths_bytes <= raw.len() && {
            let (lengths, entries) = raw.split_at(lengths_bytes);
            lengths_of(lengths).sum::<usize>() == entries.len()
        };
        if !fits {
            return Err(self.corrupt("the lengths in a block don't add up to its size"));
        }
        Ok(Block { raw, entry_count })
    }

    fn read_array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        self.input.read_array().map_err(|error| self.torn(error))
    }

    fn check_seal(&mut self) -> Result<(), SnapshotError> {
        match self.input.read_seal() {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.corrupt("the checksum doesn't match")),
            Err(error) => Err(self.torn(error)),
        }
    }

    fn corrupt(&self, reason: &'static str) -> SnapshotError {
        SnapshotError::Corrupt { block_count: self.block_count, reason }
    }

    fn torn(&self, error: io::Error) -> SnapshotError {
        match error.kind() {
            ErrorKind::UnexpectedEof => SnapshotError::Torn { block_count: self.block_count },
            _ => SnapshotError::Io(error),
        }
    }
}

/// Ends after the closing block, or after the first error.
impl<R: Read> Iterator for SnapshotReader<R> {
    type Item = Result<Block, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let block = match self.next_packed() {
            Ok(Some(packed)) => Some(self.unpack(packed)),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        };
        self.ended = !matches!(block, Some(Ok(_)));
        block
    }
}

// === impl Block ===

impl Block {
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let (lengths, mut rest) = self.raw.split_at(self.entry_count * 4);
        lengths_of(lengths).map(move |length| rest.split_off(..length).expect("checked when unpacked"))
    }
}

fn lengths_of(column: &[u8]) -> impl ExactSizeIterator<Item = usize> {
    column.as_chunks().0.iter().map(|length| u32::from_le_bytes(*length) as usize)
}

// === impl Checksummed ===

impl<W: Write> Checksummed<W> {
    /// Writes `bytes` and the checksum of all until their end.
    fn write_sealed(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.inner.write_all(bytes)?;
        let seal = self.crc.to_le_bytes();
        self.crc = crc32c::crc32c_append(self.crc, &seal);
        self.inner.write_all(&seal)
    }
}

impl<R: Read> Checksummed<R> {
    fn read_array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, &bytes);
        Ok(bytes)
    }

    /// Memory grows with what is there, not with what `length` claims.
    fn read_vec(&mut self, length: u32) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity((length as usize).min(BLOCK_BYTES_MAX));
        self.inner.by_ref().take(length.into()).read_to_end(&mut bytes)?;
        if bytes.len() != length as usize {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.crc = crc32c::crc32c_append(self.crc, &bytes);
        Ok(bytes)
    }

    /// Whether the checksum that comes next is that of everything before it.
    fn read_seal(&mut self) -> io::Result<bool> {
        let expected = self.crc.to_le_bytes();
        Ok(self.read_array()? == expected)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const BEGAN_AT: Revision = Revision(4711);

    fn tenant() -> TenantId {
        TenantId::try_new("Müller & Söhne").unwrap()
    }

    fn written(entries: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = SnapshotWriter::begin(&mut bytes, &tenant(), BEGAN_AT).unwrap();
        for entry in entries {
            writer.push(entry).unwrap();
        }
        writer.finish().unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, SnapshotError> {
        let reader = SnapshotReader::open(bytes)?;
        assert_eq!((reader.tenant(), reader.began_at()), (&tenant(), BEGAN_AT));
        let mut entries = Vec::new();
        for block in reader {
            entries.extend(block?.entries().map(<[u8]>::to_vec));
        }
        Ok(entries)
    }

    fn verified(bytes: &[u8]) -> Result<u64, SnapshotError> {
        SnapshotReader::open(bytes)?.verify()
    }

    proptest! {
        #[test]
        fn what_is_pushed_is_read(entries in vec(vec(any::<u8>(), 0..40), 0..60)) {
            let bytes = written(&entries);
            prop_assert_eq!(verified(&bytes).unwrap(), entries.len() as u64);
            prop_assert_eq!(read(&bytes).unwrap(), entries);
        }

        /// Every byte of the snapshot, not a sample; what it is changed to is random.
        #[test]
        fn every_damage_is_noticed(entries in vec(vec(any::<u8>(), 0..9), 0..9), flip in 1..=255u8, tail in any::<u8>()) {
            let mut bytes = written(&entries);
            for at in 0..bytes.len() {
                prop_assert!(read(&bytes[..at]).is_err(), "cut at byte {}", at);
                prop_assert!(verified(&bytes[..at]).is_err(), "cut at byte {}", at);
                bytes[at] ^= flip;
                prop_assert!(read(&bytes).is_err(), "changed at byte {}", at);
                prop_assert!(verified(&bytes).is_err(), "changed at byte {}", at);
                bytes[at] ^= flip;
            }
            bytes.push(tail);
            prop_assert!(read(&bytes).is_err(), "lengthened");
        }
    }

    #[test]
    fn blocks_are_bounded_by_entries_and_by_bytes() {
        for (entries, expected) in [
            (vec![vec![]; BLOCK_ENTRIES_MAX + 1], vec![BLOCK_ENTRIES_MAX, 1]),
            (vec![vec![7; BLOCK_BYTES_MAX / 2]; 3], vec![1, 1, 1]),
            (vec![vec![7; BLOCK_BYTES_MAX / 2 - 4]; 3], vec![2, 1]),
            (vec![vec![7; 1], vec![8; 3 * BLOCK_BYTES_MAX], vec![9; 1]], vec![1, 1, 1]),
            (vec![], vec![]),
        ] {
            let bytes = written(&entries);
            let blocks: Vec<Block> = SnapshotReader::open(&bytes[..]).unwrap().map(Result::unwrap).collect();
            assert_eq!(blocks.iter().map(|block| block.entries().len()).collect::<Vec<_>>(), expected);
            assert_eq!(read(&bytes).unwrap(), entries);
        }
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let whole = written(&[vec![1, 2, 3]]);
        let header_bytes = 8 + 4 + 8 + 1 + tenant().as_str().len() + 4;
        let mut foreign = whole.clone();
        foreign[0] = b'X';
        let mut newer = whole.clone();
        newer[8] = 3;
        let mut damaged = whole.clone();
        damaged[header_bytes + 13] ^= 1;
        let mut lengthened = whole.clone();
        lengthened.push(0);
        for (bytes, expected) in [
            (&foreign, "it is not a snapshot of channel-kpi: it doesn't begin with \"CKPISNAP\""),
            (
                &newer,
                "it has format 3, this version of channel-kpi reads 1 to 2: it is from a newer one or damaged",
            ),
            (&damaged, "it is damaged after 0 whole blocks: the checksum doesn't match"),
            (&lengthened, "it is damaged after 1 whole blocks: something follows the closing block"),
            (&whole[..whole.len() - 1].to_vec(), "it ends too early, after 1 whole blocks"),
            (&vec![], "it ends too early, after 0 whole blocks"),
        ] {
            assert_eq!(read(bytes).unwrap_err().to_string(), expected);
        }
    }

    /// Sealed by a writer that counted wrongly: checksums alone wouldn't tell.
    #[test]
    fn totals_are_compared() {
        let mut bytes = Vec::new();
        let mut writer = SnapshotWriter::begin(&mut bytes, &tenant(), BEGAN_AT).unwrap();
        writer.push(b"one").unwrap();
        writer.entry_count += 1;
        writer.finish().unwrap();
        assert!(matches!(read(&bytes), Err(SnapshotError::Corrupt { block_count: 1, .. })));
    }

    #[test]
    fn an_entry_too_long_is_refused() {
        let mut writer = SnapshotWriter::begin(Vec::new(), &tenant(), BEGAN_AT).unwrap();
        let error = writer.push(&vec![0; ENTRY_BYTES_MAX + 1]).unwrap_err();
        assert_eq!(error.to_string(), "an entry has 16777217 bytes, must have at most 16777216");
    }
}
