//! A batch as it is stored: format u8 · CRC-32C u32 little-endian · the batch.
//!
//! Invariant: the checksum covers the tenant's id and the batch, so that neither a changed byte nor
//! a batch that strayed to another tenant goes unnoticed.

use bytes::Bytes;

use crate::domain::ids::TenantId;

const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 5;

pub fn seal(tenant: &TenantId, batch: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_BYTES + batch.len());
    frame.push(FORMAT);
    frame.extend(checksum(tenant, batch).to_le_bytes());
    frame.extend(batch);
    frame
}

/// The batch, or what is wrong with the frame.
pub fn open(tenant: &TenantId, mut frame: Bytes) -> Result<Bytes, String> {
    if frame.len() < HEADER_BYTES {
        return Err(format!("it has {} bytes, fewer than its header", frame.len()));
    }
    let header = frame.split_to(HEADER_BYTES);
    if header[0] != FORMAT {
        return Err(format!(
            "it has format {}, this version of channel-kpi reads {FORMAT}: it is from a newer one or damaged",
            header[0]
        ));
    }
    if header[1..] != checksum(tenant, &frame).to_le_bytes() {
        return Err("its checksum doesn't match".into());
    }
    Ok(frame)
}

fn checksum(tenant: &TenantId, batch: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(tenant.as_str().as_bytes()), batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let acme = TenantId::try_new("acme").unwrap();
        let frame = seal(&acme, b"a batch");
        assert_eq!(open(&acme, frame.clone().into()).unwrap(), &b"a batch"[..]);
        for at in 0..frame.len() {
            let mut damaged = frame.clone();
            damaged[at] ^= 1;
            assert!(open(&acme, damaged.into()).is_err(), "changed at byte {at}");
            assert!(open(&acme, Bytes::copy_from_slice(&frame[..at])).is_err(), "cut at byte {at}");
        }
    }

    #[test]
    fn a_batch_that_strayed_to_another_tenant_is_noticed() {
        let [acme, apex] = ["acme", "apex"].map(|id| TenantId::try_new(id).unwrap());
        let strayed = open(&apex, seal(&acme, b"a batch").into());
        assert_eq!(strayed.unwrap_err(), "its checksum doesn't match");
    }
}
