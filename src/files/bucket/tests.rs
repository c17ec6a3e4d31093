use super::*;

#[test]
fn parts_are_of_one_size_and_not_too_many() {
    const MIB: u64 = 1 << 20;
    for (size, part, parts) in [
        (PART + 1, PART, 2),
        (2 * PART, PART, 2),
        (100 * MIB, PART, 13),
        (PART * MAX_PARTS, PART, MAX_PARTS),
        (PART * MAX_PARTS + 1, PART + MIB, 8889),
    ] {
        let ranges: Vec<Range<u64>> = ranges(size).collect();
        assert_eq!((part_size(size), ranges.len() as u64), (part, parts), "{size}");
        assert_eq!(ranges.iter().map(|range| range.end - range.start).sum::<u64>(), size);
        assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start && pair[0].end - pair[0].start == part));
    }
}

#[tokio::test]
async fn a_bucket_that_sends_too_little_or_too_much_is_noticed() {
    let read = async |bytes, chunks: &'static [&'static str]| {
        let chunks = stream::iter(chunks).map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).boxed();
        let read: Result<Vec<Bytes>> = exactly(bytes, chunks).try_collect().await;
        read.map(|chunks| chunks.concat()).ok()
    };
    assert_eq!(read(5, &["ab", "cde"]).await.as_deref(), Some(&b"abcde"[..]));
    assert_eq!(read(4, &["ab", "cde", "f"]).await.as_deref(), Some(&b"abcd"[..]));
    assert_eq!(read(6, &["ab", "cde"]).await, None);
    assert_eq!(read(0, &["ab"]).await.as_deref(), Some(&b""[..]));
}

#[test]
fn clients_hear_whether_to_wait_and_the_log_hears_why() {
    let refused =
        object_store::Error::PermissionDenied { path: "k".into(), source: "<Code>AccessDenied</Code>".into() };
    let error = fault(refused);
    assert_eq!((error.kind, error.retry_after), (Kind::Internal, None));
    assert!(!error.message.contains("Access") && error.to_string().contains("AccessDenied"), "{error}");
    let down = object_store::Error::Generic { store: "S3", source: "x status code: 503 Service Unavailable: y".into() };
    let error = fault(down);
    assert_eq!((error.kind, error.retry_after), (Kind::Busy, Some(RETRY_AFTER)));
}
