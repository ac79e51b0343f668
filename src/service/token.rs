//! Tokens: what a caller carries from one call to another and doesn't look into.
//!
//! A token is a byte that names its kind and version, a CBOR array, and the crc32c of both, as URL-safe
//! base64 without padding.
//!
//! Invariants:
//! 1. A token holds on any replica and over restarts and releases: nothing in it depends on the process.
//! 2. It is no secret and no proof: what it says is checked like any input. The checksum tells a damaged
//!    token from another's.
//! 3. It is at most 512 characters.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::{Decode, Encode};

use crate::domain::calendar::Date;
use crate::domain::ids::TenantId;

const TOKEN_CHARS_MAX: usize = 512;
const CHECKSUM_BYTES: usize = size_of::<u32>();

/// The first byte of a token. A new layout is a new kind; the old ones stay readable.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    RevisionV1 = 1,
    PageV1 = 2,
    ResumeV1 = 3,
}

/// Whose token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    pub store_id: u64,
    pub tenant: &'a TenantId,
}

// === impl Owner ===

impl Owner<'_> {
    fn tenant_hash(&self) -> u64 {
        fnv1a(self.tenant.as_str().as_bytes())
    }
}

/// Why a revision token isn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevisionTokenError {
    #[error("the revision token is damaged or isn't one of ours: send one as it was received, or none")]
    Invalid,
    #[error("the revision token comes from another store, restored or replaced since: drop it")]
    OtherStore,
    #[error("the revision token belongs to another tenant")]
    OtherTenant,
}

/// Why a page token isn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageTokenError {
    #[error("the page token is damaged or isn't one of ours: send it as it was received")]
    Invalid,
    #[error("the page token comes from another store, restored or replaced since: begin at the first page")]
    OtherStore,
    #[error("the page token belongs to another tenant")]
    OtherTenant,
    #[error("the page token belongs to a list with other arguments: send those of its first page")]
    OtherArguments,
}

/// Why a resume token isn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeTokenError {
    #[error("the resume token is damaged or isn't one of ours: send it as it was received, or none")]
    Invalid,
    #[error("the resume token comes from another store, restored or replaced since")]
    OtherStore,
    #[error("the resume token belongs to another tenant: begin without one")]
    OtherTenant,
    #[error("the resume token belongs to a watch with other arguments: begin without one")]
    OtherArguments,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct RevisionContent {
    #[n(0)]
    store_id: u64,
    #[n(1)]
    tenant_hash: u64,
    #[n(2)]
    revision: u64,
}

/// The token of a revision of a tenant.
pub fn encode_revision(owner: Owner<'_>, revision: u64) -> String {
    let content = RevisionContent { store_id: owner.store_id, tenant_hash: owner.tenant_hash(), revision };
    seal(Kind::RevisionV1, &content)
}

/// The revision of a token that `owner` gave out.
pub fn decode_revision(owner: Owner<'_>, token: &str) -> Result<u64, RevisionTokenError> {
    let content: RevisionContent = open(Kind::RevisionV1, token).ok_or(RevisionTokenError::Invalid)?;
    if content.store_id != owner.store_id {
        return Err(RevisionTokenError::OtherStore);
    }
    if content.tenant_hash != owner.tenant_hash() {
        return Err(RevisionTokenError::OtherTenant);
    }
    Ok(content.revision)
}

/// Where a walk through a list stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// That of its first page.
    pub first_revision: u64,
    /// The day of its first page, which all of it keeps. Absent for lists that have none.
    pub as_of: Option<Date>,
    /// The whole sort key of the last row given out, at most [`Walk::LAST_KEY_BYTES_MAX`].
    pub last_key: Vec<u8>,
}

// === impl Walk ===

impl Walk {
    /// Leaves room for all else in a token: an id has at most 128 bytes.
    pub const LAST_KEY_BYTES_MAX: usize = 256;
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct PageContent {
    #[n(0)]
    store_id: u64,
    #[n(1)]
    tenant_hash: u64,
    #[n(2)]
    arguments_hash: u64,
    #[n(3)]
    first_revision: u64,
    #[n(4)]
    as_of: Option<Date>,
    #[cbor(n(5), with = "minicbor::bytes")]
    last_key: Vec<u8>,
}

/// The token of the page after `walk`, in a list of these arguments.
pub fn encode_page(owner: Owner<'_>, arguments_hash: u64, walk: Walk) -> String {
    let Walk { first_revision, as_of, last_key } = walk;
    assert!(last_key.len() <= Walk::LAST_KEY_BYTES_MAX, "sort keys are bounded: ids and a few numbers");
    let content = PageContent {
        store_id: owner.store_id,
        tenant_hash: owner.tenant_hash(),
        arguments_hash,
        first_revision,
        as_of,
        last_key,
    };
    seal(Kind::PageV1, &content)
}

/// Where the walk of a token stands that `owner` gave out for a list of these arguments.
pub fn decode_page(owner: Owner<'_>, arguments_hash: u64, token: &str) -> Result<Walk, PageTokenError> {
    let content: PageContent = open(Kind::PageV1, token).ok_or(PageTokenError::Invalid)?;
    if content.store_id != owner.store_id {
        return Err(PageTokenError::OtherStore);
    }
    if content.tenant_hash != owner.tenant_hash() {
        return Err(PageTokenError::OtherTenant);
    }
    if content.arguments_hash != arguments_hash {
        return Err(PageTokenError::OtherArguments);
    }
    let PageContent { first_revision, as_of, last_key, .. } = content;
    let in_range = as_of.is_none_or(|as_of| (Date::FIRST..=Date::LAST).contains(&as_of));
    if !in_range || last_key.len() > Walk::LAST_KEY_BYTES_MAX {
        return Err(PageTokenError::Invalid);
    }
    Ok(Walk { first_revision, as_of, last_key })
}

/// What a watcher has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    pub revision: u64,
    pub as_of: Date,
    /// Of the rows and all that is shown beside them.
    pub hash: u64,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct ResumeContent {
    #[n(0)]
    store_id: u64,
    #[n(1)]
    tenant_hash: u64,
    #[n(2)]
    arguments_hash: u64,
    #[n(3)]
    revision: u64,
    #[n(4)]
    as_of: Date,
    #[n(5)]
    hash: u64,
}

/// The token of what a watch of these arguments has shown.
pub fn encode_resume(owner: Owner<'_>, arguments_hash: u64, resume: Resume) -> String {
    let Resume { revision, as_of, hash } = resume;
    let content = ResumeContent {
        store_id: owner.store_id,
        tenant_hash: owner.tenant_hash(),
        arguments_hash,
        revision,
        as_of,
        hash,
    };
    seal(Kind::ResumeV1, &content)
}

/// What a watcher has to whom `owner` showed it. Of another store's only that it is one is known.
pub fn decode_resume(owner: Owner<'_>, arguments_hash: u64, token: &str) -> Result<Resume, ResumeTokenError> {
    let content: ResumeContent = open(Kind::ResumeV1, token).ok_or(ResumeTokenError::Invalid)?;
    if content.tenant_hash != owner.tenant_hash() {
        return Err(ResumeTokenError::OtherTenant);
    }
    if content.arguments_hash != arguments_hash {
        return Err(ResumeTokenError::OtherArguments);
    }
    if content.store_id != owner.store_id {
        return Err(ResumeTokenError::OtherStore);
    }
    let ResumeContent { revision, as_of, hash, .. } = content;
    Ok(Resume { revision, as_of, hash })
}

/// The hash of a list's method and arguments. `arguments` is the request without what may differ from
/// page to page. A field that a later release adds and a caller leaves out doesn't change it.
pub fn arguments_hash(method: &str, arguments: &impl prost::Message) -> u64 {
    let mut hashed = method.as_bytes().to_vec();
    hashed.push(0);
    arguments.encode(&mut hashed).expect("a Vec grows");
    fnv1a(&hashed)
}

/// FNV-1a: the same in every release, unlike std's hashers.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn seal(kind: Kind, content: &impl Encode<()>) -> String {
    let mut bytes = vec![kind as u8];
    minicbor::encode(content, &mut bytes).expect("a Vec grows");
    bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn open<T: for<'b> Decode<'b, ()>>(kind: Kind, token: &str) -> Option<T> {
    if token.len() > TOKEN_CHARS_MAX {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (sealed, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    if crc32c::crc32c(sealed).to_be_bytes() != *checksum {
        return None;
    }
    let (found_kind, content) = sealed.split_first()?;
    (*found_kind == kind as u8).then(|| minicbor::decode(content).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::arbitrary;
    use crate::proto::channelkpi::v1 as pb;

    fn tenant(id: &str) -> TenantId {
        TenantId::try_new(id).unwrap()
    }

    fn any_walk() -> impl Strategy<Value = Walk> {
        let last_key = proptest::collection::vec(any::<u8>(), 0..=Walk::LAST_KEY_BYTES_MAX);
        (any::<u64>(), proptest::option::of(arbitrary::date()), last_key)
            .prop_map(|(first_revision, as_of, last_key)| Walk { first_revision, as_of, last_key })
    }

    const URL_SAFE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    proptest! {
        #[test]
        fn revisions_come_back(store_id: u64, id in arbitrary::id(), revision: u64) {
            let tenant: TenantId = id;
            let owner = Owner { store_id, tenant: &tenant };
            prop_assert_eq!(decode_revision(owner, &encode_revision(owner, revision)), Ok(revision));
        }

        #[test]
        fn walks_come_back(store_id: u64, id in arbitrary::id(), hash: u64, walk in any_walk()) {
            let tenant: TenantId = id;
            let owner = Owner { store_id, tenant: &tenant };
            let token = encode_page(owner, hash, walk.clone());
            prop_assert!(token.len() <= TOKEN_CHARS_MAX, "{} characters", token.len());
            prop_assert!(token.chars().all(|c| URL_SAFE.contains(c)), "{token}");
            prop_assert_eq!(decode_page(owner, hash, &token), Ok(walk));
        }

        #[test]
        fn what_a_watcher_has_comes_back(
            store_id: u64, id in arbitrary::id(), arguments: u64, revision: u64, hash: u64,
            as_of in arbitrary::date(),
        ) {
            let tenant: TenantId = id;
            let owner = Owner { store_id, tenant: &tenant };
            let resume = Resume { revision, as_of, hash };
            let token = encode_resume(owner, arguments, resume);
            prop_assert!(token.len() <= TOKEN_CHARS_MAX, "{} characters", token.len());
            prop_assert_eq!(decode_resume(owner, arguments, &token), Ok(resume));
            prop_assert_eq!(
                decode_resume(owner, !arguments, &token), Err(ResumeTokenError::OtherArguments)
            );
            let elsewhere = Owner { store_id: !store_id, ..owner };
            prop_assert_eq!(decode_resume(elsewhere, arguments, &token), Err(ResumeTokenError::OtherStore));
            prop_assert_eq!(decode_page(owner, arguments, &token), Err(PageTokenError::Invalid));
        }

        /// Every place, another character of the alphabet or of none.
        #[test]
        fn a_changed_character_is_noticed(walk in any_walk(), revision: u64, other in "[A-Za-z0-9_=+/ -]") {
            let tenant = tenant("example");
            let owner = Owner { store_id: 7, tenant: &tenant };
            let change = |token: &str, place: usize| {
                let mut changed = token.to_owned();
                changed.replace_range(place..=place, &other);
                (changed != token).then_some(changed)
            };
            let page = encode_page(owner, 1, walk);
            for changed in (0..page.len()).filter_map(|place| change(&page, place)) {
                prop_assert_eq!(decode_page(owner, 1, &changed), Err(PageTokenError::Invalid));
            }
            let revision = encode_revision(owner, revision);
            for changed in (0..revision.len()).filter_map(|place| change(&revision, place)) {
                prop_assert_eq!(decode_revision(owner, &changed), Err(RevisionTokenError::Invalid));
            }
        }

        #[test]
        fn any_text_is_taken_calmly(
            text in any::<String>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..99),
        ) {
            let tenant = tenant("example");
            let owner = Owner { store_id: 7, tenant: &tenant };
            let mut sealed = bytes.clone();
            sealed.extend(crc32c::crc32c(&bytes).to_be_bytes()); // a forger knows how to sum
            for token in [text, URL_SAFE_NO_PAD.encode(bytes), URL_SAFE_NO_PAD.encode(sealed)] {
                let _ = decode_revision(owner, &token);
                let _ = decode_page(owner, 1, &token);
                let _ = decode_resume(owner, 1, &token);
            }
        }
    }

    #[test]
    fn tokens_of_others_are_told_apart() {
        let (ours, theirs) = (tenant("ours"), tenant("theirs"));
        let owner = |store_id, tenant| Owner { store_id, tenant };
        let walk = Walk { first_revision: 9, as_of: Some(Date::LAST), last_key: b"A".to_vec() };
        let (us, page) = (owner(1, &ours), encode_page(owner(1, &ours), 5, walk.clone()));
        let revision = encode_revision(us, 9);
        for (reader, arguments_hash, expected) in [
            (us, 5, Ok(walk)),
            (us, 6, Err(PageTokenError::OtherArguments)),
            (owner(1, &theirs), 6, Err(PageTokenError::OtherTenant)),
            (owner(2, &theirs), 6, Err(PageTokenError::OtherStore)),
        ] {
            assert_eq!(decode_page(reader, arguments_hash, &page), expected);
        }
        assert_eq!(decode_revision(owner(1, &theirs), &revision), Err(RevisionTokenError::OtherTenant));
        assert_eq!(decode_revision(owner(2, &ours), &revision), Err(RevisionTokenError::OtherStore));
        assert_eq!(decode_revision(us, &page), Err(RevisionTokenError::Invalid), "a page is no revision");
        assert_eq!(decode_page(us, 5, &revision), Err(PageTokenError::Invalid), "a revision is no page");
        let forged = Walk { first_revision: 9, as_of: Some(Date::NEVER), last_key: vec![] };
        assert_eq!(decode_page(us, 5, &encode_page(us, 5, forged)), Err(PageTokenError::Invalid));
    }

    /// As the first release writes them (worked out apart from this code): every later one reads them.
    #[test]
    fn the_first_release_stays_readable() {
        let tenant = tenant("example");
        let owner = Owner { store_id: 0x0123_4567_89ab_cdef, tenant: &tenant };
        let walk = Walk {
            first_revision: 42,
            as_of: Date::from_ymd(2024, 3, 31),
            last_key: "অংশীদার".as_bytes().to_vec(),
        };
        let arguments = pb::ListRecordsRequest {
            record_kind: pb::RecordKind::Deal.into(),
            include_deleted: true,
            ..Default::default()
        };
        let hash = arguments_hash("ListRecords", &arguments);
        assert_eq!(hash, 13_277_706_632_024_026_935);
        let revision = "AYMbASNFZ4mrze8bQwsUg8jWYEEYKlF_aJg";
        let page =
            concat!("AoYbASNFZ4mrze8bQwsUg8jWYEEbuEPj1WGj7zcYKhlNZVXgpoXgpoLgprbg", "p4Dgpqbgpr7gprAfRn7a",);
        let resume = "A4YbASNFZ4mrze8bQwsUg8jWYEEbuEPj1WGj7zcYKhlNZRl-lF4wuU0";
        let has = Resume { revision: 42, as_of: Date::from_ymd(2024, 3, 31).expect("a date"), hash: 32_404 };
        assert_eq!(decode_resume(owner, hash, resume), Ok(has));
        assert_eq!(decode_revision(owner, revision), Ok(42));
        assert_eq!(decode_page(owner, hash, page), Ok(walk));
    }
}
